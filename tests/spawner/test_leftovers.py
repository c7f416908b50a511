from __future__ import annotations

import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from jupyterhub_collab import names
from jupyterhub_collab_spawner import cgroups, leftovers
from jupyterhub_collab_spawner.cgroups import ControlGroups, Slot
from jupyterhub_collab_spawner.records import prepare_folder

LISTEN = """
import socket, sys
listening = socket.socket(socket.AF_UNIX)
listening.bind(sys.argv[1])
listening.listen()
print("listening", flush=True)
sys.stdin.read()
"""


@pytest.fixture
def runtime(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A runtime folder, with a folder that stands for the control groups of this machine."""
    groups = tmp_path / "groups"
    groups.mkdir()
    slot = Slot(path=groups, controllers=frozenset({"memory"}), version=2)
    monkeypatch.setattr(cgroups, "find", lambda _name: ControlGroups(slots=(slot,)))
    return prepare_folder(tmp_path / "run")


def stale_socket(path: Path) -> None:
    with closing(socket.socket(socket.AF_UNIX)) as listening:
        listening.bind(str(path))


@pytest.fixture
def another_process(runtime: Path) -> Iterator[None]:
    path = runtime / "hub" / "hub.sock"
    process = subprocess.Popen([sys.executable, "-c", LISTEN, path], stdin=-1, stdout=-1)
    assert process.stdout is not None
    process.stdout.readline()
    yield
    process.communicate(b"")


def test_nothing_stays_of_a_hub_that_has_ended(runtime: Path) -> None:
    for name in ("hub/hub.sock", "proxy.sock"):
        stale_socket(runtime / name)
    leftovers.remove_unused(runtime)
    assert not runtime.exists()
    assert not (runtime.parent / "groups").exists()


def test_a_hub_that_still_holds_its_own_socket_removes_it(runtime: Path) -> None:
    with closing(socket.socket(socket.AF_UNIX)) as listening:
        listening.bind(str(runtime / "hub" / "hub.sock"))
        listening.listen()
        leftovers.remove_unused(runtime)
    assert not runtime.exists()


def test_servers_that_go_on_keep_it(runtime: Path) -> None:
    (runtime / "s-1").mkdir()
    leftovers.remove_unused(runtime)
    assert (runtime / "hub").exists()


@pytest.mark.usefixtures("another_process")
def test_a_hub_that_runs_keeps_it(runtime: Path) -> None:
    leftovers.remove_unused(runtime)
    assert (runtime / "hub" / "hub.sock").exists()


def test_what_somebody_else_put_there_stays(runtime: Path) -> None:
    (runtime / "notes").write_text("mine")
    leftovers.remove_unused(runtime)
    assert (runtime / "notes").read_text() == "mine"


def test_what_cut_off_starts_left_is_removed_and_nothing_else(runtime: Path) -> None:
    starting, recorded, cut_off = (names.server_directory(name, "") for name in ("ada", "ben", "eve"))
    for name in (starting, recorded, cut_off):
        (runtime / name / "etc").mkdir(parents=True)
        (runtime.parent / "groups" / name).mkdir()
    (runtime / recorded / "record.json").write_text("{}")
    (runtime.parent / "groups" / recorded / "as-if-a-process-ran-here").touch()
    leftovers.remove_unrecorded(runtime, {("ada", "")})
    assert {folder.name for folder in runtime.glob("s-*")} == {starting, recorded}
    assert {group.name for group in (runtime.parent / "groups").iterdir()} == {starting, recorded}
