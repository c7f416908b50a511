"""Removing and measuring folders in which people did what they could."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from jupyterhub_collab_spawner.housekeeping import Folders, Housekeeping, folder_size, remove_folder
from tests.spawner.support.running import ORDINARY


def deep(folder: Path) -> None:
    before = Path.cwd()
    os.chdir(folder)
    for _ in range(3000):
        Path("d").mkdir()
        os.chdir("d")
    Path("end").write_bytes(bytes(100))
    os.chdir(before)


def unreadable(folder: Path) -> None:
    (folder / "a/b").mkdir(parents=True)
    (folder / "a/b/file").write_bytes(bytes(100))
    (folder / "a/b").chmod(0)
    (folder / "a").chmod(0)


def links(folder: Path) -> None:
    (folder / "--help").symlink_to(folder.parent / "other")
    (folder / "loop").symlink_to(folder)
    os.mkfifo(folder / "pipe")
    (folder / "new\nline").write_bytes(bytes(100))


@pytest.mark.parametrize("fill", [deep, unreadable, links])
def test_a_folder_is_measured_and_removed_whatever_is_in_it(tmp_path: Path, fill: Callable[[Path], None]) -> None:
    for name in ("project-x", "other"):
        (tmp_path / name).mkdir()
    (tmp_path / "other" / "kept").write_bytes(bytes(1_000_000))
    fill(tmp_path / "project-x")
    assert folder_size(tmp_path / "project-x") < 1_000_000 + 3001 * 4096
    remove_folder(tmp_path / "project-x")
    assert [path.name for path in tmp_path.iterdir()] == ["other"]
    assert (tmp_path / "other" / "kept").stat().st_size == 1_000_000


def test_an_ordinary_account_removes_what_it_can_not_read(tmp_path: Path) -> None:
    for folder in (tmp_path, *tmp_path.parents[:3]):
        folder.chmod(0o777)
    code = (
        "import sys; from pathlib import Path; from tests.spawner import test_housekeeping as t;"
        "f = Path(sys.argv[1], 'project-x'); f.mkdir(); t.unreadable(f); t.remove_folder(f); print(f.exists())"
    )
    drop = [] if os.geteuid() else ["setpriv", f"--reuid={ORDINARY}", f"--regid={ORDINARY}", "--clear-groups"]
    done = subprocess.run(
        [*drop, sys.executable, "-c", code, str(tmp_path)], capture_output=True, text=True, check=False
    )
    assert done.stdout == "False\n", done.stderr


def test_what_is_not_there_has_no_size(tmp_path: Path) -> None:
    assert folder_size(tmp_path / "none") == 0
    remove_folder(tmp_path / "none")


class FakeProjects:
    """The core, with two projects to measure and two to purge."""

    def __init__(self) -> None:
        self.measured_ones: dict[str, int] = {}
        self.purged: list[str] = []

    async def due_for_purge(self) -> list[str]:
        return ["bad", "good"]

    async def to_measure(self) -> list[str]:
        return ["bad", "good"]

    async def measured(self, slug: str, size: int) -> None:
        self.measured_ones[slug] = size

    async def volume_sizes(self) -> dict[str, int]:
        return {"large": 7}

    async def purge(self, slug: str) -> None:
        self.purged.append(slug)


async def test_one_bad_folder_does_not_keep_the_others_waiting(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(folder: Path) -> int:
        if folder.name == "project-bad":
            raise OSError(folder)
        return 7

    for name in ("folder_size", "remove_folder"):
        monkeypatch.setattr(f"jupyterhub_collab_spawner.housekeeping.{name}", fail)
    projects = FakeProjects()
    await Housekeeping(projects, Folders(tmp_path)).once()  # type: ignore[arg-type]
    assert (projects.measured_ones, projects.purged) == ({"good": 7}, ["good"])
