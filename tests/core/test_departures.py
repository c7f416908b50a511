"""Removing a person from everything, and who has the account name next."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from jupyterhub_collab.access.models import Role, Visibility
from jupyterhub_collab.errors import (
    ConflictError,
    LoginRequiredError,
    NotFoundError,
    OnlyLeadError,
    PlanRefusedError,
    SiteRightError,
    UnknownAccountError,
)
from jupyterhub_collab.factory import Factory
from jupyterhub_collab.people.models import Kind
from jupyterhub_collab.projects.models import Invitation
from jupyterhub_collab.settings import Limits, Storage
from tests.support.databases import snapshot
from tests.support.world import SLUG, World


@pytest.fixture
async def entangled(world: World) -> World:
    """The editor has all that a person can have: roles, a group, pins, invitations both ways, a request, servers."""
    factory = world.factory
    await world.sign_in("editor", "staff")
    await factory.members.put_group("lead", SLUG, "staff", Role.VIEWER)
    await world.create("second")
    await world.join("editor", Role.LEAD, "second")
    await factory.members.put("editor", "second", "stranger", Role.VIEWER)
    await world.create("third")
    await factory.members.put("lead", "third", "editor", Role.EDITOR)
    await world.create("fourth", visibility=Visibility.INTERNAL)
    await factory.join_requests.ask("editor", "fourth")
    for server in ("", SLUG):
        await factory.servers.grant("editor", server)
    return world


async def stopped(world: World) -> set[tuple[str, str]]:
    return {(e.person, e.server_name) for e in await world.factory.servers.excess()}


async def test_a_removed_person_has_nothing_any_more(entangled: World) -> None:
    factory = entangled.factory
    await factory.departures.remove("operator", "editor")
    assert await factory.people.get("editor") is None
    assert "editor" not in {**await entangled.roles(), **await entangled.roles("second")}
    assert await factory.people.search("lead", "edi") == []
    assert [g.people for g in await factory.members.groups("lead", SLUG)] == [0]
    for slug in ("second", "third"):
        assert await factory.invitations.of_project("lead", slug) == []
    assert await factory.invitations.mine("stranger") == []
    assert await factory.join_requests.of_project("lead", "fourth") == []
    assert await stopped(entangled) == {("editor", ""), ("editor", SLUG)}
    assert {e.reason for e in await factory.servers.excess()} == {"the person was removed"}
    with pytest.raises(UnknownAccountError):
        await factory.projects.mine("editor")
    with pytest.raises(PlanRefusedError):
        await factory.servers.grant("editor", "")
    assert "editor" not in [p.name for p in (await factory.people.page("operator"))[0]]


async def test_it_leaves_events(entangled: World) -> None:
    await entangled.factory.departures.remove("operator", "editor")
    (event,) = await entangled.events(action="person.remove")
    assert (event.actor, event.target, event.detail) == ("operator", "editor", {"projects": 2})
    removals = await entangled.events(action="member.remove", target="editor")
    assert {(e.actor, e.project, e.detail["role"]) for e in removals} == {
        ("operator", SLUG, "editor"), ("operator", "second", "lead"),
    }  # fmt: skip


async def test_whoever_has_the_name_next_begins_with_nothing(
    entangled: World, with_settings: Callable[..., Factory]
) -> None:
    factory = with_settings(storage=Storage(scratch_days=9), limits=Limits(projects_per_person=1))
    await entangled.create("own", who="editor")
    await entangled.join("operator", Role.LEAD, "own", by="editor")
    await factory.departures.remove("operator", "editor")
    entangled.clock.move(minutes=1)
    person = await factory.people.sign_in("editor", display_name="Other", groups=None)
    assert (person.display_name, person.groups, person.first_seen) == ("Other", frozenset(), entangled.clock())
    assert await factory.projects.mine("editor") == []
    assert await factory.projects.pins("editor") == frozenset()
    assert await factory.invitations.mine("editor") == []
    assert not await factory.invitations.admits("editor")
    assert await stopped(entangled) == {("editor", ""), ("editor", SLUG)}
    for server in ("", SLUG):
        await factory.servers.ended("editor", server)
    plan = (await factory.servers.grant("editor", "")).plan
    assert [(m.path, m.volume) for m in plan.mounts] == [("~", "home-editor-n2"), ("~/scratch", "scratch-editor-n2")]
    assert await stopped(entangled) == set()
    await entangled.create("mine", who="editor")
    assert [e.actor for e in await entangled.events(action="person.create", target="editor")] == ["editor"] * 2


async def test_a_third_holder_is_another_one_again(world: World) -> None:
    for number in (2, 3):
        await world.factory.departures.remove("operator", "stranger")
        await world.sign_in("stranger")
        home = (await world.factory.servers.grant("stranger", "")).plan.mounts[0]
        assert home.volume == f"home-stranger-n{number}"


async def test_a_refresh_of_the_old_login_brings_nobody_back(world: World) -> None:
    await world.factory.departures.remove("operator", "stranger")
    before = await snapshot(world.factory.database)
    with pytest.raises(UnknownAccountError):
        await world.factory.people.sign_in("stranger", groups=frozenset({"staff"}), refresh=True)
    assert await snapshot(world.factory.database) == before
    await world.factory.people.sign_in("new", groups=None, refresh=True)
    assert await world.factory.people.get("new") is not None


async def test_a_project_keeps_a_lead(world: World) -> None:
    await world.create("second")
    await world.create("gone")
    await world.factory.projects.delete("lead", "gone")
    before = await snapshot(world.factory.database)
    with pytest.raises(OnlyLeadError, match=f"lead is the only lead of {SLUG}, second") as caught:
        await world.factory.departures.remove("operator", "lead")
    assert caught.value.extra == {"projects": [SLUG, "second"]}
    assert await snapshot(world.factory.database) == before
    await world.factory.projects.delete("operator", "second")
    await world.factory.members.put("operator", SLUG, "editor", Role.LEAD)
    await world.factory.departures.remove("operator", "lead")
    assert await world.roles() == {"editor": Role.LEAD, "viewer": Role.VIEWER}


async def test_who_may_remove_whom(world: World) -> None:
    before = await snapshot(world.factory.database)
    for who in ("lead", "editor", "stranger"):
        with pytest.raises(SiteRightError):
            await world.factory.departures.remove(who, "viewer")
    with pytest.raises(LoginRequiredError):
        await world.factory.departures.remove(None, "viewer")
    with pytest.raises(ConflictError, match="yourself"):
        await world.factory.departures.remove("operator", "operator")
    with pytest.raises(NotFoundError):
        await world.factory.departures.remove("operator", "nobody")
    assert await snapshot(world.factory.database) == before
    await world.factory.departures.remove("operator", "viewer")
    with pytest.raises(NotFoundError):
        await world.factory.departures.remove("operator", "viewer")


async def test_throw_away_accounts_can_be_removed_too(world: World) -> None:
    await world.sign_in("guest", kind=Kind.WORKSHOP)
    invited = await world.factory.members.put("lead", SLUG, "guest", Role.VIEWER)
    assert isinstance(invited, Invitation)
    await world.factory.departures.remove_by_command("guest")
    assert await world.factory.people.get("guest") is None
    assert (await world.last_event()).actor == "the system"
    await world.sign_in("guest")
    person = await world.factory.people.get("guest")
    assert person is not None
    assert person.kind is Kind.PERSON
