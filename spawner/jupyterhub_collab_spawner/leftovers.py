"""What Hubs leave on the machine: removed where nothing uses it any more."""

from __future__ import annotations

import atexit
import contextlib
import os
import shutil
import socket
import struct
from typing import TYPE_CHECKING, Final

from jupyterhub_collab import names

from . import cgroups

if TYPE_CHECKING:
    from collections.abc import Collection
    from pathlib import Path

_CREDENTIALS: Final = "3i"  # struct ucred of unix(7): pid, uid, gid


def remove_at_exit(runtime: Path) -> None:
    """Remove the runtime folder when this process ends, unless servers, a proxy or another Hub use it then."""
    atexit.register(remove_unused, runtime)


def remove_unused(runtime: Path) -> None:
    """Remove the runtime folder and its control groups, unless something uses them."""
    sockets = [runtime / "hub" / "hub.sock", runtime / "proxy.sock"]
    if any(runtime.glob("s-*")) or any(map(_serves, sockets)):
        return
    for path in sockets:
        path.unlink(missing_ok=True)
    with contextlib.suppress(OSError):  # what else somebody put there is theirs
        (runtime / "hub").rmdir()
        runtime.rmdir()
    cgroups.find(runtime.name).remove()


def remove_unrecorded(runtime: Path, claimed: Collection[tuple[str, str]]) -> None:
    """Remove folders and control groups of starts that were cut off before there was a record or a process.

    A control group in which anything runs can't be removed, so none is that matters.
    """
    kept = {names.server_directory(*server) for server in claimed}
    for folder in runtime.glob("s-*"):
        if folder.name not in kept and not (folder / "record.json").exists():
            shutil.rmtree(folder, ignore_errors=True)
    for slot in cgroups.find(runtime.name).slots:
        for group in slot.path.glob("s-*"):
            if group.name not in kept:
                with contextlib.suppress(OSError):
                    group.rmdir()


def _serves(path: Path) -> bool:
    """Tell whether another process listens on a socket."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as asking:
        try:
            asking.connect(str(path))
        except OSError:
            return False
        pid, _, _ = struct.unpack(
            _CREDENTIALS, asking.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, struct.calcsize(_CREDENTIALS))
        )
        return bool(pid != os.getpid())
