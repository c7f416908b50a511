from __future__ import annotations

import pytest

from jupyterhub_collab.access.models import Role, Visibility
from jupyterhub_collab.errors import LoginRequiredError, MissingPermissionError, NotFoundError, SiteRightError
from tests.support.databases import snapshot
from tests.support.world import SLUG, World


async def test_a_project_tells_its_members_what_happened(world: World) -> None:
    page = await world.factory.audit.of_project("viewer", SLUG)
    assert [(e.actor, e.action, e.target) for e in page.items] == [
        ("viewer", "member.add", "viewer"),
        ("lead", "invitation.create", "viewer"),
        ("editor", "member.add", "editor"),
        ("lead", "invitation.create", "editor"),
        ("lead", "project.create", SLUG),
    ]
    assert {e.project for e in page.items} == {SLUG}
    with pytest.raises(NotFoundError):
        await world.factory.audit.of_project("stranger", SLUG)
    await world.change(visibility=Visibility.PUBLIC)
    with pytest.raises(MissingPermissionError):
        await world.factory.audit.of_project("stranger", SLUG)
    with pytest.raises(LoginRequiredError):
        await world.factory.audit.of_project(None, SLUG)


async def test_pages_of_events_hold_each_once(world: World) -> None:
    for number in range(70):
        await world.change(title=f"Title {number}")
    seen: list[int] = []
    before: int | None = None
    while True:
        page = await world.factory.audit.of_project("lead", SLUG, before=before)
        seen += [event.id for event in page.items]
        before = page.next
        if before is None:
            break
    assert len(seen) == 75
    assert seen == sorted(seen, reverse=True)


async def test_the_operator_searches_all_events(world: World) -> None:
    await world.create("other", who="stranger")
    await world.factory.members.remove("lead", SLUG, "editor")
    assert {e.actor for e in await world.events(actor="stranger")} == {"stranger"}
    assert [e.target for e in await world.events(action="member.remove")] == ["editor"]
    assert {e.project for e in await world.events(project="other")} == {"other"}
    assert await world.events(project="other", action="member.remove") == []
    assert {e.action for e in await world.events(target="editor", project=SLUG)} == {
        "member.add", "member.remove", "invitation.create",
    }  # fmt: skip
    for who in ("lead", "stranger"):
        with pytest.raises(SiteRightError):
            await world.factory.audit.search(who)


async def test_events_outlive_a_project(world: World) -> None:
    await world.factory.projects.delete("lead", SLUG)
    world.clock.move(days=31)
    await world.factory.projects.purge(SLUG)
    assert [e.action for e in await world.events(project=SLUG)][:2] == ["project.delete", "member.add"]


async def test_a_change_makes_a_project_active(world: World) -> None:
    world.clock.move(days=3)
    await world.factory.members.put("lead", SLUG, "viewer", Role.EDITOR)
    assert (await world.factory.projects.get("viewer", SLUG)).project.last_activity == world.clock()


async def test_what_concerns_only_the_person_is_no_activity(world: World) -> None:
    before = (await world.factory.projects.get("viewer", SLUG)).project
    world.clock.move(days=3)
    await world.factory.projects.set_pin("viewer", SLUG, pinned=False)
    after = (await world.factory.projects.get("viewer", SLUG)).project
    assert after.last_activity == before.last_activity
    assert (await world.last_event()).project is None


async def test_a_failed_change_leaves_no_event(world: World) -> None:
    before = await snapshot(world.factory.database)
    with pytest.raises(NotFoundError):
        await world.factory.members.remove("lead", SLUG, "stranger")
    assert await snapshot(world.factory.database) == before
