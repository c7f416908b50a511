"""How often one person may do something, counted in this process."""

from __future__ import annotations

import math
import time

from limits import RateLimitItemPerMinute
from limits.storage import MemoryStorage
from limits.strategies import MovingWindowRateLimiter

from jupyterhub_collab.errors import TooManyRequestsError


class PerMinute:
    """At most so many times in any minute, for each person."""

    def __init__(self, most: int) -> None:
        self._limit = RateLimitItemPerMinute(most)
        self._limiter = MovingWindowRateLimiter(MemoryStorage())

    def count(self, who: str) -> None:
        """Count once.

        Raises
        ------
        TooManyRequestsError
            They did it too often; it says when they may again.
        """
        if not self._limiter.hit(self._limit, who):
            reset = self._limiter.get_window_stats(self._limit, who).reset_time
            raise TooManyRequestsError(max(1, math.ceil(reset - time.time())))
