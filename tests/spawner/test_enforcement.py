"""Enforcement compares state with state; here with a core and spawners that fail when told to."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Collection, Mapping
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any, cast
from weakref import WeakSet

import pytest

from jupyterhub_collab.servers.models import Excess, Grant, OpenGrant, ServerPlan
from jupyterhub_collab.settings import Environment, ResourceClass
from jupyterhub_collab_spawner import core
from jupyterhub_collab_spawner.enforcement import Enforcement


def plan(person: str, server_name: str = "") -> ServerPlan:
    return ServerPlan(
        person=person,
        server_name=server_name,
        project=None,
        mounts=(),
        environment_name="default",
        environment=Environment(),
        resource_class_name="small",
        resource_class=ResourceClass(),
        idle_minutes=10,
        working_directory="~",
    )


@dataclass
class FakeServers:
    """The core's grants, with what is too much; ``broken`` is a database that is away."""

    grants: dict[int, ServerPlan] = field(default_factory=dict)
    too_much: set[int] = field(default_factory=set)
    broken: bool = False

    async def grant(
        self, person: str, server_name: str, *, running: frozenset[str], options: Mapping[str, object]
    ) -> Grant:
        raise AssertionError((person, server_name, running, options))

    async def ended(self, person: str, server_name: str, *, grant: int) -> None:
        assert (self.grants[grant].person, self.grants[grant].server_name) == (person, server_name)
        del self.grants[grant]

    async def excess(self) -> list[Excess]:
        if self.broken:
            raise ConnectionError
        return [
            Excess(grant_id=number, person=held.person, server_name=held.server_name, reason="lost")
            for number, held in self.grants.items()
            if number in self.too_much
        ]

    async def open_grants(self) -> list[OpenGrant]:
        return [
            OpenGrant(id=number, person=held.person, server_name=held.server_name)
            for number, held in self.grants.items()
        ]


class FakeSpawner:
    """A server that ends when it is told to, unless it is ``stubborn``, and after a ``delay``."""

    interval = 0.01

    def __init__(self, servers: FakeServers, person: str, grant: int, *, pending: str | None = None) -> None:
        self.servers, self.grant_id, self.pending = servers, cast("int | None", grant), pending
        self.user, self.name, self._log_name = SimpleNamespace(name=person), "", person
        self.active, self.stubborn, self.noticed, self.delay = True, False, 0, 0.0

    @property
    def ready(self) -> bool:
        return self.active and not self.pending

    async def take_away(self) -> None:
        await asyncio.sleep(self.delay)
        if self.stubborn:
            raise RuntimeError("It outlived a kill")
        number, self.grant_id = self.grant_id, None
        if number in self.servers.grants:
            await self.servers.ended(self.user.name, self.name, grant=number)

    async def poll_and_notify(self) -> None:
        assert self.grant_id is None
        self.active = False
        self.noticed += 1


@dataclass
class FakeStrays:
    """What runs without a spawner."""

    running: set[tuple[str, str]] = field(default_factory=set)

    async def end_these(self, servers: Collection[tuple[str, str]]) -> set[tuple[str, str]]:
        self.running -= set(servers)
        return set(servers)

    async def end_all_but(self, claimed: Collection[tuple[str, str]]) -> None:
        self.running &= set(claimed)


@dataclass
class World:
    servers: FakeServers
    strays: FakeStrays
    enforcement: Enforcement
    spawners: list[FakeSpawner]

    def spawner(self, person: str, grant: int, **options: Any) -> FakeSpawner:
        made = FakeSpawner(self.servers, person, grant, **options)
        self.spawners.append(made)
        Enforcement.spawners.add(cast("Any", made))
        return made


@pytest.fixture
async def world(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[World]:
    servers, strays = FakeServers(), FakeStrays()
    core.use(servers)
    monkeypatch.setattr(Enforcement, "spawners", WeakSet())
    monkeypatch.setattr(Enforcement, "_looked", asyncio.Event())
    enforcement = Enforcement(3600, strays)
    enforcement._task.cancel()  # each test looks by itself
    monkeypatch.setattr(Enforcement, "_current", enforcement)
    yield World(servers, strays, enforcement, [])
    core.use(None)


async def test_only_what_holds_too_much_is_stopped_and_the_hub_is_told(world: World) -> None:
    world.servers.grants = {1: plan("ada"), 2: plan("ben")}
    ada, ben = world.spawner("ada", 1), world.spawner("ben", 2)
    world.servers.too_much = {2}
    await world.enforcement.look()
    await world.enforcement.look()
    assert (ada.active, ben.active) == (True, False)
    assert ben.noticed == 1
    assert world.servers.grants.keys() == {1}


async def test_a_server_that_is_still_starting_is_ended_and_left_to_its_start(world: World) -> None:
    world.servers.grants = {1: plan("ada")}
    ada = world.spawner("ada", 1, pending="spawn")
    world.servers.too_much = {1}
    await world.enforcement.look()
    assert ada.grant_id is None
    assert ada.noticed == 0


async def test_a_stop_that_fails_is_tried_again(world: World) -> None:
    world.servers.grants = {1: plan("ada")}
    world.servers.too_much = {1}
    ada = world.spawner("ada", 1)
    ada.stubborn = True
    await world.enforcement.look()
    assert ada.active
    assert 1 in world.servers.grants
    ada.stubborn = False
    await world.enforcement.look()
    assert not ada.active


async def test_a_server_that_takes_its_time_holds_up_no_other(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("jupyterhub_collab_spawner.enforcement._PATIENCE_WITH_SERVERS", 0.01)
    world.servers.grants = {1: plan("ada"), 2: plan("ben")}
    ada, ben = world.spawner("ada", 1), world.spawner("ben", 2)
    ada.delay = 0.1
    world.servers.too_much = {1}
    await world.enforcement.look()
    world.servers.too_much = {1, 2}
    await world.enforcement.look()
    assert (ada.active, ben.active) == (True, False)
    await asyncio.sleep(0.15)
    assert not ada.active
    assert ada.noticed == 1


async def test_a_grant_of_an_earlier_start_stops_nobody(world: World) -> None:
    world.servers.grants = {1: plan("ada"), 2: plan("ada")}
    world.servers.too_much = {1}
    ada = world.spawner("ada", 2)
    await world.enforcement.look()
    assert ada.active


async def test_a_grant_without_a_server_is_closed(world: World) -> None:
    world.servers.grants = {1: plan("ada"), 2: plan("gone")}
    world.strays.running = {("gone", ""), ("forgotten", "")}
    world.spawner("ada", 1)
    await world.enforcement.look()
    assert world.servers.grants.keys() == {1}
    assert world.strays.running == set()


async def test_a_grant_that_a_start_may_take_up_is_closed_when_the_start_is_over(world: World) -> None:
    world.servers.grants = {1: plan("ada")}
    ada = world.spawner("ada", 7, pending="check")
    ada.grant_id = None
    await world.enforcement.look()
    assert world.servers.grants.keys() == {1}
    ada.active = False
    for _ in range(6):
        await world.enforcement.look()
    assert world.servers.grants == {}


async def test_a_server_without_a_grant_is_stopped(world: World) -> None:
    ada = world.spawner("ada", 1)
    await world.enforcement.look()
    assert not ada.active


async def test_a_database_that_is_away_stops_nothing_and_is_said_once(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    world.servers.grants = {1: plan("ada")}
    world.servers.too_much = {1}
    world.servers.broken = True
    ada = world.spawner("ada", 1)
    caplog.set_level(logging.WARNING)
    enforcement = Enforcement(0.01, world.strays)
    await asyncio.sleep(0.1)
    assert ada.active
    assert len([line for line in caplog.messages if "nothing is stopped" in line]) == 1
    assert enforcement.failing
    world.servers.broken = False
    await asyncio.sleep(0.1)
    assert not ada.active
    assert not enforcement.failing
    enforcement._task.cancel()


async def test_a_poll_waits_for_the_first_look(world: World) -> None:
    waiting = asyncio.ensure_future(Enforcement.first_look())
    await asyncio.sleep(0.01)
    assert not waiting.done()
    enforcement = Enforcement(3600, world.strays)
    await asyncio.wait_for(waiting, 1)
    enforcement._task.cancel()
