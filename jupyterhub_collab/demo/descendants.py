"""Ending everything that a process started, with all that those started.

A Hub starts servers and a proxy in sessions of their own, so a process group does not hold them. The kernel gives a
*subreaper* every orphan below it (prctl(2), PR_SET_CHILD_SUBREAPER): what is left then always has us as its parent.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import signal
import time
from pathlib import Path
from typing import Final

_PR_SET_CHILD_SUBREAPER: Final = 36
_LOOK: Final = 0.05


def adopt_orphans() -> None:
    """Become the parent of every process below this one whose own parent ends.

    Raises
    ------
    OSError
        The kernel refuses.
    """
    if ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) != 0:
        raise OSError(ctypes.get_errno(), "prctl(PR_SET_CHILD_SUBREAPER) failed")


def end_children(grace: float) -> None:
    """End all children and, as they become ours, their children: with SIGTERM, after the grace with SIGKILL."""
    killing_from = time.monotonic() + grace
    while children := _children():
        patient = time.monotonic() < killing_from
        for pid in children:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.kill(pid, signal.SIGTERM if patient else signal.SIGKILL)
        time.sleep(_LOOK)
        bury_orphans()


def bury_orphans(but: int = 0) -> None:
    """Take the exit codes of ended children, but not that of the one which somebody else here waits for."""
    looking = os.WEXITED | os.WNOHANG | os.WNOWAIT
    with contextlib.suppress(ChildProcessError):
        while (ended := os.waitid(os.P_ALL, 0, looking)) and ended.si_pid != but:
            os.waitpid(ended.si_pid, 0)


def _children() -> list[int]:
    """Return the children of this process."""
    mine = os.getpid()
    return [int(folder.name) for folder in Path("/proc").glob("[0-9]*") if _parent(folder) == mine]


def _parent(folder: Path) -> int | None:
    try:
        # proc_pid_stat(5): "pid (name) state ppid …", and a name may hold spaces and parentheses
        return int((folder / "stat").read_text(errors="replace").rpartition(")")[2].split()[1])
    except OSError:
        return None
