"""What enforcement finds: every way to lose something, and nothing where nothing was lost."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import pytest
from pydantic import ByteSize

from jupyterhub_collab.access.models import Role, Visibility
from jupyterhub_collab.errors import MissingPermissionError, NotFoundError
from jupyterhub_collab.factory import Factory
from jupyterhub_collab.settings import Allowed, DataVolume, Environment, Limits, Storage
from jupyterhub_collab.volumes.models import Mode
from tests.support.databases import snapshot
from tests.support.world import SLUG, World

FOLDER = f"~/projects/{SLUG}"
Change = Callable[[World], Awaitable[object]]
BOTH = {("editor", ""), ("editor", SLUG)}


async def excess(factory: Factory) -> dict[tuple[str, str], str]:
    return {(e.person, e.server_name): e.reason for e in await factory.servers.excess()}


@pytest.fixture
async def running(world: World) -> World:
    """Every member runs a workspace and a project server; the project has data read-only and read-write."""
    await world.factory.data.attach("lead", SLUG, "noaa-co2")
    await world.factory.data.attach("lead", SLUG, "drop", Mode.READ_WRITE)
    for person in ("lead", "editor", "viewer"):
        await world.factory.servers.grant(person, "")
        await world.factory.servers.grant(person, SLUG)
    return world


def remove_editor(world: World) -> Awaitable[object]:
    return world.factory.members.remove("lead", SLUG, "editor")


def demote_editor(world: World) -> Awaitable[object]:
    return world.factory.members.put("lead", SLUG, "editor", Role.VIEWER)


def leave(world: World) -> Awaitable[object]:
    return world.factory.members.remove("editor", SLUG, "editor")


def stop_editor(world: World) -> Awaitable[object]:
    return world.factory.servers.stop_members("lead", SLUG, "editor")


def stop_everyone(world: World) -> Awaitable[object]:
    return world.factory.servers.stop_members("operator", SLUG)


def archive(world: World) -> Awaitable[object]:
    return world.factory.projects.archive("lead", SLUG)


def delete(world: World) -> Awaitable[object]:
    return world.factory.projects.delete("lead", SLUG)


def detach_read_only(world: World) -> Awaitable[object]:
    return world.factory.data.detach("lead", SLUG, "noaa-co2")


def attach_read_only(world: World) -> Awaitable[object]:
    return world.factory.data.attach("lead", SLUG, "drop", Mode.READ_ONLY)


async def purge(world: World) -> None:
    await delete(world)
    world.clock.move(days=31)
    await world.factory.projects.purge(SLUG)


EVERYONE = {(person, server) for person in ("lead", "editor", "viewer") for server in ("", SLUG)}
WRITERS = {(person, server) for person in ("lead", "editor") for server in ("", SLUG)}
PROJECT_SERVERS = {(person, SLUG) for person in ("lead", "editor", "viewer")}


@pytest.mark.parametrize(
    ("change", "found"),
    [
        (remove_editor, BOTH),
        (demote_editor, BOTH),
        (leave, BOTH),
        (stop_editor, {("editor", SLUG)}),
        (stop_everyone, PROJECT_SERVERS),
        (archive, WRITERS | PROJECT_SERVERS),
        (delete, EVERYONE),
        (purge, EVERYONE),
        (detach_read_only, EVERYONE),
        (attach_read_only, WRITERS),
    ],
)
async def test_a_loss_is_found_until_the_server_ended(
    running: World, change: Change, found: set[tuple[str, str]]
) -> None:
    assert await excess(running.factory) == {}
    await change(running)
    for _ in range(2):
        assert set(await excess(running.factory)) == found
    for person, server in sorted(found):
        await running.factory.servers.ended(person, server)
    assert await excess(running.factory) == {}


def promote(world: World) -> Awaitable[object]:
    return world.factory.members.put("lead", SLUG, "viewer", Role.LEAD)


def attach_more(world: World) -> Awaitable[object]:
    return world.factory.data.attach("lead", SLUG, "noaa-co2")


def hide(world: World) -> Awaitable[object]:
    return world.change(visibility=Visibility.PUBLIC, title="Other", readme="Other", resource_class="large")


def unpin(world: World) -> Awaitable[object]:
    return world.factory.projects.set_pin("editor", SLUG, pinned=False)


def invite(world: World) -> Awaitable[object]:
    return world.factory.members.put("lead", SLUG, "stranger", Role.LEAD)


def delete_and_restore(world: World) -> Awaitable[object]:
    async def both() -> None:
        await delete(world)
        await world.factory.projects.restore("lead", SLUG)

    return both()


@pytest.mark.parametrize("change", [promote, attach_more, hide, unpin, invite, delete_and_restore])
async def test_nothing_lost_is_nothing_found(running: World, change: Change) -> None:
    await change(running)
    assert await excess(running.factory) == {}


async def test_a_role_through_a_group_is_lost_with_the_group(world: World) -> None:
    await world.sign_in("stranger", "staff", "physics")
    await world.factory.members.put_group("lead", SLUG, "staff", Role.EDITOR)
    await world.factory.members.put_group("lead", SLUG, "physics", Role.VIEWER)
    await world.factory.servers.grant("stranger", SLUG)
    await world.sign_in("stranger", "staff")
    assert await excess(world.factory) == {}
    await world.factory.members.put_group("lead", SLUG, "staff", Role.VIEWER)
    assert set(await excess(world.factory)) == {("stranger", SLUG)}
    await world.factory.members.put_group("lead", SLUG, "staff", Role.EDITOR)
    assert await excess(world.factory) == {}
    await world.sign_in("stranger", "physics")
    assert set(await excess(world.factory)) == {("stranger", SLUG)}
    await world.sign_in("stranger")
    assert set(await excess(world.factory)) == {("stranger", SLUG)}


async def test_an_own_role_under_a_group_role_is_enough_to_read_on(world: World) -> None:
    await world.sign_in("viewer", "staff")
    await world.factory.members.put_group("lead", SLUG, "staff", Role.VIEWER)
    await world.factory.servers.grant("viewer", SLUG)
    await world.factory.members.remove("lead", SLUG, "viewer")
    assert await excess(world.factory) == {}
    await world.factory.members.remove_group("lead", SLUG, "staff")
    assert await excess(world.factory) == {("viewer", SLUG): f"lost {FOLDER}"}


async def test_data_that_two_projects_give_is_lost_with_the_last(world: World) -> None:
    await world.create("other", who="viewer")
    for who, slug in (("lead", SLUG), ("viewer", "other")):
        await world.factory.data.attach(who, slug, "noaa-co2")
    await world.factory.servers.grant("viewer", "")
    await world.factory.data.detach("lead", SLUG, "noaa-co2")
    assert await excess(world.factory) == {}
    await world.factory.data.detach("viewer", "other", "noaa-co2")
    assert await excess(world.factory) == {("viewer", ""): "lost /data/noaa-co2"}


async def test_stopping_ends_what_runs_and_not_what_starts_later(running: World) -> None:
    await stop_editor(running)
    await running.factory.servers.ended("editor", SLUG)
    await running.factory.servers.grant("editor", SLUG)
    assert await excess(running.factory) == {}
    await stop_editor(running)
    assert await excess(running.factory) == {("editor", SLUG): "stopped by a lead"}


async def test_only_those_who_may_stop_servers(running: World) -> None:
    for who in ("editor", "viewer"):
        with pytest.raises(MissingPermissionError):
            await running.factory.servers.stop_members(who, SLUG, "lead")
    with pytest.raises(NotFoundError):
        await running.factory.servers.stop_members("stranger", SLUG)
    with pytest.raises(NotFoundError, match="runs no server"):
        await running.factory.servers.stop_members("lead", SLUG, "stranger")
    assert await running.factory.servers.stop_members("operator", SLUG) == 3


# What the operator changes, seen after a restart ----------------------------------------------------------


async def test_a_lower_limit_ends_the_newest(running: World, with_settings: Callable[..., Factory]) -> None:
    one = with_settings(limits=Limits(servers_per_person=1))
    assert await excess(one) == dict.fromkeys(
        [(person, SLUG) for person in ("lead", "editor", "viewer")], "over the limit of the person"
    )
    two = with_settings(limits=Limits(servers_per_project=2))
    assert await excess(two) == {("viewer", SLUG): "over the limit of the project"}


@pytest.mark.parametrize(
    ("limits", "found"),
    [
        (Limits(cpu_per_person=1), dict.fromkeys(PROJECT_SERVERS, "over the limit of the person: CPU")),
        (
            Limits(memory_per_person=ByteSize(3 * 1024**3)),
            dict.fromkeys(PROJECT_SERVERS, "over the limit of the person: memory"),
        ),
        (Limits(cpu_per_project=2), {("viewer", SLUG): "over the limit of the project: CPU"}),
        (Limits(memory_per_project=ByteSize(5 * 1024**3)), {("viewer", SLUG): "over the limit of the project: memory"}),
        (Limits(cpu_per_person=2, memory_per_project=ByteSize(6 * 1024**3)), {}),
    ],
)
async def test_a_lower_limit_of_what_they_have_together_ends_the_newest(
    running: World, with_settings: Callable[..., Factory], limits: Limits, found: dict[tuple[str, str], str]
) -> None:
    assert await excess(with_settings(limits=limits)) == found


async def test_a_gate_ends_those_outside_it(running: World, with_settings: Callable[..., Factory]) -> None:
    def gated(**allowed: frozenset[str]) -> Factory:
        closed = Environment(allowed=Allowed(**allowed))
        return with_settings(environments={"default": closed, "other": Environment()})

    everyone = set(await excess(gated(groups=frozenset({"staff"}))))
    assert everyone == EVERYONE
    await running.sign_in("editor", "staff")
    assert set(await excess(gated(groups=frozenset({"staff"})))) == EVERYONE - BOTH
    assert set(await excess(gated(names=frozenset({"editor"})))) == EVERYONE - BOTH
    assert set(await excess(gated(projects=frozenset({SLUG})))) == EVERYONE - PROJECT_SERVERS


async def test_a_gated_class_is_lost_with_the_group(world: World) -> None:
    await world.sign_in("viewer", "gpu-users")
    await world.factory.servers.grant("viewer", "", options={"environment": "gpu"})
    assert await excess(world.factory) == {}
    await world.sign_in("viewer")
    assert await excess(world.factory) == {("viewer", ""): "not for them: gpu"}


async def test_data_that_is_offered_no_more_ends_those_who_have_it(
    running: World, with_settings: Callable[..., Factory]
) -> None:
    drop = DataVolume(source="/data/drop", path="/data/box", writable_by_leads=True)
    assert set(await excess(with_settings(data={"drop": drop}))) == EVERYONE
    noaa = DataVolume(source="/data/noaa")
    closed = drop.model_copy(update={"writable_by_leads": False})
    assert set(await excess(with_settings(data={"drop": closed, "noaa-co2": noaa}))) == WRITERS


# What a server was handed by another one ------------------------------------------------------------------


@pytest.mark.parametrize("first", ["", SLUG])
async def test_a_server_that_ran_beside_one_with_the_folder_ends_with_the_role(world: World, first: str) -> None:
    await world.factory.projects.set_pin("editor", SLUG, pinned=False)
    for server in (first, "" if first else SLUG):
        await world.factory.servers.grant("editor", server)
    await world.factory.servers.ended("editor", SLUG)
    assert await excess(world.factory) == {}
    await demote_editor(world)
    assert await excess(world.factory) == {("editor", ""): f"lost {FOLDER}"}


async def test_what_was_handed_on_is_remembered_over_several_servers(world: World) -> None:
    await world.factory.projects.set_pin("editor", SLUG, pinned=False)
    await world.create("other", who="editor")
    await world.factory.projects.set_pin("editor", "other", pinned=False)
    for server, gone in ((SLUG, None), ("other", SLUG), ("", "other")):
        await world.factory.servers.grant("editor", server)
        if gone:
            await world.factory.servers.ended("editor", gone)
    await remove_editor(world)
    assert await excess(world.factory) == {("editor", ""): f"lost {FOLDER}"}


async def test_a_server_that_started_after_the_one_with_the_folder_ended_goes_on(world: World) -> None:
    await world.factory.projects.set_pin("editor", SLUG, pinned=False)
    await world.factory.servers.grant("editor", SLUG)
    await world.factory.servers.ended("editor", SLUG)
    await world.factory.servers.grant("editor", "")
    await remove_editor(world)
    assert await excess(world.factory) == {}


# What the page shows of it --------------------------------------------------------------------------------


async def test_removal_is_pending_until_the_end_is_verified(running: World) -> None:
    await demote_editor(running)
    member = (await running.members())["editor"]
    assert member.removal_pending
    assert member.server_started == running.clock()
    assert not (await running.members())["viewer"].removal_pending
    for server in ("", SLUG):
        await running.factory.servers.ended("editor", server)
    member = (await running.members())["editor"]
    assert (member.removal_pending, member.server_started) == (False, None)


async def test_who_is_leaving_is_shown_until_the_end_is_verified(running: World) -> None:
    await remove_editor(running)
    assert await running.factory.members.leaving("viewer", SLUG) == ["editor"]
    await running.factory.servers.ended("editor", "")
    assert await running.factory.members.leaving("viewer", SLUG) == ["editor"]
    await running.factory.servers.ended("editor", SLUG)
    assert await running.factory.members.leaving("viewer", SLUG) == []


async def test_looking_changes_nothing(running: World) -> None:
    await remove_editor(running)
    before = await snapshot(running.factory.database)
    await running.factory.servers.excess()
    assert await snapshot(running.factory.database) == before


async def test_counts_are_of_project_servers(running: World) -> None:
    assert await running.factory.servers.counts("operator") == {SLUG: 3}
    assert await running.factory.servers.running_in("viewer", SLUG) == 3
    assert len(await running.factory.servers.mine("viewer")) == 2


# The public area ------------------------------------------------------------------------------------------


AREA = Storage(public=True, public_editors=frozenset({SLUG, "other"}))
WRITES = {("editor", "")}


@pytest.fixture
async def publishing(world: World, with_settings: Callable[..., Factory]) -> World:
    """The editor writes in the public area through two projects, neither of which is mounted."""
    await world.create("other")
    await world.join("editor", Role.EDITOR, "other")
    for slug in (SLUG, "other"):
        await world.factory.projects.set_pin("editor", slug, pinned=False)
    factory = with_settings(storage=AREA)
    for person in ("editor", "viewer"):
        await factory.servers.grant(person, "")
    return World(factory, world.clock)


async def test_who_writes_in_the_public_area_loses_it_with_the_last_project(publishing: World) -> None:
    assert await excess(publishing.factory) == {}
    await demote_editor(publishing)
    assert await excess(publishing.factory) == {}
    await publishing.factory.projects.archive("lead", "other")
    assert await excess(publishing.factory) == {("editor", ""): "lost ~/public"}
    await publishing.factory.projects.restore("lead", "other")
    assert await excess(publishing.factory) == {}


@pytest.mark.parametrize(
    ("storage", "found"),
    [
        (AREA, set()),
        (Storage(public=True, public_editors=frozenset({"other"})), set()),
        (Storage(public=True), WRITES),
        (Storage(public_editors=AREA.public_editors), WRITES),
    ],
)
async def test_the_operator_takes_the_public_area_from_projects(
    publishing: World, with_settings: Callable[..., Factory], storage: Storage, found: set[tuple[str, str]]
) -> None:
    assert set(await excess(with_settings(storage=storage))) == found
