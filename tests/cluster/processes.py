"""Programs on the machine that outlive the script which started them.

Each carries a mark in its environment: the state folder and its own name. Whoever comes later, after a kill -9 as
well, finds by the mark what runs, and never takes another program for one of these, whatever its number is.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from .errors import ClusterError

MARK: Final = "JUPYTERHUB_COLLAB_TEST_CLUSTER"
_ENTER: Final = ("nsenter", "--net", "--mount", "--pid")
_DOORS: Final = ("nsenter", "unshare")
_PATIENCE: Final = 20.0


@dataclass(frozen=True)
class Processes:
    """The programs of one state folder."""

    state: Path

    def start(self, name: str, command: Sequence[str], *, inside: int | None = None, keep: Sequence[int] = ()) -> None:
        """Start a program unless it runs: in the namespaces of another where one is named, with what it keeps open."""
        if self.pid(name) is not None:
            return
        enter = [] if inside is None else [*_ENTER, f"--target={inside}", "--"]
        with self.log(name).open("ab") as log:
            process = subprocess.Popen(
                [*enter, *command],
                env=self._environment(name),
                cwd="/",
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
                pass_fds=keep,
            )
        # Its mark is to be seen a moment after it has been started, on a busy machine too late for whoever asks at once
        within(_PATIENCE, lambda: self.pid(name) is not None or process.poll() is not None)

    def pid(self, name: str) -> int | None:
        """Return the number of a running program: of the one in the namespaces, where another opened them for it."""
        for pid, marked in self.marked():
            if marked == name and _leads(pid):
                children = _children(pid) if _comm(pid) in _DOORS else []
                return children[0] if children else pid
        return None

    def names(self) -> set[str]:
        """Return the names of the programs that run."""
        return {name for _, name in self.marked()}

    def send(self, name: str, number: signal.Signals) -> None:
        """Send a signal to a program, if it runs."""
        pid = self.pid(name)
        if pid is not None:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, number)

    def stop(self, name: str, number: signal.Signals = signal.SIGTERM) -> None:
        """End a program and return when it is gone; kill it where it does not listen."""
        self.send(name, number)
        if not within(_PATIENCE, lambda: self.pid(name) is None):
            self.send(name, signal.SIGKILL)
            self.wait(f"{name} to end", lambda: self.pid(name) is None)

    def kill_all(self) -> None:
        """Kill all programs, and what they started, until none is left."""

        def none_left() -> bool:
            left = list(self.marked())
            for pid, _ in left:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            return not left

        self.wait("all programs to end", none_left)

    def wait_for(self, name: str, answers: Callable[[], bool], seconds: float = 60) -> None:
        """Wait until a program that was started does what it should.

        Raises
        ------
        ClusterError
            It ended, or took too long; with the end of its log.
        """

        def ready() -> bool:
            if self.pid(name) is None:
                raise ClusterError(f"{name} ended by itself.\n{self.tail(name)}")
            return answers()

        if not within(seconds, ready):
            raise ClusterError(f"{name} is not ready after {seconds:.0f} s.\n{self.tail(name)}")

    def wait(self, what: str, holds: Callable[[], bool], seconds: float = 60) -> None:
        """Wait until something holds.

        Raises
        ------
        ClusterError
            It does not within that time.
        """
        if not within(seconds, holds):
            raise ClusterError(f"Waited {seconds:.0f} s in vain for {what}. See {self.state / 'logs'}.")

    def log(self, name: str) -> Path:
        """Return the file in which a program says what it does."""
        folder = self.state / "logs"
        folder.mkdir(parents=True, exist_ok=True)
        return folder / f"{name}.log"

    def tail(self, name: str) -> str:
        """Return the end of what a program said."""
        return self.log(name).read_text(encoding="utf-8", errors="replace")[-3000:]

    def marked(self) -> Iterator[tuple[int, str]]:
        """Find the numbers and the names of all that carry the mark."""
        mark = f"{MARK}={self.state}:".encode()
        for folder in Path("/proc").glob("[0-9]*"):
            with contextlib.suppress(OSError):
                found = [item for item in (folder / "environ").read_bytes().split(b"\0") if item.startswith(mark)]
                if found:
                    yield int(folder.name), found[0].removeprefix(mark).decode()

    def _environment(self, name: str) -> Mapping[str, str]:
        return {
            MARK: f"{self.state}:{name}",
            "HOME": str(self.state),
            "LANG": "C.UTF-8",
            "PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
        }


def within(seconds: float, holds: Callable[[], bool]) -> bool:
    """Wait until something holds; tell whether it does within that time."""
    end = time.monotonic() + seconds
    while not holds():
        if time.monotonic() > end:
            return False
        time.sleep(0.1)
    return True


def _leads(pid: int) -> bool:
    with contextlib.suppress(ProcessLookupError):
        return os.getsid(pid) == pid
    return False


def _children(pid: int) -> list[int]:
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text(encoding="ascii").split()]


def _comm(pid: int) -> str:
    return Path(f"/proc/{pid}/comm").read_text(encoding="utf-8").strip()
