from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import pytest
from pydantic import ValidationError

from jupyterhub_collab.access.models import Role, Visibility
from jupyterhub_collab.errors import (
    InvalidInputError,
    InvitationUsedError,
    LoginRequiredError,
    MissingPermissionError,
    NotFoundError,
)
from jupyterhub_collab.factory import Factory
from jupyterhub_collab.people.models import Kind
from jupyterhub_collab.projects.invitation_service import NewLink
from jupyterhub_collab.projects.models import Invitation, InvitationState
from jupyterhub_collab.settings import Limits
from tests.support.databases import scalar, snapshot
from tests.support.world import SLUG, World


async def invite(world: World, person: str = "stranger", role: Role = Role.EDITOR) -> Invitation:
    offer = await world.factory.members.put("lead", SLUG, person, role)
    assert isinstance(offer, Invitation)
    return offer


# By name --------------------------------------------------------------------------------------------------


async def test_accepting_joins_and_pins(world: World) -> None:
    offer = await invite(world)
    project = await world.factory.invitations.accept("stranger", offer.id)
    assert (project.slug, project.my_role) == (SLUG, Role.EDITOR)
    member = (await world.members())["stranger"]
    assert (member.role, member.via) == (Role.EDITOR, "invitation from lead")
    assert await world.factory.projects.pins("stranger") == {SLUG}
    assert await world.factory.invitations.mine("stranger") == []
    with pytest.raises(InvitationUsedError, match="accepted before"):
        await world.factory.invitations.accept("stranger", offer.id)


@pytest.mark.parametrize("thief", ["viewer", "operator", "lead"])
async def test_another_persons_invitation_does_not_exist(world: World, thief: str) -> None:
    offer = await invite(world)
    before = await snapshot(world.factory.database)
    for attempt in (
        world.factory.invitations.accept(thief, offer.id),
        world.factory.invitations.decline(thief, offer.id),
        world.factory.invitations.look(thief, offer.id),
    ):
        with pytest.raises(NotFoundError):
            await attempt
    with pytest.raises(NotFoundError):
        await world.factory.invitations.look(None, offer.id)
    with pytest.raises(LoginRequiredError):
        await world.factory.invitations.accept(None, offer.id)
    assert await snapshot(world.factory.database) == before


async def test_the_id_of_a_link_is_no_key_to_it(world: World) -> None:
    link = await world.link()
    for key in (link.id, str(link.id), link.hint or ""):
        with pytest.raises(NotFoundError):
            await world.factory.invitations.accept("stranger", key)


async def test_a_declined_invitation_is_over(world: World) -> None:
    offer = await invite(world)
    await world.factory.invitations.decline("stranger", offer.id)
    assert (await world.last_event()).action == "invitation.decline"
    for again in (world.factory.invitations.accept, world.factory.invitations.decline):
        with pytest.raises(InvitationUsedError, match="declined before"):
            await again("stranger", offer.id)
    assert (await invite(world)).id != offer.id


async def test_an_invitation_expires(world: World) -> None:
    offer = await invite(world)
    world.clock.move(days=30)
    with pytest.raises(InvitationUsedError, match="expired"):
        await world.factory.invitations.accept("stranger", offer.id)
    assert await world.factory.invitations.mine("stranger") == []
    fresh = await invite(world)
    assert fresh.id != offer.id
    await world.factory.invitations.accept("stranger", fresh.id)


async def test_a_revoked_invitation_is_over(world: World) -> None:
    offer = await invite(world)
    await world.factory.invitations.revoke("lead", SLUG, offer.id)
    with pytest.raises(InvitationUsedError, match="revoked"):
        await world.factory.invitations.accept("stranger", offer.id)
    before = await snapshot(world.factory.database)
    await world.factory.invitations.revoke("lead", SLUG, offer.id)
    assert await snapshot(world.factory.database) == before


async def test_an_invitation_is_revoked_in_its_own_project_only(world: World) -> None:
    offer = await invite(world)
    await world.create("other", who="viewer")
    with pytest.raises(NotFoundError):
        await world.factory.invitations.revoke("viewer", "other", offer.id)
    with pytest.raises(MissingPermissionError):
        await world.factory.invitations.revoke("editor", SLUG, offer.id)


async def test_a_higher_role_stays_and_the_invitation_is_answered(world: World) -> None:
    offer = await invite(world, role=Role.VIEWER)
    link = await world.link(role=Role.EDITOR)
    await world.factory.invitations.accept("stranger", link.code or "")
    assert (await world.roles())["stranger"] is Role.EDITOR
    assert await world.factory.invitations.mine("stranger") == []
    with pytest.raises(InvitationUsedError):
        await world.factory.invitations.accept("stranger", offer.id)


# Links ----------------------------------------------------------------------------------------------------


async def test_only_the_hash_of_a_code_is_kept(world: World) -> None:
    link = await world.link()
    code = link.code or ""
    rows = repr(await snapshot(world.factory.database))
    assert code not in rows
    assert code.replace("-", "") not in rows
    assert (link.hint or "") in rows
    assert [i.id for i in await world.factory.invitations.of_project("lead", SLUG)] == [link.id]


async def test_a_link_admits_as_many_as_it_says(world: World) -> None:
    link = await world.link(uses=2)
    code = link.code or ""
    await world.sign_in("second")
    await world.sign_in("third")
    assert await world.factory.invitations.is_valid_code(code)
    for person in ("stranger", "second"):
        await world.factory.invitations.accept(person, f" {code.lower()} ")
    assert not await world.factory.invitations.is_valid_code(code)
    with pytest.raises(InvitationUsedError):
        await world.factory.invitations.accept("third", code)
    assert "third" not in await world.roles()
    assert await world.factory.invitations.admits("stranger")
    assert not await world.factory.invitations.admits("third")


async def left(world: World) -> list[int]:
    return [invitation.uses_left for invitation in await world.factory.invitations.of_project("lead", SLUG)]


async def test_an_account_that_was_let_in_holds_its_use(world: World) -> None:
    invitations, code = world.factory.invitations, (await world.link(uses=2)).code or ""
    assert [await invitations.reserve(code, "new") for _ in range(2)] == [True, True]
    assert (await left(world), await invitations.is_valid_code(code)) == ([1], True)
    assert await invitations.reserve(code, "newer")
    assert (await left(world), await invitations.is_valid_code(code)) == ([0], False)
    assert not await invitations.reserve(code, "newest")
    with pytest.raises(InvitationUsedError):
        await invitations.accept("stranger", code)
    for name in ("new", "newer"):
        await world.sign_in(name)
        assert await invitations.admits(name)
        assert (await invitations.look(None, code)).invitation.uses_left == 0  # a visitor may be one of them
        await invitations.accept(name, code)
    assert await left(world) == []
    assert (await world.roles()).keys() >= {"new", "newer"}
    with pytest.raises(InvitationUsedError):
        await invitations.look(None, code)
    assert [e.actor for e in await world.events(action="invitation.reserve")] == ["newer", "new"]


async def test_an_account_that_could_not_be_made_gives_its_use_back(world: World) -> None:
    invitations, code = world.factory.invitations, (await world.link()).code or ""
    await invitations.reserve(code, "new")
    await invitations.release(code, "new")
    await invitations.release(code, "new")
    assert (await left(world), await invitations.admits("new")) == ([1], False)
    assert await invitations.reserve(code, "newer")


async def test_a_use_that_is_held_ends_with_its_link(world: World) -> None:
    link = await world.link()
    await world.factory.invitations.reserve(link.code or "", "new")
    world.clock.move(days=8)
    assert not await world.factory.invitations.admits("new")
    link = await world.link()
    await world.factory.invitations.reserve(link.code or "", "new")
    assert await left(world) == [0]  # so that a lead can withdraw it
    await world.factory.invitations.revoke("lead", SLUG, link.id)
    assert not await world.factory.invitations.admits("new")
    assert not await world.factory.invitations.reserve(link.code or "", "new")
    await world.sign_in("new")
    with pytest.raises(InvitationUsedError, match="revoked"):
        await world.factory.invitations.accept("new", link.code or "")


async def test_who_was_removed_holds_no_use(world: World) -> None:
    code = (await world.link()).code or ""
    await world.sign_in("new")
    await world.factory.invitations.reserve(code, "new")
    await world.factory.departures.remove("operator", "new")
    assert not await world.factory.invitations.admits("new")


@pytest.mark.parametrize("code", ["", "0000-0000-0000-0000", "\0"])
async def test_a_wrong_code_lets_nobody_in(world: World, code: str) -> None:
    before = await snapshot(world.factory.database)
    assert not await world.factory.invitations.reserve(code, "new")
    await world.factory.invitations.release(code, "new")
    assert await snapshot(world.factory.database) == before


async def test_ten_sign_ups_at_once_take_what_uses_there_are(world: World) -> None:
    code = (await world.link(uses=3)).code or ""
    taken = await asyncio.gather(*(world.factory.invitations.reserve(code, f"new-{n}") for n in range(10)))
    assert (sum(taken), await left(world)) == (3, [0])


@pytest.mark.parametrize("member", ["viewer", "editor", "lead"])
async def test_who_is_in_already_uses_nothing_up(world: World, member: str) -> None:
    link = await world.link()
    await world.factory.invitations.accept(member, link.code or "")
    left = (await world.factory.invitations.of_project("lead", SLUG))[0].uses_left
    assert (left, len(await world.roles())) == (1, 3)


async def test_a_link_raises_a_lower_role(world: World) -> None:
    link = await world.link(role=Role.EDITOR)
    await world.factory.invitations.accept("viewer", link.code or "")
    assert (await world.roles())["viewer"] is Role.EDITOR


async def test_a_link_expires(world: World) -> None:
    code = (await world.link(days=7)).code or ""
    world.clock.move(days=6, hours=23)
    assert await world.factory.invitations.is_valid_code(code)
    world.clock.move(hours=1)
    assert not await world.factory.invitations.is_valid_code(code)
    with pytest.raises(InvitationUsedError, match="expired"):
        await world.factory.invitations.accept("stranger", code)
    assert await world.factory.invitations.of_project("lead", SLUG) == []


async def test_a_revoked_link_is_over(world: World) -> None:
    link = await world.link()
    await world.factory.invitations.revoke("lead", SLUG, link.id)
    with pytest.raises(InvitationUsedError, match="revoked"):
        await world.factory.invitations.accept("stranger", link.code or "")


@pytest.mark.parametrize("code", ["", "x", "0000-0000-0000-0000", "a" * 10_000, "\0", "' OR 1=1 --"])
async def test_a_wrong_code_opens_nothing(world: World, code: str) -> None:
    await world.link()
    with pytest.raises(NotFoundError):
        await world.factory.invitations.accept("stranger", code)
    assert not await world.factory.invitations.is_valid_code(code)


async def test_a_link_to_a_deleted_project_opens_nothing(world: World) -> None:
    code = (await world.link()).code or ""
    offer = await invite(world)
    await world.factory.projects.delete("lead", SLUG)
    assert not await world.factory.invitations.is_valid_code(code)
    for key in (code, offer.id):
        with pytest.raises(NotFoundError):
            await world.factory.invitations.look("stranger", key)
        with pytest.raises(NotFoundError):
            await world.factory.invitations.accept("stranger", key)
    assert await world.factory.invitations.mine("stranger") == []


async def test_a_holder_sees_what_is_offered_without_an_account(world: World) -> None:
    await world.factory.data.attach("lead", SLUG, "noaa-co2")
    link = await world.link(role=Role.EDITOR)
    offer = await world.factory.invitations.look(None, link.code or "")
    assert (offer.invitation.role, offer.project.slug, offer.members, offer.my_role) == (Role.EDITOR, SLUG, 3, None)
    assert [data.name for data in offer.data] == ["noaa-co2"]
    assert (await world.factory.invitations.look("viewer", link.code or "")).my_role is Role.VIEWER


async def test_a_throw_away_account_may_hold_a_link(world: World) -> None:
    await world.sign_in("pupil-1", kind=Kind.WORKSHOP)
    await world.factory.invitations.accept("pupil-1", (await world.link()).code or "")
    assert (await world.roles())["pupil-1"] is Role.VIEWER


@pytest.mark.parametrize("terms", [{"days": 0}, {"uses": 0}, {"days": -1}, {"uses": 2**70, "days": "x"}])
def test_terms_that_make_no_sense_are_refused(terms: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        NewLink.model_validate({"role": "viewer", **terms})


@pytest.mark.parametrize(
    ("terms", "field"), [({"days": 11}, "days"), ({"uses": 6}, "uses"), ({"uses": 2**200}, "uses")]
)
async def test_terms_beyond_the_limits_are_refused(
    world: World, with_settings: Callable[..., Factory], terms: dict[str, int], field: str
) -> None:
    site = with_settings(limits=Limits(invitation_days=10, invitation_uses=5))
    with pytest.raises(InvalidInputError) as caught:
        await site.invitations.make_link("lead", SLUG, NewLink(role=Role.VIEWER, **terms))
    assert caught.value.field == field
    await site.invitations.make_link("lead", SLUG, NewLink(role=Role.VIEWER, days=10, uses=5))


async def test_only_leads_and_operators_invite(world: World) -> None:
    for who in ("editor", "viewer"):
        with pytest.raises(MissingPermissionError):
            await world.factory.invitations.make_link(who, SLUG, NewLink(role=Role.VIEWER))
        with pytest.raises(MissingPermissionError):
            await world.factory.invitations.of_project(who, SLUG)
    with pytest.raises(NotFoundError):
        await world.factory.invitations.make_link("stranger", SLUG, NewLink(role=Role.VIEWER))
    assert await world.factory.invitations.make_link("operator", SLUG, NewLink(role=Role.VIEWER))


async def test_accepting_answers_an_open_join_request(world: World) -> None:
    await world.change(visibility=Visibility.INTERNAL)
    await world.factory.join_requests.ask("stranger", SLUG)
    offer = await invite(world)
    await world.factory.invitations.accept("stranger", offer.id)
    assert await world.factory.join_requests.of_project("lead", SLUG) == []


async def test_one_person_has_one_open_invitation(world: World) -> None:
    for role in (Role.VIEWER, Role.EDITOR, Role.VIEWER):
        await invite(world, role=role)
    query = "SELECT count(*) FROM invitations WHERE state = :state AND person = 'stranger'"
    assert await scalar(world.factory.database, query, state=InvitationState.OPEN.value) == 1


# After a lead decided otherwise ---------------------------------------------------------------------------


def remove(world: World, person: str) -> Awaitable[object]:
    return world.factory.members.remove("lead", SLUG, person)


def demote(world: World, person: str) -> Awaitable[object]:
    return world.factory.members.put("lead", SLUG, person, Role.VIEWER)


@pytest.mark.parametrize("decision", [remove, demote])
@pytest.mark.parametrize("holder", ["editor", "stranger"])
async def test_what_a_lead_offered_ends_with_their_role(
    world: World, decision: Callable[[World, str], Awaitable[object]], holder: str
) -> None:
    await world.factory.members.put("lead", SLUG, "editor", Role.LEAD)
    link = await world.factory.invitations.make_link("editor", SLUG, NewLink(role=Role.LEAD, uses=5))
    offer = await world.factory.members.put("editor", SLUG, "stranger", Role.LEAD)
    assert isinstance(offer, Invitation)
    world.clock.move(seconds=1)
    await decision(world, "editor")
    assert await world.factory.invitations.of_project("lead", SLUG) == []
    assert len(await world.events(action="invitation.revoke", actor="lead")) == 2
    assert not await world.factory.invitations.is_valid_code(link.code or "")
    for attempt in (
        world.factory.invitations.accept(holder, link.code or ""),
        world.factory.invitations.accept("stranger", offer.id),
    ):
        with pytest.raises(InvitationUsedError, match="revoked before"):
            await attempt
    assert (await world.roles()).get("editor") == (Role.VIEWER if decision is demote else None)


async def test_what_a_lead_through_a_group_offered_ends_with_the_group(world: World) -> None:
    await world.sign_in("stranger", "staff")
    await world.factory.members.put_group("lead", SLUG, "staff", Role.LEAD)
    link = await world.factory.invitations.make_link("stranger", SLUG, NewLink(role=Role.LEAD))
    await world.sign_in("stranger")
    assert not await world.factory.invitations.is_valid_code(link.code or "")
    for attempt in (world.factory.invitations.look, world.factory.invitations.accept):
        with pytest.raises(InvitationUsedError, match="does not manage"):
            await attempt("stranger", link.code or "")
    await world.factory.invitations.revoke("lead", SLUG, link.id)


@pytest.mark.parametrize("decision", [remove, demote])
async def test_a_link_does_not_undo_a_later_decision(
    world: World, decision: Callable[[World, str], Awaitable[object]]
) -> None:
    link = await world.link(role=Role.EDITOR, uses=5)
    world.clock.move(seconds=1)
    await decision(world, "editor")
    with pytest.raises(InvitationUsedError, match="before a lead removed you"):
        await world.factory.invitations.accept("editor", link.code or "")
    await world.factory.invitations.accept("stranger", link.code or "")
    world.clock.move(seconds=1)
    newer = await world.link(role=Role.EDITOR)
    await world.factory.invitations.accept("editor", newer.code or "")
    assert (await world.roles())["editor"] is Role.EDITOR


async def test_who_left_may_come_back_by_a_link(world: World) -> None:
    link = await world.link(uses=5)
    world.clock.move(seconds=1)
    await world.factory.members.remove("editor", SLUG, "editor")
    await world.factory.invitations.accept("editor", link.code or "")
    assert (await world.roles())["editor"] is Role.VIEWER
