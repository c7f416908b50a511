"""How long from an empty environment to the login page, and how much of it is downloads."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Container, Iterator
from pathlib import Path
from typing import Final

import httpx

from jupyterhub_collab.demo.running import CHECKOUT
from jupyterhub_collab.state import free_port

from .figures import Figure

_PATIENCE: Final = 900


def checkout(folder: Path) -> Path:
    """Copy what is checked in, and nothing that a build or a run has left."""
    target = folder / "checkout"
    target.mkdir()
    archive = subprocess.run(["git", "-C", str(CHECKOUT), "archive", "HEAD"], check=True, capture_output=True).stdout
    subprocess.run(["tar", "-x", "-C", str(target)], input=archive, check=True)
    return target


def until_login(folder: Path, home: Path) -> float:
    """Run ``make demo`` with nothing but a search path and a home; return the seconds until the login page answers.

    Raises
    ------
    RuntimeError
        It ended before.
    """
    port, log = free_port(), folder / "log"
    environment = {"PATH": "/usr/bin:/bin", "HOME": str(home), "PORT": str(port)}
    begin = time.monotonic()
    with log.open("wb") as output:
        process = subprocess.Popen(
            ["make", "demo"],
            cwd=folder,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            start_new_session=True,
        )
    try:
        while not _answers(f"http://127.0.0.1:{port}/hub/login"):
            if process.poll() is not None or time.monotonic() - begin > _PATIENCE:
                raise RuntimeError(log.read_text(encoding="utf-8")[-3000:])
            time.sleep(0.1)
        return time.monotonic() - begin
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGINT)
        process.wait(120)


def _answers(address: str) -> bool:
    with contextlib.suppress(httpx.HTTPError):
        return httpx.get(address, timeout=2).status_code == httpx.codes.OK
    return False


def run(_wanted: Container[str]) -> Iterator[Figure]:
    """Measure a first start, one of another checkout with warm download caches, and a second start of that."""
    folder = Path(tempfile.mkdtemp(prefix="collab-demo-ready-"))
    home = folder / "home"
    home.mkdir()
    try:
        first = until_login(checkout(folder), home)
        shutil.rmtree(folder / "checkout")
        without = until_login(checkout(folder), home)
        again = until_login(folder / "checkout", home)
    finally:
        shutil.rmtree(folder)
    yield Figure(
        name="demo_ready_s.downloads", value=first - without, unit="s", peer="an empty environment", peer_value=first
    )
    yield Figure(name="demo_ready_s.second", value=again, unit="s", peer="an empty environment", peer_value=first)
    yield Figure(
        name="demo_ready_s", value=first, unit="s", peer="the same with nothing to download", peer_value=without
    )
