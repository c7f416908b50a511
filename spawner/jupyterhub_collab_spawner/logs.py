"""Logs of servers. A server holds its log open and can make it look as long as it likes: only its end is ever read."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path


def end_of(log: Path, most: int) -> bytes:
    """Return the last bytes of a log.

    Raises
    ------
    OSError
        It can't be read.
    """
    with log.open("rb") as file:
        file.seek(max(0, os.fstat(file.fileno()).st_size - most))
        return file.read(most)


def bound(log: Path, most: int) -> None:
    """Begin a log anew where it is longer than so many bytes; one older part of that length is kept.

    Raises
    ------
    OSError
        It can't be read or written.
    """
    if log.stat().st_size > most:
        log.with_suffix(".old.log").write_bytes(end_of(log, most))
        os.truncate(log, 0)
