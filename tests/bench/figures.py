"""What a benchmark prints."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True, slots=True)
class Figure:
    """A value beside its peer, both measured in this run."""

    name: str
    """The figure's name; what stands behind a dot says which of several it is."""
    value: float
    unit: str
    peer: str
    peer_value: float

    def line(self) -> str:
        """Return the figure as one line of JSON."""
        ratio = self.value / self.peer_value if self.peer_value else math.inf
        return json.dumps(
            {
                "name": self.name,
                "value": _short(self.value),
                "unit": self.unit,
                "peer": self.peer,
                "peer_value": _short(self.peer_value),
                "ratio": _short(ratio) if math.isfinite(ratio) else None,
            },
            ensure_ascii=False,
        )


def _short(number: float) -> float:
    return float(f"{number:.4g}")


def percentile(values: Sequence[float], percent: float) -> float:
    """Return the smallest of the values that at least so many percent of them do not exceed."""
    ordered = sorted(values)
    return ordered[max(0, math.ceil(len(ordered) * percent / 100) - 1)]
