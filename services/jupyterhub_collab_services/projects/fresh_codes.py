"""Codes of invitation links between their making and their one showing.

Only a hash is stored for good. The code waits in this process for the page that its maker is led to, and nowhere else:
no address, cookie or log ever holds it.
"""

from __future__ import annotations

import time
from typing import Final

_SECONDS: Final = 300


class FreshCodes:
    """Each code is given out once, to its maker."""

    def __init__(self) -> None:
        self._codes: dict[tuple[str, int], tuple[float, str]] = {}

    def put(self, who: str, invitation: int, code: str) -> None:
        """Keep a code for a few minutes."""
        now = time.monotonic()
        self._codes = {key: kept for key, kept in self._codes.items() if kept[0] > now}
        self._codes[who, invitation] = (now + _SECONDS, code)

    def take(self, who: str, invitation: int) -> str | None:
        """Return a code and forget it."""
        until, code = self._codes.pop((who, invitation), (0.0, ""))
        return code if until > time.monotonic() else None
