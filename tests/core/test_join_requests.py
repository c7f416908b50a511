from __future__ import annotations

import pytest

from jupyterhub_collab.access.models import Role, Visibility
from jupyterhub_collab.errors import (
    AlreadyAskedError,
    AlreadyMemberError,
    InvalidInputError,
    JoinRequestDecidedError,
    LoginRequiredError,
    MissingPermissionError,
    NotFoundError,
)
from jupyterhub_collab.people.models import Kind
from jupyterhub_collab.projects.models import JoinRequestState
from tests.support.databases import snapshot
from tests.support.world import SLUG, World


@pytest.fixture
async def site(world: World) -> World:
    """The project can be found by every person."""
    await world.change(visibility=Visibility.INTERNAL)
    return world


async def test_asking_changes_nothing_but_the_list(site: World) -> None:
    request = await site.factory.join_requests.ask("stranger", SLUG, "I measure CO₂\nin Jena.")
    assert (request.user, request.state, request.message) == (
        "stranger", JoinRequestState.OPEN, "I measure CO₂\nin Jena.",
    )  # fmt: skip
    assert "stranger" not in await site.roles()
    assert [r.id for r in await site.factory.join_requests.of_project("lead", SLUG)] == [request.id]
    assert [r.id for r in await site.factory.join_requests.to_decide("lead")] == [request.id]
    assert [r.id for r in await site.factory.join_requests.mine("stranger")] == [request.id]
    assert (await site.last_event()).action == "join-request.create"


@pytest.mark.parametrize("role", Role)
async def test_a_lead_lets_in_with_a_role(site: World, role: Role) -> None:
    request = await site.factory.join_requests.ask("stranger", SLUG)
    await site.factory.join_requests.approve("lead", SLUG, request.id, role)
    assert (await site.roles())["stranger"] is role
    assert await site.factory.projects.pins("stranger") == {SLUG}
    assert await site.factory.join_requests.of_project("lead", SLUG) == []
    for again in (
        site.factory.join_requests.approve("lead", SLUG, request.id, Role.LEAD),
        site.factory.join_requests.decline("lead", SLUG, request.id),
        site.factory.join_requests.decline("stranger", SLUG, request.id),
    ):
        with pytest.raises(JoinRequestDecidedError, match="approved already"):
            await again
    assert (await site.roles())["stranger"] is role


async def test_a_lead_declines_and_one_may_ask_again(site: World) -> None:
    request = await site.factory.join_requests.ask("stranger", SLUG)
    await site.factory.join_requests.decline("lead", SLUG, request.id)
    assert (await site.last_event()).action == "join-request.decline"
    assert (await site.factory.join_requests.ask("stranger", SLUG)).id != request.id


async def test_one_withdraws_ones_own_request(site: World) -> None:
    request = await site.factory.join_requests.ask("stranger", SLUG)
    await site.factory.join_requests.decline("stranger", SLUG, request.id)
    assert (await site.last_event()).action == "join-request.withdraw"
    assert await site.factory.join_requests.mine("stranger") == []


async def test_one_asks_once(site: World) -> None:
    await site.factory.join_requests.ask("stranger", SLUG)
    before = await snapshot(site.factory.database)
    with pytest.raises(AlreadyAskedError):
        await site.factory.join_requests.ask("stranger", SLUG)
    assert await snapshot(site.factory.database) == before


async def test_members_do_not_ask(site: World) -> None:
    for member in ("lead", "editor", "viewer"):
        with pytest.raises(AlreadyMemberError):
            await site.factory.join_requests.ask(member, SLUG)


async def test_visitors_log_in_first(site: World) -> None:
    await site.change(visibility=Visibility.PUBLIC)
    with pytest.raises(LoginRequiredError):
        await site.factory.join_requests.ask(None, SLUG)
    await site.sign_in("visitor-1", kind=Kind.EXPLORE)
    with pytest.raises(MissingPermissionError):
        await site.factory.join_requests.ask("visitor-1", SLUG)


async def test_who_may_not_find_it_may_not_ask(world: World) -> None:
    with pytest.raises(NotFoundError):
        await world.factory.join_requests.ask("stranger", SLUG)
    assert (await world.factory.join_requests.ask("operator", SLUG)).user == "operator"


@pytest.mark.parametrize("message", ["x" * 501, "a\0b", "\x1b[31m", "\ud800"])
async def test_a_message_is_a_short_plain_text(site: World, message: str) -> None:
    with pytest.raises(InvalidInputError) as caught:
        await site.factory.join_requests.ask("stranger", SLUG, message)
    assert caught.value.field == "message"


async def test_only_those_who_manage_members_decide(site: World) -> None:
    request = await site.factory.join_requests.ask("stranger", SLUG)
    for who in ("editor", "viewer", "stranger"):
        with pytest.raises(MissingPermissionError):
            await site.factory.join_requests.approve(who, SLUG, request.id, Role.VIEWER)
        with pytest.raises(MissingPermissionError):
            await site.factory.join_requests.of_project(who, SLUG)
    with pytest.raises(MissingPermissionError):
        await site.factory.join_requests.decline("viewer", SLUG, request.id)
    await site.factory.join_requests.approve("operator", SLUG, request.id, Role.VIEWER)


async def test_a_request_is_decided_in_its_own_project_only(site: World) -> None:
    request = await site.factory.join_requests.ask("stranger", SLUG)
    await site.create("other", who="viewer")
    for attempt in (
        site.factory.join_requests.approve("viewer", "other", request.id, Role.LEAD),
        site.factory.join_requests.decline("viewer", "other", request.id),
    ):
        with pytest.raises(NotFoundError):
            await attempt
    with pytest.raises(NotFoundError):
        await site.factory.join_requests.approve("lead", SLUG, 999_999, Role.VIEWER)


async def test_a_higher_role_that_someone_has_meanwhile_stays(site: World) -> None:
    request = await site.factory.join_requests.ask("stranger", SLUG)
    await site.sign_in("stranger", "staff")
    await site.factory.members.put_group("lead", SLUG, "staff", Role.EDITOR)
    await site.factory.join_requests.approve("lead", SLUG, request.id, Role.VIEWER)
    assert (await site.roles())["stranger"] is Role.EDITOR


async def test_approving_a_member_leaves_an_event_too(site: World) -> None:
    """Somebody became a member by other ways while the request lay there: the decision is a change all the same."""
    request = await site.factory.join_requests.ask("stranger", SLUG)
    offer = await site.factory.members.put("lead", SLUG, "stranger", Role.EDITOR)
    await site.factory.invitations.accept("stranger", offer.id)  # type: ignore[union-attr]
    again = await site.factory.join_requests.of_project("lead", SLUG)
    assert again == []
    with pytest.raises(JoinRequestDecidedError):
        await site.factory.join_requests.approve("lead", SLUG, request.id, Role.VIEWER)


async def test_deleted_projects_have_no_requests_to_decide(site: World) -> None:
    await site.factory.join_requests.ask("stranger", SLUG)
    await site.factory.projects.delete("lead", SLUG)
    assert await site.factory.join_requests.to_decide("lead") == []
    assert await site.factory.join_requests.mine("stranger") == []
