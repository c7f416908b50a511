"""The verbs of a checkout, from the Makefile."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Final

from .markdown import entry

MAKEFILE: Final = Path(__file__).parents[3] / "Makefile"
_VERB: Final = re.compile(r"^([a-z-]+):.*?## (.+)$", re.MULTILINE)


def verbs() -> dict[str, str]:
    """Return what each verb does."""
    return dict(_VERB.findall(MAKEFILE.read_text(encoding="utf-8")))


def text() -> str:
    """Return the reference."""
    return "\n".join(entry("verb", f"make {name}", f"{meaning}.") for name, meaning in verbs().items())
