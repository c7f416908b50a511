"""The counts that the Hub shows of what runs in its process."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any, cast

import pytest
from prometheus_client import REGISTRY, CollectorRegistry, generate_latest
from prometheus_client.metrics import MetricWrapperBase

from jupyterhub_collab.errors import ServerLimitError
from jupyterhub_collab.servers.models import Excess, OpenGrant
from jupyterhub_collab_spawner import core, metrics
from jupyterhub_collab_spawner.enforcement import Enforcement
from jupyterhub_collab_spawner.planned import refusal
from jupyterhub_collab_spawner.strays import UnknownStrays


def value(name: str, **labels: str) -> float:
    return REGISTRY.get_sample_value(f"jupyterhub_collab_{name}", labels) or 0.0


class Core:
    """A core that says who holds too much, and that may be away."""

    broken = False
    reason = "lost projects/co2"

    async def excess(self) -> list[Excess]:
        if self.broken:
            raise ConnectionError
        return [Excess(grant_id=1, person="ada", server_name="", reason=self.reason)]

    async def open_grants(self) -> list[OpenGrant]:
        return [OpenGrant(id=1, person="ada", server_name="")]


@dataclass(eq=False)
class Server:
    """A server that ends when it is told to, unless it is stubborn."""

    stubborn: bool
    delay: float
    grant_id: int | None = 1
    name: str = ""
    active: bool = True
    ready: bool = False
    pending: str = "stop"
    _log_name: str = "ada"
    user: SimpleNamespace = field(default_factory=lambda: SimpleNamespace(name="ada"))

    async def take_away(self) -> None:
        if self.stubborn:
            raise RuntimeError("It outlived a kill")
        await asyncio.sleep(self.delay)
        self.grant_id = None


def server(*, stubborn: bool = False, delay: float = 0) -> Server:
    made = Server(stubborn=stubborn, delay=delay)
    Enforcement.spawners.add(cast("Any", made))
    return made


@pytest.fixture
async def enforcement(monkeypatch: pytest.MonkeyPatch) -> Enforcement:
    monkeypatch.setattr(core._Chosen, "servers", Core())
    monkeypatch.setattr(Enforcement, "spawners", type(Enforcement.spawners)())
    monkeypatch.setattr(Enforcement, "_looked", asyncio.Event())
    made = Enforcement(3600, UnknownStrays())
    made._task.cancel()
    return made


async def one_round(enforcement: Enforcement, seconds: float = 0.05) -> None:
    """Let it look as it does by itself, once."""
    task = asyncio.ensure_future(enforcement._run())
    await asyncio.sleep(seconds)
    task.cancel()


async def test_a_look_is_timed_and_dated(enforcement: Enforcement) -> None:
    before = value("enforcement_look_seconds_count"), value("enforcement_last_look_timestamp_seconds")
    await one_round(enforcement)
    assert value("enforcement_look_seconds_count") == before[0] + 1
    assert value("enforcement_last_look_timestamp_seconds") > before[1]


async def test_a_look_that_fails_is_counted_and_keeps_the_date(enforcement: Enforcement) -> None:
    cast("Core", core.servers()).broken = True
    before = value("enforcement_look_failures_total"), value("enforcement_last_look_timestamp_seconds")
    await one_round(enforcement)
    assert value("enforcement_look_failures_total") == before[0] + 1
    assert value("enforcement_last_look_timestamp_seconds") == before[1]


async def test_what_is_stopped_is_counted_by_why(enforcement: Enforcement) -> None:
    held = server()
    before = value("servers_stopped_total", reason="lost-mount")
    await enforcement.look()
    assert held.grant_id is None
    assert value("servers_stopped_total", reason="lost-mount") == before + 1
    assert value("servers_stopping") == 0


async def test_what_is_still_being_stopped_is_shown(enforcement: Enforcement, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("jupyterhub_collab_spawner.enforcement._PATIENCE_WITH_SERVERS", 0.01)
    held = server(delay=0.1)
    await enforcement.look()
    assert value("servers_stopping") == 1
    await asyncio.sleep(0.15)
    assert held.grant_id is None
    await enforcement.look()
    assert value("servers_stopping") == 0


async def test_a_stop_that_fails_is_counted_as_such(enforcement: Enforcement) -> None:
    held = server(stubborn=True)
    before = value("server_stop_failures_total"), value("servers_stopped_total", reason="lost-mount")
    await enforcement.look()
    assert held.grant_id == 1
    assert value("server_stop_failures_total") == before[0] + 1
    assert value("servers_stopped_total", reason="lost-mount") == before[1]


@pytest.mark.parametrize(
    ("sentence", "label"),
    [
        ("lost ~/projects/co2", "lost-mount"),
        ("stopped by a lead", "stopped-by-lead"),
        ("over the limit of the project", "over-limit"),
        ("not for them: gpu", "not-for-them"),
        ("the person was removed", "removed-person"),
        ("it has no grant on record", "no-grant"),
        ("ada did something new", "other"),
    ],
)
def test_a_label_for_why_holds_no_name(sentence: str, label: str) -> None:
    assert metrics.stop_reason(sentence) == label


def test_a_refusal_is_counted_by_its_code() -> None:
    before = value("spawn_refusals_total", code="server-limit-reached")
    refusal(ServerLimitError("You run three servers.", limit=3, running=[]))
    assert value("spawn_refusals_total", code="server-limit-reached") == before + 1


def test_names_have_units_and_labels_are_few() -> None:
    registry = CollectorRegistry()
    ours = [thing for thing in vars(metrics).values() if isinstance(thing, MetricWrapperBase)]
    assert len(ours) > 10
    for collector in ours:
        registry.register(collector)
        assert set(collector._labelnames) <= {"reason", "code", "volume", "change", "work", "outcome"}
    names = [family.name for family in registry.collect()]
    assert all(name.startswith("jupyterhub_collab_") for name in names)
    assert b"jupyterhub_collab_enforcement_look_seconds_bucket" in generate_latest(registry)
