"""The container images: their Dockerfiles, and what builds them."""

from __future__ import annotations

from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).parents[1]
NAMES: Final = ("hub", "services", "notebook", "proxy")
WITH_WHEEL: Final = frozenset({"hub", "services"})
