"""The alerts and the dashboard of the chart as data, and the names of metrics in them."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import yaml

_FILES: Final = Path(__file__).parents[2] / "helm" / "jupyterhub-collab" / "files" / "monitoring"
RULES: Final = _FILES / "rules.yaml"
DASHBOARD: Final = _FILES / "dashboard.json"
_NAME: Final = re.compile(r"\b((?:jupyterhub|process)_[a-z_]+)")


def alerts() -> list[dict[str, Any]]:
    """Return all alerts."""
    return [rule for group in yaml.safe_load(RULES.read_text(encoding="utf-8"))["groups"] for rule in group["rules"]]


def dashboard() -> dict[str, Any]:
    """Return the dashboard."""
    found: dict[str, Any] = json.loads(DASHBOARD.read_text(encoding="utf-8"))
    return found


def expressions() -> Iterator[str]:
    """Return the queries of alerts and dashboard."""
    yield from (alert["expr"] for alert in alerts())
    for panel in dashboard()["panels"]:
        yield from (target["expr"] for target in panel.get("targets", ()))


def metrics_of(expression: str) -> set[str]:
    """Return the names of metrics in a query."""
    return set(_NAME.findall(expression))
