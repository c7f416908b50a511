"""The words of a text, for the directory's search. Text stays in any script; only case and accents are folded."""

from __future__ import annotations

import re
import unicodedata
from typing import Final

LONGEST: Final = 40
MOST: Final = 2000
_WORD: Final = re.compile(r"\w+")


def words_of(*texts: str) -> frozenset[str]:
    """Return the distinct words of some texts, folded: “CO₂” and “co2” are the same word."""
    found: dict[str, None] = {}
    for text in texts:
        folded = unicodedata.normalize("NFKD", text).casefold()
        plain = "".join(c for c in folded if not unicodedata.combining(c))
        for word in _WORD.findall(plain):
            found.setdefault(word[:LONGEST])
            if len(found) >= MOST:
                return frozenset(found)
    return frozenset(found)
