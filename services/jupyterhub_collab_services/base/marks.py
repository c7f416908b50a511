"""What stands for a person or a project: letters and a colour, the same on every page."""

from __future__ import annotations

import re
import unicodedata
import zlib
from typing import Final

# Far enough apart to be told from one another, none of them orange, which says where you are
HUES: Final = (205, 226, 262, 338, 22, 168, 190)
_PARTS: Final = re.compile(r"[^\W_]+")
_LONGEST_FORMULA: Final = 6


def hue(name: str) -> int:
    """Return the hue of a slug or an account name."""
    return HUES[zlib.crc32(name.encode()) % len(HUES)]


def initials(name: str) -> str:
    """Return two letters for a person or a group: “m.okafor” is MO."""
    parts = _PARTS.findall(name)
    letters = parts[0][0] + parts[1][0] if len(parts) > 1 else "".join(parts)[:2]
    return letters.upper() or "?"


def _is_script(letter: str, word: str) -> bool:
    return unicodedata.decomposition(letter).startswith(word)


def _is_formula(word: str) -> bool:
    capitals = sum(c.isupper() for c in word)
    marked = any(c.isdigit() or _is_script(c, "<s") for c in word[1:])
    return len(word) <= _LONGEST_FORMULA and (capitals > 1 or (capitals == 1 and marked)) and word[0].isalpha()


def tile_letters(title: str) -> str:
    """Return two letters for a project, as in the periodic table: the formula in its title, else its beginning."""
    words = [word.strip("()[]“”\"',.:;") for word in title.split()]
    for word in filter(None, words):
        if _is_formula(word):
            return "".join(c for c in word if not _is_script(c, "<super>"))[:2]
    parts = _PARTS.findall(words[0]) if words else []
    if not parts:
        return title.strip()[:2] or "?"
    second: str = parts[1][0] if len(parts) > 1 else parts[0][1:2]
    return f"{parts[0][0].upper()}{second.lower()}"
