"""Sandboxes as processes, with real ones."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from jupyterhub_collab_spawner import checks, host, processes
from jupyterhub_collab_spawner.errors import SandboxUnavailableError
from jupyterhub_collab_spawner.launching import Descriptors, waiting
from jupyterhub_collab_spawner.processes import Init
from jupyterhub_collab_spawner.records import Record, ServerFolder, all_records, prepare_folder


@pytest.fixture
def sleeper() -> Iterator[subprocess.Popen[bytes]]:
    with subprocess.Popen(["sleep", "60"]) as process:
        yield process
        process.kill()


def test_a_process_is_known_by_its_start_too(sleeper: subprocess.Popen[bytes]) -> None:
    init = processes.identify(sleeper.pid)
    assert processes.alive(init)
    assert Init.from_dict(json.loads(json.dumps(init.as_dict()))) == init
    for other in (replace(init, started=init.started + 1), replace(init, boot="another")):
        assert not processes.alive(other)
        processes.send(other, signal.SIGKILL)
    assert processes.alive(init)


@pytest.mark.parametrize("data", [None, {}, {"pid": 1}, {"pid": "x", "started": 1, "boot": "b"}])
def test_a_state_that_is_none_is_no_process(data: object) -> None:
    assert Init.from_dict(data) is None


async def test_the_end_of_a_process_is_seen_at_once(sleeper: subprocess.Popen[bytes]) -> None:
    init = processes.identify(sleeper.pid)
    assert not await processes.ended(init, 0.05)
    processes.send(init, signal.SIGKILL)
    assert await processes.ended(init, 5)
    assert not processes.alive(init)  # a zombie: nobody has waited for it yet


async def test_a_program_that_is_not_let_run_ends(tmp_path: Path) -> None:
    code = "import os, sys; sys.exit(0 if os.read(int(sys.argv[1]), 9) else 7)"

    def command(given: Descriptors) -> list[str]:
        return [sys.executable, "-c", code, str(given.word)]

    for word in ({"A": "1"}, None):
        with socket.socket() as listening:
            async with waiting(command, listening, tmp_path / "log", sandboxed=False) as program:
                if word is not None:
                    await program.let_run(word)
        assert await asyncio.to_thread(program.process.wait, 10) == (0 if word else 7)


async def test_a_sandbox_that_fails_is_no_process(tmp_path: Path) -> None:
    def command(_given: Descriptors) -> list[str]:
        return [sys.executable, "-c", "print('the reason')"]

    with socket.socket() as listening, pytest.raises(ProcessLookupError):
        async with waiting(command, listening, tmp_path / "log", sandboxed=True):
            raise AssertionError
    assert (tmp_path / "log").read_text(encoding="utf-8") == "the reason\n"


def test_a_record_is_whole_or_absent(tmp_path: Path) -> None:
    folder = ServerFolder(tmp_path, "ada", "co2")
    folder.prepare("/home/ada")
    assert folder.read() is None
    record = Record(person="ada", server_name="co2", init=Init(pid=1, started=2, boot="b"), control_groups=("/x",))
    folder.write(record)
    assert folder.read() == record
    assert all_records(tmp_path) == [record]
    (folder.path / "record.json").write_text("{", encoding="utf-8")
    assert all_records(tmp_path) == []


def test_the_proxy_finds_the_socket_by_the_address_that_the_hub_makes(tmp_path: Path) -> None:
    folder = ServerFolder(tmp_path, "ada", "")
    folder.prepare("/home/ada")
    with folder.listen(), socket.socket(socket.AF_UNIX) as proxy:
        proxy.connect(f"{folder.socket_path}:80")


def test_a_runtime_folder_of_someone_else_is_refused(tmp_path: Path) -> None:
    folder = tmp_path / "open"
    folder.mkdir(mode=0o755)
    link = tmp_path / "link"
    link.symlink_to(tmp_path)
    for refused in (folder, link, tmp_path / "Upper", tmp_path / ("long" * 30)):
        with pytest.raises(SandboxUnavailableError):
            prepare_folder(refused)
    assert prepare_folder(tmp_path / "mine").stat().st_mode & 0o777 == 0o700


@pytest.fixture
def broken() -> Iterator[Path]:
    """A bubblewrap that the kernel forbids to work, where every account can run it."""
    with tempfile.TemporaryDirectory() as folder:
        script = Path(folder, "bwrap")
        script.write_text("#!/bin/sh\necho 'bwrap: No permissions to create a new namespace' >&2\nexit 1\n", "utf-8")
        for path in (script, script.parent):
            path.chmod(0o755)
        yield script


def test_a_machine_without_a_sandbox_is_refused_with_the_fix(broken: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    checks.require_sandbox()
    assert checks.sandbox().ok
    found = host.program
    monkeypatch.setattr(host, "program", lambda name: str(broken) if name == "bwrap" else found(name))
    with pytest.raises(SandboxUnavailableError, match="No permissions to create a new namespace"):
        checks.require_sandbox()
    assert not checks.sandbox().ok
    assert not checks.sandbox(isolation="none").ok
    monkeypatch.setattr(host, "program", found)
    monkeypatch.setattr("shutil.which", lambda *_, **__: None)
    with pytest.raises(SandboxUnavailableError, match="apt-get install bubblewrap"):
        checks.require_sandbox()


def test_doing_without_isolation_is_not_for_root(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    checks.require_sandbox(isolation="none")
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    with pytest.raises(SandboxUnavailableError, match="ordinary account"):
        checks.require_sandbox(isolation="none")


def test_servers_never_run_as_root(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    with pytest.raises(SandboxUnavailableError, match="is root"):
        host.unprivileged_account("root")
    with pytest.raises(SandboxUnavailableError, match="useradd"):
        host.unprivileged_account("nobody-of-this-name")
    account = host.unprivileged_account("")
    assert account is not None
    assert account.uid != 0
