"""Starts that are stopped before there is a process to stop, and logs that lie about their length."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, cast

import pytest
from jupyterhub.spawner import SpawnException

from jupyterhub_collab.servers.models import ServerPlan
from jupyterhub_collab_spawner import launch, launching, logs
from jupyterhub_collab_spawner.launching import Descriptors, Waiting
from jupyterhub_collab_spawner.sandbox import CollabSandboxSpawner
from jupyterhub_collab_spawner.singleuser import Place
from tests.spawner.support.plans import workspace

# Leaves a mark where it is let run
PROGRAM = "import os, sys; word = open(int(sys.argv[1])).read(); open(sys.argv[2], 'w').write(word) if word else None"


class Starting(CollabSandboxSpawner):
    """A spawner with a grant, whose server is a small program that waits to be let run."""

    mark: Path
    closed: int | None = None

    async def granted(self) -> ServerPlan:
        self.grant_id = 7
        return workspace()

    async def report_end(self) -> None:
        self.closed, self.grant_id = self.grant_id or self.closed, None

    def _prepare(self, plan: ServerPlan) -> None:
        self.folder.path.parent.mkdir(exist_ok=True)

    def _place(self, plan: ServerPlan, python: Path) -> Place:
        return Place(home="/", python=python, runtime="/tmp")

    def _command(self, plan: ServerPlan, place: Place, account: object) -> Any:
        return lambda given: [sys.executable, "-c", PROGRAM, str(cast("Descriptors", given).word), str(self.mark)]

    def _environment(self, plan: ServerPlan, place: Place) -> dict[str, str]:
        return {"LET": "RUN"}

    async def _confine(self, plan: ServerPlan, init: object) -> None:
        """Leave it where it is."""

    async def _answering(self) -> None:
        """Take it for a server that answers."""


@pytest.fixture
def starting(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Starting:
    made = Starting(isolation="none", runtime_dir=str(tmp_path / "run"), log_dir=str(tmp_path))
    monkeypatch.setattr(type(made), "user", type("Ada", (), {"name": "ada"})())
    made.mark = tmp_path / "mark"
    return made


@pytest.mark.parametrize("stop", ["take_away", "stop", None])
async def test_a_start_that_was_stopped_early_does_not_go_on(
    starting: Starting, monkeypatch: pytest.MonkeyPatch, stop: str | None
) -> None:
    begin = launching.waiting

    @asynccontextmanager
    async def slow(*arguments: Any, **options: Any) -> AsyncIterator[Waiting]:
        async with begin(*arguments, **options) as found:
            if stop:
                await getattr(starting, stop)()
            yield found
        found.process.wait()

    monkeypatch.setattr(launching, "waiting", slow)
    if stop is None:
        await starting.start()
    else:
        with pytest.raises(SpawnException):
            await starting.start()
    assert starting.mark.exists() is (stop is None)
    assert (starting.init is None, starting.closed) == ((False, None) if stop is None else (True, 7))


@pytest.mark.parametrize("length", [10, 1 << 44])
def test_only_the_end_of_a_log_is_read(tmp_path: Path, length: int) -> None:
    log = tmp_path / "server.log"
    log.write_bytes(b"begin")
    try:
        os.truncate(log, length)
    except OSError:  # no file system takes so much
        os.truncate(log, 1 << 40)
    assert logs.end_of(log, 4) == bytes(4)
    logs.bound(log, 8)
    assert log.stat().st_size == 0
    assert log.with_suffix(".old.log").read_bytes() in (b"gin" + bytes(5), bytes(8))
    logs.bound(log, 8)
    assert log.with_suffix(".old.log").stat().st_size == 8


def test_a_server_checks_every_format_but_the_one_that_takes_long_to_load(tmp_path: Path) -> None:
    shown = "import jsonschema; print(sorted({'iri', 'uri'} & set(jsonschema.FormatChecker.checkers)))"
    (tmp_path / "shown.py").write_text(shown)
    ours, theirs = socket.socketpair()
    word = tmp_path / "word"
    word.write_text(json.dumps({"COLLAB": "1"}) + "\n")
    with ours, theirs, word.open() as told:
        done = subprocess.run(
            [sys.executable, launch.__file__, str(told.fileno()), str(theirs.fileno()), "shown"],
            env={"PYTHONPATH": str(tmp_path)},
            pass_fds=[told.fileno(), theirs.fileno()],
            capture_output=True,
            text=True,
            check=True,
        )
    assert done.stdout == "['uri']\n"
