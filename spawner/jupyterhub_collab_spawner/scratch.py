"""Scratch space on one machine: what nobody changed for some days is deleted, and told before.

When a file was changed say its content (mtime) and its name, owner and mode (ctime), whichever is later: what was just
unpacked has an old mtime. When it was read does not count, since most machines do not keep that.
"""

from __future__ import annotations

import subprocess
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

from jupyterhub_collab.volumes.models import ScratchUse

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_DAY: Final = 24 * 3600
_WARN_DAYS: Final = 7


def folders(root: Path) -> list[Path]:
    """Return the scratch folders of all persons."""
    return sorted(path for path in root.glob("scratch-*") if path.is_dir() and not path.is_symlink())


def clean(folder: Path, days: int, now: float) -> ScratchUse:
    """Delete what nobody changed for so many days; return what is left, and what of it goes soon.

    ``now`` is in seconds since 1970.

    Links are deleted, not followed, and nothing outside of the folder's file system is. A folder goes when it is empty
    and as old as a file that goes.

    Raises
    ------
    OSError
        Something in it can't be looked at; the rest is done.
    """
    since = f"@{now - days * _DAY:.3f}"
    old = ("!", "-newermt", since, "!", "-newerct", since)
    inside = ("find", str(folder), "-xdev", "-mindepth", "1")
    failed = [
        _failure([*inside, "!", "-type", "d", *old, "-delete"]),
        _failure([*inside, "-depth", "-type", "d", "-empty", *old, "-delete"]),
    ]
    use = _use(folder, days, now)
    if any(failed):
        raise OSError(f"{folder.name}: {''.join(failed)[-500:]}")
    return use


def _failure(command: list[str]) -> str:
    done = subprocess.run(command, capture_output=True, text=True, errors="replace", check=False)
    return done.stderr if done.returncode else ""


def _use(folder: Path, days: int, now: float) -> ScratchUse:
    size = going = 0
    first: float | None = None
    soon = now + min(_WARN_DAYS, days / 2) * _DAY
    for changed, length in _files(folder):
        size += length
        goes = changed + days * _DAY
        if goes <= soon:
            going += length
            first = goes if first is None else min(first, goes)
    return ScratchUse(size=size, going=going, goes_from=None if first is None else datetime.fromtimestamp(first, UTC))


def _files(folder: Path) -> Iterator[tuple[float, int]]:
    """Return when each file was changed, and its size."""
    command = ["find", str(folder), "-xdev", "-type", "f", "-printf", "%T@ %C@ %s\n"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as found:
        for line in found.stdout or ():
            modified, changed, size = line.split()
            yield max(float(modified), float(changed)), int(size)
