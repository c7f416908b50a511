"""Metrics, from the collectors that the packages make."""

from __future__ import annotations

from prometheus_client.metrics import MetricWrapperBase

from .markdown import code, entry, facts
from .packages import modules


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
