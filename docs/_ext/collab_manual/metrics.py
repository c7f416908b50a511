"""Metrics, from the collectors that the packages make, and the alerts of the chart."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Final

import yaml
from prometheus_client.metrics import MetricWrapperBase

from .markdown import code, entry, facts
from .packages import modules

_RULES: Final = Path(__file__).parents[3] / "helm" / "jupyterhub-collab" / "files" / "monitoring" / "rules.yaml"


def collectors() -> dict[str, MetricWrapperBase]:
    """Return our collectors by the name of their metric."""
    found = [thing for module in modules() for thing in vars(module).values() if isinstance(thing, MetricWrapperBase)]
    return {_name(collector): collector for collector in sorted(found, key=_name)}


def _name(collector: MetricWrapperBase) -> str:
    (metric,) = collector.describe()
    return f"{metric.name}_total" if metric.type == "counter" else metric.name


def text() -> str:
    """Return the reference."""
    return "\n".join(_entry(name, collector) for name, collector in collectors().items())


def _entry(name: str, collector: MetricWrapperBase) -> str:
    (metric,) = collector.describe()
    labels = ", ".join(code(label) for label in collector._labelnames)  # noqa: SLF001 - the library has no public way
    return entry("metric", name, metric.documentation, facts(kind=metric.type, labels=labels))


def alerts() -> str:
    """Return the table of alerts."""
    groups = yaml.safe_load(_RULES.read_text(encoding="utf-8"))["groups"]
    rows = [
        f"| {code(rule['alert'])} | {rule['labels']['severity']} | {rule['for']} | {_told(rule['annotations'])} |"
        for group in groups
        for rule in group["rules"]
    ]
    return "\n".join(["| Alert | Severity | After | What it means |", "| --- | --- | --- | --- |", *rows])


def _told(annotations: dict[str, str]) -> str:
    told = f"**{annotations['summary']}.** {annotations['description']}"
    return re.sub(r"\{\{ \$labels\.(\w+) \}\}", r"*\1*", re.sub(r"\{\{ \$value[^}]*\}\}", "Some", told))
