"""Cursors of lists: where the next page begins, opaque to whoever carries them."""

from __future__ import annotations

import base64
import json
from datetime import UTC, datetime

from jupyterhub_collab.errors import InvalidInputError


def pack(value: str, key: str) -> str:
    """Return the cursor behind a row."""
    return base64.urlsafe_b64encode(json.dumps([value, key]).encode()).decode().rstrip("=")


def unpack(cursor: str, *, instant: bool = False) -> tuple[str, str]:
    """Return the row that a cursor names; with ``instant`` its value is one, with its zone.

    Raises
    ------
    InvalidInputError
        It is none of ours.
    """
    try:
        value, key = _parse(cursor)
        if instant:
            _check_instant(value)
    except (ValueError, OverflowError, RecursionError) as error:
        msg = "Take the address of the next page from “next” as it is."
        raise InvalidInputError(msg, field="cursor") from error
    return value, key


def _parse(cursor: str) -> tuple[str, str]:
    found = json.loads(base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)))
    match found:
        case [str(value), str(key)] if (value + key).isprintable():
            return value, key
    msg = "not two lines of text"
    raise ValueError(msg)


def _check_instant(text: str) -> None:
    moment = datetime.fromisoformat(text)
    if moment.tzinfo is None:
        msg = "no zone, so no instant"
        raise ValueError(msg)
    moment.astimezone(UTC)  # some instants of the first and last year are none in UTC
