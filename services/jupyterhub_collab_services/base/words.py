"""Times, sizes and numbers in the words that people read."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Final

_NUMBERS: Final = "no one two three four five six seven eight nine ten eleven twelve".split()
_UNITS: Final = ("bytes", "kB", "MB", "GB", "TB", "PB")
_KILO: Final = 1000
_THREE_DIGITS: Final = 100
_MINUTE: Final = 60
_HOUR: Final = 60 * _MINUTE
# Where one unit gives way to the next, in days
_WEEKS_FROM: Final = 21
_MONTHS_FROM: Final = 60
_YEARS_FROM: Final = 365
_HOURS_PAST_MIDNIGHT: Final = 6


def count_of(number: int, one: str, many: str = "") -> str:
    """Return a number with its noun: “1 member”, “9 members”."""
    return f"{number:,} {one if number == 1 else many or one + 's'}".replace(",", "\u2009")


def number_word(number: int) -> str:
    """Return a small number as a word, a larger one in digits."""
    return _NUMBERS[number] if 0 <= number < len(_NUMBERS) else str(number)


def _days_between(earlier: datetime, later: datetime) -> int:
    return (later.astimezone(UTC).date() - earlier.astimezone(UTC).date()).days


def _amount(seconds: float, days: int) -> str:
    """Return the length of a span in its largest fitting unit."""
    if seconds < _HOUR:
        return count_of(max(1, round(seconds / _MINUTE)), "minute")
    if days < 1 or seconds < _HOURS_PAST_MIDNIGHT * _HOUR:
        return count_of(max(1, round(seconds / _HOUR)), "hour")
    if days < _WEEKS_FROM:
        return count_of(days, "day")
    if days < _MONTHS_FROM:
        return count_of(round(days / 7), "week")
    if days < _YEARS_FROM:
        return count_of(max(2, round(days / 30.4)), "month")
    return count_of(round(days / _YEARS_FROM), "year")


def relative(instant: datetime, now: datetime) -> str:
    """Return how long ago or how far ahead an instant is."""
    if instant > now:
        return f"in {_amount((instant - now).total_seconds(), (instant - now).days)}"
    seconds, days = (now - instant).total_seconds(), _days_between(instant, now)
    if seconds < _MINUTE:
        return "just now"
    if days == 1 and seconds >= _HOURS_PAST_MIDNIGHT * _HOUR:
        return "yesterday"
    return f"{_amount(seconds, days)} ago"


def absolute(instant: datetime) -> str:
    """Return an instant in full, in UTC; a script gives it in the reader's zone."""
    moment = instant.astimezone(UTC)
    return f"{moment.day} {moment:%B %Y, %H:%M} UTC"


def is_soon(instant: datetime, now: datetime) -> bool:
    """Tell whether less than a day is left."""
    return instant - now < timedelta(days=1)


def size(number: float) -> str:
    """Return a number of bytes in decimal units: 34 kB, 38.2 GB."""
    step = 0
    while number >= _KILO and step < len(_UNITS) - 1:
        number, step = number / _KILO, step + 1
    digits = 0 if step < _UNITS.index("MB") or number >= _THREE_DIGITS else 1
    return f"{number:.{digits}f} {_UNITS[step]}"


def memory(number: int) -> str:
    """Return an amount of memory, in powers of two where it is one of them."""
    for unit, step in (("GB", 1024**3), ("MB", 1024**2)):
        if number >= step and number * 4 % step == 0:
            return f"{number / step:g} {unit}"
    return size(number)


def listing(names: list[str]) -> str:
    """Return names as a sentence has them: “a, b and c”."""
    *first, last = names or [""]
    return f"{', '.join(first)} and {last}" if first else last
