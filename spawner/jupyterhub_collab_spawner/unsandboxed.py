"""Servers without isolation, for trying things on a machine without bubblewrap.

Every server can read and write what every other can. Read-only mounts are links to folders that can be written.
"""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

    from jupyterhub_collab.volumes.models import Mount

    from .builders.bubblewrap import Account


def command(program: list[str], account: Account | None, setpriv: str, environment: dict[str, str]) -> list[str]:
    """Return the command line that runs a program as the account, without the Hub's environment."""
    drop = [setpriv, f"--reuid={account.uid}", f"--regid={account.gid}", "--clear-groups"] if account else []
    pairs = [f"{key}={value}" for key, value in environment.items()]
    return [*drop, "/usr/bin/env", "--ignore-environment", *pairs, *program]


def link(mounts: Iterable[Mount], storage: Path) -> None:
    """Put links where mounts would be, in the person's home; what else stands there stays."""
    storage.chmod(0o711)
    found = list(mounts)
    home = storage / found[0].volume
    for mount in found[1:]:
        if mount.path.startswith("~/"):
            place = home / mount.path[2:]
            place.parent.mkdir(exist_ok=True)
            with contextlib.suppress(FileExistsError):
                place.symlink_to(mount.source or storage / mount.volume)
