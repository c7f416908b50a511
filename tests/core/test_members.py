from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

import pytest

from jupyterhub_collab.access.models import Role, Visibility
from jupyterhub_collab.errors import (
    LastLeadError,
    MissingPermissionError,
    NotFoundError,
    UnknownGroupError,
    UnknownPersonError,
)
from jupyterhub_collab.factory import Factory
from jupyterhub_collab.projects.models import Invitation, Member
from jupyterhub_collab.settings import Limits, People
from tests.support.databases import snapshot
from tests.support.world import SLUG, World

ALL = {"lead": Role.LEAD, "editor": Role.EDITOR, "viewer": Role.VIEWER}

# The last lead --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("who", ["lead", "operator"])
async def test_the_last_lead_stays(world: World, who: str) -> None:
    before = await snapshot(world.factory.database)
    for role in (Role.EDITOR, Role.VIEWER):
        with pytest.raises(LastLeadError, match="lead is the only lead"):
            await world.factory.members.put(who, SLUG, "lead", role)
    with pytest.raises(LastLeadError):
        await world.factory.members.remove(who, SLUG, "lead")
    assert await snapshot(world.factory.database) == before


async def test_a_lead_hands_over_and_leaves(world: World) -> None:
    await world.factory.members.put("lead", SLUG, "editor", Role.LEAD)
    await world.factory.members.remove("lead", SLUG, "lead")
    assert await world.roles() == {"editor": Role.LEAD, "viewer": Role.VIEWER}
    assert (await world.last_event()).action == "member.leave"
    with pytest.raises(LastLeadError):
        await world.factory.members.remove("editor", SLUG, "editor")


async def test_a_lead_through_a_group_is_not_a_lead_to_rely_on(world: World) -> None:
    """The group may lose its persons at any login, and then nobody could put things in order."""
    await world.sign_in("viewer", "staff")
    await world.factory.members.put_group("lead", SLUG, "staff", Role.LEAD)
    assert (await world.roles())["viewer"] is Role.LEAD
    with pytest.raises(LastLeadError):
        await world.factory.members.remove("viewer", SLUG, "lead")


# Adding and changing --------------------------------------------------------------------------------------


async def test_nothing_of_someone_else_changes_before_they_accept(world: World) -> None:
    offer = await world.factory.members.put("lead", SLUG, "stranger", Role.EDITOR)
    assert isinstance(offer, Invitation)
    assert (offer.user, offer.role) == ("stranger", Role.EDITOR)
    assert await world.roles() == ALL
    assert await world.factory.projects.pins("stranger") == frozenset()
    with pytest.raises(NotFoundError):
        await world.factory.projects.get("stranger", SLUG)


async def test_without_consent_one_is_a_member_at_once(world: World, with_settings: Callable[..., Factory]) -> None:
    site = with_settings(people=People(consent=False))
    made = await site.members.put("lead", SLUG, "stranger", Role.VIEWER)
    assert isinstance(made, Member)
    assert (made.user, made.role, made.via) == ("stranger", Role.VIEWER, "added by lead")
    assert await site.projects.pins("stranger") == {SLUG}


async def test_an_invitation_by_name_lasts_no_longer_than_the_limit(
    world: World, with_settings: Callable[..., Factory]
) -> None:
    site = with_settings(limits=Limits(invitation_days=3))
    offer = await site.members.put("lead", SLUG, "stranger", Role.VIEWER)
    assert isinstance(offer, Invitation)
    assert offer.expires_at - offer.created_at == timedelta(days=3)


async def test_the_same_request_twice_does_nothing(world: World) -> None:
    await world.factory.members.put("lead", SLUG, "stranger", Role.EDITOR)
    before = await snapshot(world.factory.database)
    await world.factory.members.put("lead", SLUG, "stranger", Role.EDITOR)
    await world.factory.members.put("lead", SLUG, "viewer", Role.VIEWER)
    assert await snapshot(world.factory.database) == before


async def test_another_role_replaces_the_open_invitation(world: World) -> None:
    first = await world.factory.members.put("lead", SLUG, "stranger", Role.EDITOR)
    second = await world.factory.members.put("lead", SLUG, "stranger", Role.VIEWER)
    assert [(i.id, i.role) for i in await world.factory.invitations.mine("stranger")] == [(second.id, Role.VIEWER)]  # type: ignore[union-attr]
    assert first != second


async def test_a_change_of_role_keeps_where_it_came_from(world: World) -> None:
    before = (await world.members())["viewer"]
    world.clock.move(days=1)
    changed = await world.factory.members.put("lead", SLUG, "viewer", Role.EDITOR)
    assert isinstance(changed, Member)
    assert (changed.role, changed.via, changed.since) == (Role.EDITOR, before.via, before.since)
    event = await world.last_event()
    assert (event.action, event.target, event.detail) == (
        "member.change",
        "viewer",
        {"role": "editor", "before": "viewer"},
    )


@pytest.mark.parametrize("name", ["ghost", "", "LEAD", "a" * 300, "%", "lead "])
async def test_a_name_that_nobody_has_is_refused(world: World, name: str) -> None:
    before = await snapshot(world.factory.database)
    with pytest.raises(UnknownPersonError) as caught:
        await world.factory.members.put("lead", SLUG, name, Role.VIEWER)
    assert caught.value.field == "user"
    assert await snapshot(world.factory.database) == before


@pytest.mark.parametrize("who", ["editor", "viewer"])
async def test_only_leads_and_operators_manage_members(world: World, who: str) -> None:
    members = world.factory.members
    before = await snapshot(world.factory.database)
    for attempt in (
        members.put(who, SLUG, who, Role.LEAD),
        members.put(who, SLUG, "stranger", Role.VIEWER),
        members.remove(who, SLUG, "lead"),
        members.put_group(who, SLUG, "staff", Role.VIEWER),
        members.remove_group(who, SLUG, "staff"),
    ):
        with pytest.raises(MissingPermissionError):
            await attempt
    assert await snapshot(world.factory.database) == before


# Removing -------------------------------------------------------------------------------------------------


async def test_who_is_removed_loses_role_and_pin(world: World) -> None:
    await world.factory.members.remove("lead", SLUG, "editor")
    assert await world.roles() == {"lead": Role.LEAD, "viewer": Role.VIEWER}
    assert await world.factory.projects.pins("editor") == frozenset()
    with pytest.raises(NotFoundError):
        await world.factory.projects.get("editor", SLUG)
    event = await world.last_event()
    assert (event.actor, event.action, event.target) == ("lead", "member.remove", "editor")


async def test_anyone_may_leave(world: World) -> None:
    await world.factory.members.remove("viewer", SLUG, "viewer")
    assert (await world.last_event()).action == "member.leave"
    with pytest.raises(NotFoundError):
        await world.factory.members.remove("viewer", SLUG, "viewer")


async def test_one_leaves_an_archived_project_too(world: World) -> None:
    await world.factory.projects.archive("lead", SLUG)
    await world.factory.members.remove("viewer", SLUG, "viewer")
    assert await world.roles() == {"lead": Role.LEAD, "editor": Role.EDITOR}


async def test_removing_who_is_only_invited_withdraws_the_invitation(world: World) -> None:
    await world.factory.members.put("lead", SLUG, "stranger", Role.EDITOR)
    await world.factory.members.remove("lead", SLUG, "stranger")
    assert await world.factory.invitations.mine("stranger") == []
    assert (await world.last_event()).action == "invitation.revoke"


async def test_removing_nobody_says_so(world: World) -> None:
    before = await snapshot(world.factory.database)
    with pytest.raises(NotFoundError):
        await world.factory.members.remove("lead", SLUG, "stranger")
    assert await snapshot(world.factory.database) == before


# Groups ---------------------------------------------------------------------------------------------------


async def test_a_group_makes_its_persons_members(world: World) -> None:
    await world.sign_in("stranger", "staff")
    grant = await world.factory.members.put_group("lead", SLUG, "staff", Role.EDITOR)
    assert (grant.group, grant.role, grant.people, grant.granted_by) == ("staff", Role.EDITOR, 1, "lead")
    member = (await world.members())["stranger"]
    assert (member.role, member.via) == (Role.EDITOR, "group staff")
    assert (await world.factory.projects.get("stranger", SLUG)).role is Role.EDITOR
    summary = (await world.factory.projects.mine("stranger"))[0]
    assert (summary.my_role, summary.via) == (Role.EDITOR, "staff")
    await world.sign_in("stranger")
    with pytest.raises(NotFoundError):
        await world.factory.projects.get("stranger", SLUG)


@pytest.mark.parametrize(
    ("own", "group", "other_group", "effective"),
    [
        (Role.VIEWER, Role.EDITOR, None, Role.EDITOR),
        (Role.EDITOR, Role.VIEWER, None, Role.EDITOR),
        (Role.VIEWER, Role.VIEWER, Role.LEAD, Role.LEAD),
        (None, Role.VIEWER, Role.EDITOR, Role.EDITOR),
        (None, Role.LEAD, Role.VIEWER, Role.LEAD),
    ],
)
async def test_the_highest_role_counts(
    world: World, own: Role | None, group: Role, other_group: Role | None, effective: Role
) -> None:
    await world.sign_in("stranger", "staff", "physics")
    if own:
        await world.join("stranger", own)
    await world.factory.members.put_group("lead", SLUG, "staff", group)
    if other_group:
        await world.factory.members.put_group("lead", SLUG, "physics", other_group)
    assert (await world.roles())["stranger"] is effective
    assert (await world.factory.projects.get("stranger", SLUG)).role is effective
    assert await world.factory.people.hub_groups("stranger") == [f"collab:{SLUG}:{effective.value}"]


async def test_a_group_role_can_be_changed_and_taken(world: World) -> None:
    await world.sign_in("stranger", "staff")
    members = world.factory.members
    await members.put_group("lead", SLUG, "staff", Role.VIEWER)
    assert (await members.put_group("operator", SLUG, "staff", Role.EDITOR)).role is Role.EDITOR
    before = await snapshot(world.factory.database)
    await members.put_group("lead", SLUG, "staff", Role.EDITOR)
    assert await snapshot(world.factory.database) == before
    await members.remove_group("lead", SLUG, "staff")
    assert await members.groups("viewer", SLUG) == []
    assert await world.roles() == ALL
    with pytest.raises(NotFoundError):
        await members.remove_group("lead", SLUG, "staff")
    actions = [event.action for event in await world.events(project=SLUG)][:3]
    assert actions == ["group.remove", "group.grant", "group.grant"]


@pytest.mark.parametrize("group", ["nobody", "", "collab:co2:lead", "COLLAB:x", "a" * 300, "staf_", "%"])
async def test_a_group_without_persons_is_refused(world: World, group: str) -> None:
    await world.sign_in("stranger", "staff", "collab:co2:lead")
    with pytest.raises(UnknownGroupError) as caught:
        await world.factory.members.put_group("lead", SLUG, group, Role.EDITOR)
    assert caught.value.field == "group"


async def test_who_has_a_role_through_a_group_is_not_removed_alone(world: World) -> None:
    await world.sign_in("stranger", "staff")
    await world.factory.members.put_group("lead", SLUG, "staff", Role.VIEWER)
    with pytest.raises(NotFoundError, match="through a group go with the group"):
        await world.factory.members.remove("lead", SLUG, "stranger")


async def test_who_stays_a_member_through_a_group_keeps_the_pin(world: World) -> None:
    await world.sign_in("editor", "staff")
    await world.factory.members.put_group("lead", SLUG, "staff", Role.VIEWER)
    await world.factory.members.remove("lead", SLUG, "editor")
    assert (await world.roles())["editor"] is Role.VIEWER
    assert await world.factory.projects.pins("editor") == {SLUG}


# Lists ----------------------------------------------------------------------------------------------------


async def test_pages_of_members_hold_everyone_once(world: World) -> None:
    """Own and group roles are two sources, and the page cuts through both."""
    everyone = set(ALL)
    for number in range(70):
        name = f"p{number:02}"
        await world.sign_in(name, *(["staff"] if number % 2 else []))
        everyone.add(name)
    await world.factory.members.put_group("lead", SLUG, "staff", Role.VIEWER)
    for number in range(0, 70, 2):
        await world.join(f"p{number:02}", Role.VIEWER)
    await world.join("p01", Role.EDITOR)
    seen: list[str] = []
    after: str | None = ""
    while after is not None:
        page = await world.factory.members.page("viewer", SLUG, after=after)
        seen += [member.user for member in page.items]
        after = page.next
    assert seen == sorted(everyone)
    assert await world.factory.members.count("viewer", SLUG) == len(everyone)
    assert (await world.factory.projects.mine("lead"))[0].slug == SLUG


async def test_outsiders_count_members_but_do_not_see_them(world: World) -> None:
    await world.change(visibility=Visibility.PUBLIC)
    for outsider in ("stranger", None):
        assert await world.factory.members.count(outsider, SLUG) == 3
        for read in (world.factory.members.page, world.factory.members.leads, world.factory.members.groups):
            with pytest.raises(Exception, match=r"account|role") as caught:
                await read(outsider, SLUG)
            assert caught.value.status in (401, 403)  # type: ignore[attr-defined]
    assert await world.factory.members.leads("viewer", SLUG) == ["lead"]
