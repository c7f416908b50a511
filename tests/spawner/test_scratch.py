"""What is old in scratch space goes, what is not stays, and what will go is told."""

from __future__ import annotations

import os
import time
from datetime import UTC, datetime
from pathlib import Path

import pytest

from jupyterhub_collab.settings import Storage
from jupyterhub_collab.volumes.models import ScratchUse
from jupyterhub_collab_spawner import core, scratch
from jupyterhub_collab_spawner.housekeeping import Folders
from tests.support.world import World

DAY = 24 * 3600


def put(path: Path, text: str = "x") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    return path


def in_days(number: float) -> float:
    """Return that time; files can't be given an old time of change, so that the tests look from later on."""
    return time.time() + number * DAY


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "scratch-ada"
    put(made / "a" / "b" / "deep.csv", "12345")
    put(made / ".hidden", "123")
    return made


def files(folder: Path) -> set[str]:
    return {str(path.relative_to(folder)) for path in folder.rglob("*") if not path.is_dir() or path.is_symlink()}


def test_nothing_goes_before_its_time(folder: Path) -> None:
    assert scratch.clean(folder, 30, in_days(10)) == ScratchUse(size=8)
    use = scratch.clean(folder, 30, in_days(29))
    assert (use.size, use.going) == (8, 8)
    assert use.goes_from is not None
    assert abs(use.goes_from.timestamp() - in_days(30)) < 60
    assert files(folder) == {"a/b/deep.csv", ".hidden"}


def test_everything_old_goes_and_folders_when_they_are_old_and_empty(folder: Path) -> None:
    assert scratch.clean(folder, 30, in_days(31)) == ScratchUse()
    assert list(folder.iterdir()) == []
    assert folder.is_dir()


def test_an_empty_folder_stays_for_as_long_as_a_file(folder: Path) -> None:
    made = folder / "made-lately"
    made.mkdir()
    os.utime(made, (in_days(20), in_days(20)))
    scratch.clean(folder, 30, in_days(31))
    assert list(folder.iterdir()) == [made]


def test_what_was_changed_since_stays(folder: Path) -> None:
    later = in_days(20)
    os.utime(folder / ".hidden", (later, later))
    use = scratch.clean(folder, 30, in_days(31))
    assert (files(folder), use.size, use.going) == ({".hidden"}, 3, 0)


def test_what_was_just_unpacked_stays_though_its_content_is_old(folder: Path) -> None:
    os.utime(folder / ".hidden", (0, 0))
    scratch.clean(folder, 30, in_days(1))
    assert ".hidden" in files(folder)


def test_half_of_a_short_time_is_warning_enough(folder: Path) -> None:
    assert scratch.clean(folder, 2, in_days(0.5)).going == 0
    assert scratch.clean(folder, 2, in_days(1.5)).going == 8


def test_links_go_and_what_they_lead_to_stays(folder: Path, tmp_path: Path) -> None:
    outside = put(tmp_path / "project-co2" / "data.csv")
    (folder / "file").symlink_to(outside)
    (folder / "folder").symlink_to(outside.parent)
    (folder / "nowhere").symlink_to("none")
    put(folder / "new\nline", "1")
    scratch.clean(folder, 30, in_days(31))
    assert files(folder) == set()
    assert outside.exists()


def test_only_folders_of_scratch_space_are_found(folder: Path, tmp_path: Path) -> None:
    put(tmp_path / "home-ada" / "mine")
    put(tmp_path / "scratch-file")
    (tmp_path / "scratch-link").symlink_to(tmp_path / "home-ada")
    assert scratch.folders(tmp_path) == [folder]


async def test_housekeeping_tells_the_core_and_one_bad_folder_stops_no_other(
    world: World, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    put(tmp_path / "scratch-bad" / "x")
    put(tmp_path / "scratch-viewer" / "x", "1234")
    clean = scratch.clean

    def fail_once(one: Path, days: int, now: float) -> ScratchUse:
        if one.name == "scratch-bad":
            raise OSError(one.name)
        return clean(one, days, now)

    monkeypatch.setattr(core, "scratch", lambda: world.factory.scratch)
    monkeypatch.setattr(scratch, "clean", fail_once)
    with pytest.raises(OSError, match="scratch-bad"):
        await Folders(tmp_path).clean_scratch(30)
    assert await world.factory.scratch.mine("viewer") == ScratchUse(size=4)
    assert await world.factory.scratch.mine("lead") is None


async def test_whose_scratch_it_is(world: World) -> None:
    use = ScratchUse(size=9, going=4, goes_from=datetime(2026, 12, 1, tzinfo=UTC))
    await world.factory.scratch.seen("scratch-viewer", ScratchUse(size=1))
    await world.factory.scratch.seen("scratch-viewer", use)
    assert await world.factory.scratch.mine("viewer") == use
    await world.factory.departures.remove("operator", "viewer")
    await world.sign_in("viewer")
    assert await world.factory.scratch.mine("viewer") is None


def test_it_is_off_unless_the_operator_says_days() -> None:
    assert Storage().scratch_days == 0
