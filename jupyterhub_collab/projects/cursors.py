"""Cursors of lists: where the next page begins, opaque to whoever carries them."""

from __future__ import annotations

import base64
import binascii
import json

from jupyterhub_collab.errors import InvalidInputError


def pack(value: str, key: str) -> str:
    """Return the cursor behind a row."""
    return base64.urlsafe_b64encode(json.dumps([value, key]).encode()).decode().rstrip("=")


def unpack(cursor: str) -> tuple[str, str]:
    """Return the row that a cursor names.

    Raises
    ------
    InvalidInputError
        It is none of ours.
    """
    try:
        value, key = json.loads(base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)))
    except (ValueError, binascii.Error, TypeError):
        value = key = None
    if not (isinstance(value, str) and isinstance(key, str)):
        msg = "Take the address of the next page from “next” as it is."
        raise InvalidInputError(msg, field="cursor")
    return value, key
