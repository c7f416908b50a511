"""The permission table and what it says of each person, against a table written by hand."""

from __future__ import annotations

import itertools

import pytest

from jupyterhub_collab.access.models import (
    PERMISSIONS,
    Actor,
    Permission,
    Role,
    SiteRight,
    Standing,
    Visibility,
    lowest_role_with,
    permissions,
    standing,
)
from jupyterhub_collab.errors import ArchivedError, LoginRequiredError, MissingPermissionError, NotFoundError
from jupyterhub_collab.people.models import Kind
from tests.support.world import EVERYONE, SLUG, World

# Who may do what in a private project: l(ead) e(ditor) v(iewer) s(tranger) o(perator); the visitor may do nothing
ALLOWED = {
    "project:find": "levo",
    "project:ask-to-join": "so",  # a stranger must be able to find it
    "files:read": "lev",
    "files:write": "le",
    "server:run": "lev",
    "members:read": "levo",
    "activity:read": "levo",
    "members:leave": "lev",
    "members:manage": "lo",
    "data:manage": "l",
    "readme:change": "le",
    "settings:change": "lo",
    "volume:resize": "o",
    "servers:stop": "lo",
    "project:archive": "lo",
    "project:delete": "lo",
    "project:restore": "lo",
}
# What waits while a project is archived
WAITING = {
    "project:ask-to-join", "files:write", "server:run", "data:manage", "readme:change", "settings:change",
    "volume:resize",
}  # fmt: skip

OPERATOR = Actor(name="operator", rights=frozenset({SiteRight.OPERATOR}))
ADA = Actor(name="ada")
EXPLORER = Actor(name="x", is_person=False)


def test_the_table_has_a_row_for_every_permission() -> None:
    assert set(ALLOWED) == {permission.value for permission in Permission}
    assert set(PERMISSIONS) == set(Standing)


@pytest.mark.parametrize("who", EVERYONE)
async def test_the_database_decides_as_the_table_says(world: World, who: str | None) -> None:
    if who in ("stranger", None):
        with pytest.raises(NotFoundError):
            await world.factory.projects.get(who, SLUG)
        return
    access = await world.factory.projects.get(who, SLUG)
    assert {p.value for p in access.allowed} == {name for name, people in ALLOWED.items() if who[0] in people}


@pytest.mark.parametrize("permission", Permission)
def test_each_role_includes_the_one_before(permission: Permission) -> None:
    held = [permission in PERMISSIONS[Standing(role.value)] for role in Role]
    assert held == sorted(held)
    if any(held):
        assert list(Role)[held.index(True)] is lowest_role_with(permission)


@pytest.mark.parametrize(("role", "visibility"), list(itertools.product([None, *Role], Visibility)))
def test_an_operator_has_the_rights_of_both(role: Role | None, visibility: Visibility) -> None:
    both = permissions(OPERATOR, role, visibility)
    assert both >= permissions(ADA, role, visibility) - {Permission.ASK_TO_JOIN}
    assert both >= PERMISSIONS[Standing.OPERATOR] - {Permission.ASK_TO_JOIN}


def test_an_operator_has_no_way_into_files() -> None:
    for visibility in Visibility:
        held = permissions(OPERATOR, None, visibility)
        assert not held & {Permission.READ_FILES, Permission.WRITE_FILES, Permission.RUN_SERVER, Permission.MANAGE_DATA}


def test_a_member_does_not_ask_to_join() -> None:
    for role, actor in itertools.product(Role, (ADA, OPERATOR, EXPLORER)):
        assert Permission.ASK_TO_JOIN not in permissions(actor, role, Visibility.PUBLIC)


@pytest.mark.parametrize(
    ("actor", "visibility", "finds"),
    [
        (None, Visibility.PUBLIC, True),
        (None, Visibility.INTERNAL, False),
        (None, Visibility.PRIVATE, False),
        (EXPLORER, Visibility.PUBLIC, True),
        (EXPLORER, Visibility.INTERNAL, False),
        (ADA, Visibility.INTERNAL, True),
        (ADA, Visibility.PRIVATE, False),
        (OPERATOR, Visibility.PRIVATE, True),
    ],
)
def test_visibility_lets_find_and_nothing_else(actor: Actor | None, visibility: Visibility, finds: bool) -> None:
    held = permissions(actor, None, visibility)
    assert (Permission.FIND in held) == finds
    assert not held & {Permission.READ_FILES, Permission.READ_MEMBERS, Permission.READ_ACTIVITY} or actor is OPERATOR


def test_a_throw_away_account_stands_like_a_visitor_until_it_has_a_role() -> None:
    assert standing(None, EXPLORER) is Standing.VISITOR
    assert standing(Role.EDITOR, EXPLORER) is Standing.EDITOR


# The authorizer -------------------------------------------------------------------------------------------


async def test_who_never_logged_in_has_to(world: World) -> None:
    with pytest.raises(LoginRequiredError):
        await world.factory.projects.get("ghost", SLUG)


@pytest.mark.parametrize("slug", ["none-such", "", "..", "co2%", "CO2", "a" * 500, "🌊"])
async def test_what_does_not_exist_looks_like_what_may_not_be_seen(world: World, slug: str) -> None:
    with pytest.raises(NotFoundError) as absent:
        await world.factory.projects.get("stranger", slug)
    with pytest.raises(NotFoundError) as hidden:
        await world.factory.projects.get("stranger", SLUG)
    assert absent.value.problem() == hidden.value.problem()


async def test_a_refusal_names_the_permission_and_the_lowest_role(world: World) -> None:
    with pytest.raises(MissingPermissionError) as caught:
        await world.change(who="viewer", readme="x")
    assert caught.value.extra["permission"] == "readme:change"
    assert "editor" in caught.value.detail


async def test_what_waits_in_an_archived_project_says_so(world: World) -> None:
    await world.factory.projects.archive("lead", SLUG)
    authorizer = world.factory.projects._authorizer

    async def tries(permission: Permission) -> str:
        try:
            await world.factory.database.read(lambda session: authorizer.project(session, "lead", SLUG, permission))
        except (ArchivedError, MissingPermissionError) as error:
            return error.code
        return "allowed"

    for permission in Permission:
        if "l" in ALLOWED[permission]:
            assert await tries(permission) == ("project-archived" if permission in WAITING else "allowed"), permission


async def test_a_role_through_a_throw_away_account_counts(world: World) -> None:
    await world.sign_in("pupil-1", kind=Kind.WORKSHOP)
    await world.join("pupil-1", Role.EDITOR)
    assert (await world.change(who="pupil-1", readme="Hello")).my_role is Role.EDITOR


async def test_rights_follow_the_settings_and_never_a_throw_away_account(world: World) -> None:
    assert SiteRight.OPERATOR in await world.factory.people.rights("operator")
    assert SiteRight.OPERATOR not in await world.factory.people.rights("lead")
    await world.factory.people.sign_in("visitor-9", groups=frozenset(), kind=Kind.EXPLORE)
    assert await world.factory.people.rights("visitor-9") == frozenset()
