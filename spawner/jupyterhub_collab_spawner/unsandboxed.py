"""Servers without isolation, for trying things on a machine without bubblewrap.

Every server can read and write what every other can. Read-only mounts are links to folders that can be written.
"""

from __future__ import annotations

import contextlib
import os
from pathlib import Path
from typing import TYPE_CHECKING

from .errors import SandboxUnavailableError

if TYPE_CHECKING:
    from collections.abc import Iterable

    from jupyterhub_collab.volumes.models import Mount


def refuse_root() -> None:
    """Refuse to run servers without isolation from a Hub that is root.

    Raises
    ------
    SandboxUnavailableError
        With the way out.
    """
    if os.geteuid() == 0:
        raise SandboxUnavailableError('isolation = "none" is never for root: start the Hub as an ordinary account.')


def command(program: list[str], environment: dict[str, str]) -> list[str]:
    """Return the command line that runs a program without the Hub's environment."""
    return ["/usr/bin/env", "--ignore-environment", *(f"{key}={value}" for key, value in environment.items()), *program]


def link(mounts: Iterable[Mount], storage: Path) -> None:
    """Put links where mounts would be, in the person's home; what else stands there stays."""
    found = list(mounts)
    home = storage / found[0].volume
    for mount in found[1:]:
        if mount.path.startswith("~/"):
            place = home / mount.path[2:]
            place.parent.mkdir(exist_ok=True)
            with contextlib.suppress(FileExistsError):
                place.symlink_to(mount.source or storage / mount.volume)
