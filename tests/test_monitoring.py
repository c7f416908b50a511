"""What alerts and dashboard of the chart ask for exists, and what exists is asked for."""

from __future__ import annotations

import re

import jupyterhub.metrics
import pytest
from collab_manual.metrics import collectors
from prometheus_client.metrics import MetricWrapperBase

from jupyterhub_collab.errors import CollabError
from jupyterhub_collab_spawner import metrics
from tests.support.monitoring import alerts, dashboard, expressions, metrics_of

# Of a counter and of a histogram
SUFFIXES = re.compile(r"_(total|bucket|count|sum)$")
HUB = [thing for thing in vars(jupyterhub.metrics).values() if isinstance(thing, MetricWrapperBase)]
KNOWN = {SUFFIXES.sub("", name): found for name, found in collectors().items()}
KNOWN |= {SUFFIXES.sub("", next(iter(found.describe())).name): found for found in HUB}


def kind(name: str) -> str:
    found = KNOWN[SUFFIXES.sub("", name)]
    return str(next(iter(found.describe())).type)


@pytest.mark.parametrize("expression", list(expressions()))
def test_a_query_asks_for_what_exists_and_by_its_kind(expression: str) -> None:
    names = metrics_of(expression)
    assert names
    for name in names:
        suffix = SUFFIXES.search(name)
        assert {"counter": "total", "gauge": None}.get(kind(name), "bucket") == (
            "bucket" if suffix and suffix[1] == "count" else suffix and suffix[1]
        ), name


@pytest.mark.parametrize("expression", list(expressions()))
def test_a_query_groups_by_labels_that_exist(expression: str) -> None:
    added = {"le", "namespace", "pod"}  # by the library, and by whoever collects
    labels = {label for name in metrics_of(expression) for label in KNOWN[SUFFIXES.sub("", name)]._labelnames}
    grouped = {
        label.strip() for group in re.findall(r"(?:by|ignoring) \(([^)]+)\)", expression) for label in group.split(",")
    }
    asked = set(re.findall(r'([a-z]+)(?:=|!=|=~|!~)"', expression))
    assert grouped | asked <= labels | added


def test_the_dashboard_shows_every_metric() -> None:
    shown = {SUFFIXES.sub("", name) for expression in expressions() for name in metrics_of(expression)}
    assert {SUFFIXES.sub("", name) for name in collectors()} <= shown


def codes(of: type[CollabError]) -> set[str]:
    return {of.code}.union(*(codes(child) for child in of.__subclasses__()))


def test_the_codes_that_no_alert_counts_exist() -> None:
    (expression,) = [alert["expr"] for alert in alerts() if alert["alert"] == "CollabStartsFail"]
    (listed,) = re.findall(r'code!~"([^"]+)"', expression)
    known = [code for code in codes(CollabError) if re.fullmatch(listed, code)]
    assert len(known) == 6
    assert not re.fullmatch(listed, "image-pull")


def test_every_alert_says_what_is_wrong_what_follows_and_how_grave_it_is() -> None:
    for alert in alerts():
        assert alert["alert"].startswith("Collab")
        assert alert["labels"]["severity"] in {"critical", "warning"}
        assert alert["annotations"]["description"].strip().endswith(".")
        assert not alert["annotations"]["summary"].endswith(".")
        assert "for" in alert


def test_panels_lie_side_by_side_and_have_numbers_of_their_own() -> None:
    panels = dashboard()["panels"]
    assert len({panel["id"] for panel in panels}) == len(panels)
    cells = [
        (place["x"] + dx, place["y"] + dy)
        for place in (panel["gridPos"] for panel in panels)
        for dx in range(place["w"])
        for dy in range(place["h"])
    ]
    assert len(cells) == len(set(cells))
    assert max(x for x, _ in cells) < 24


def test_why_a_server_is_stopped_is_described_with_its_metric() -> None:
    for label in (*metrics._STOP_REASONS.values(), "other"):
        assert label in metrics.STOPPED._documentation
