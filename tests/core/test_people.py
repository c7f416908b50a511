from __future__ import annotations

from collections.abc import Callable

import pytest

from jupyterhub_collab.access.models import Role
from jupyterhub_collab.errors import InvalidInputError, LoginRequiredError, NotFoundError, SiteRightError
from jupyterhub_collab.factory import Factory
from jupyterhub_collab.people.models import Kind
from jupyterhub_collab.settings import People
from tests.support.databases import snapshot
from tests.support.world import SLUG, World

# Signing in -----------------------------------------------------------------------------------------------


async def test_the_first_login_makes_a_person(world: World) -> None:
    person = await world.factory.people.sign_in("ada", display_name="Ada L.", groups=frozenset({"staff"}))
    assert (person.name, person.display_name, person.groups, person.kind) == (
        "ada", "Ada L.", frozenset({"staff"}), Kind.PERSON,
    )  # fmt: skip
    assert [e.action for e in await world.events(actor="ada")] == ["person.groups", "person.create"]
    world.clock.move(hours=1)
    again = await world.factory.people.sign_in("ada", display_name="Ada Lovelace", groups=frozenset({"staff"}))
    assert (again.display_name, again.first_seen, again.last_seen) == ("Ada Lovelace", person.first_seen, world.clock())
    assert len(await world.events(actor="ada")) == 2


async def test_a_missing_claim_leaves_groups_as_they_are(world: World) -> None:
    await world.sign_in("ada", "staff")
    assert (await world.factory.people.sign_in("ada", groups=None)).groups == {"staff"}
    assert (await world.factory.people.sign_in("ada", groups=frozenset())).groups == frozenset()


async def test_a_provider_gives_no_group_of_ours(world: World) -> None:
    await world.sign_in("ada", "collab:co2:lead", "Collab:x", "x" * 256, "x" * 255)
    person = await world.factory.people.get("ada")
    assert person is not None
    assert person.groups == {"x" * 255}


@pytest.mark.parametrize("name", ["", "a" * 256, "a\0b", "a\nb", "\ud800"])
async def test_an_account_name_can_be_kept(world: World, name: str) -> None:
    before = await snapshot(world.factory.database)
    with pytest.raises(InvalidInputError):
        await world.factory.people.sign_in(name, groups=frozenset())
    assert await snapshot(world.factory.database) == before


async def test_a_kind_never_changes(world: World) -> None:
    await world.sign_in("x", kind=Kind.EXPLORE)
    assert (await world.factory.people.sign_in("x", groups=None, kind=Kind.PERSON)).kind is Kind.EXPLORE


@pytest.mark.parametrize("display_name", ["x" * 1000, "a\0b", "\ud800"])
async def test_any_display_name_lets_one_in(world: World, display_name: str) -> None:
    """It comes from elsewhere, and nobody should stay outside for it."""
    person = await world.factory.people.sign_in("ada", display_name=display_name, groups=None)
    assert len(person.display_name) <= 255


@pytest.mark.parametrize("group", ["a\0b", "\ud800"])
async def test_a_group_that_can_not_be_kept_is_left_out(world: World, group: str) -> None:
    person = await world.factory.people.sign_in("ada", groups=frozenset({group, "staff"}))
    assert person.groups == {"staff"}


async def test_hub_groups_mirror_effective_roles(world: World) -> None:
    await world.sign_in("viewer", "staff")
    await world.create("other", who="viewer")
    await world.factory.members.put_group("lead", SLUG, "staff", Role.EDITOR)
    assert await world.factory.people.hub_groups("viewer") == ["collab:co2:editor", "collab:other:lead"]
    assert await world.factory.people.hub_groups("stranger") == []


# Losing a group -------------------------------------------------------------------------------------------


async def crowd(world: World, size: int) -> list[str]:
    names = [f"p{number}" for number in range(size)]
    for name in names:
        await world.sign_in(name, "staff", "other")
    return names


async def in_staff(world: World, names: list[str]) -> list[str]:
    people = [await world.factory.people.get(name) for name in names]
    return [person.name for person in people if person and "staff" in person.groups]


async def test_many_losses_pause_a_group_and_tell_the_operator(world: World) -> None:
    names = await crowd(world, 4)
    for name in names:
        await world.sign_in(name, "other")
    assert await in_staff(world, names) == names[2:]
    (pause,) = await world.factory.people.pauses("operator")
    assert (pause.group, pause.since) == ("staff", world.clock())
    assert "“staff”" in pause.reason
    event = next(e for e in await world.events(action="group.pause"))
    assert (event.actor, event.target) == ("the system", "staff")


async def test_who_says_it_twice_counts_once(world: World) -> None:
    names = await crowd(world, 1)
    for _ in range(5):
        await world.sign_in(names[0])
        await world.sign_in(names[0], "staff")
    assert await world.factory.people.pauses("operator") == []


async def test_slow_losses_are_the_ordinary_course(world: World) -> None:
    names = await crowd(world, 6)
    for name in names:
        await world.sign_in(name, "other")
        world.clock.move(minutes=31)
    assert await in_staff(world, names) == []
    assert await world.factory.people.pauses("operator") == []


async def test_one_groups_pause_holds_no_other(world: World) -> None:
    names = await crowd(world, 4)
    for name in names:
        await world.sign_in(name, "other")
    await world.sign_in("p3")
    person = await world.factory.people.get("p3")
    assert person is not None
    assert person.groups == {"staff"}


async def test_a_paused_group_still_takes_in(world: World) -> None:
    for name in await crowd(world, 3):
        await world.sign_in(name, "other")
    await world.sign_in("fresh", "staff")
    assert await in_staff(world, ["fresh"]) == ["fresh"]


async def test_the_operator_lets_losses_apply(world: World) -> None:
    names = await crowd(world, 4)
    for name in names:
        await world.sign_in(name, "other")
    for who, error in (("lead", SiteRightError), (None, LoginRequiredError)):
        with pytest.raises(error):
            await world.factory.people.resume_group(who, "staff")
    await world.factory.people.resume_group("operator", "staff")
    assert await world.factory.people.pauses("operator") == []
    assert (await world.last_event()).action == "group.resume"
    for name in names:
        await world.sign_in(name, "other")
    assert await in_staff(world, names) == []
    with pytest.raises(NotFoundError):
        await world.factory.people.resume_group("operator", "staff")


async def test_all_losses_that_the_operator_meant_apply(world: World) -> None:
    """However many they are: the operator was asked once and said that they are meant."""
    names = await crowd(world, 9)
    for name in names:
        await world.sign_in(name, "other")
    await world.factory.people.resume_group("operator", "staff")
    for name in names:
        await world.sign_in(name, "other")
    assert await in_staff(world, names) == []
    world.clock.move(hours=25)
    for name in names:
        await world.sign_in(name, "other", "staff")
    for name in names:
        await world.sign_in(name, "other")
    assert len(await in_staff(world, names)) == 7


# Search ---------------------------------------------------------------------------------------------------


async def found(factory: Factory, text: str, who: str | None = "stranger") -> list[str]:
    return [person.name for person in await factory.people.search(who, text)]


@pytest.fixture
async def crowded(world: World) -> World:
    for name, display in (("ada", "Ada Lovelace"), ("adam", "Adam O'Neil"), ("x_y", "Zoë 100%"), ("bob", "Lovell")):
        await world.factory.people.sign_in(name, display_name=display, groups=frozenset({"staff"}))
    await world.factory.people.sign_in("adax", display_name="Ada Bot", groups=None, kind=Kind.EXPLORE)
    return world


async def test_search_finds_beginnings_of_names(crowded: World) -> None:
    assert await found(crowded.factory, "ada") == ["ada", "adam"]
    assert await found(crowded.factory, " ADA ") == ["ada", "adam"]
    assert await found(crowded.factory, "adam o'") == ["adam"]
    assert await found(crowded.factory, "zoë") == ["x_y"]
    assert await found(crowded.factory, "lov") == ["bob"]
    for wildcard in ("%%%", "___", "a%a", "ad_", "\\\\\\", "' OR 1=1"):
        assert await found(crowded.factory, wildcard) == []
    assert await found(crowded.factory, "x_y") == ["x_y"]


async def test_search_needs_three_letters_and_an_account(crowded: World) -> None:
    for text in ("", "a", "ad", "  ad  "):
        with pytest.raises(InvalidInputError) as caught:
            await found(crowded.factory, text)
        assert caught.value.field == "q"
    for who in (None, "adax"):
        with pytest.raises(LoginRequiredError):
            await found(crowded.factory, "ada", who)


async def test_search_shows_ten_and_names_only(world: World) -> None:
    for number in range(30):
        await world.sign_in(f"crowd{number:02}", "staff")
    people = await world.factory.people.search("stranger", "crowd")
    assert len(people) == 10
    assert people[0].model_dump() == {"name": "crowd00", "display_name": "Crowd00 Doe"}


async def test_an_operator_may_want_whole_names(crowded: World, with_settings: Callable[..., Factory]) -> None:
    exact = with_settings(people=People(search="exact"))
    assert await found(exact, "ada") == ["ada"]
    assert await found(exact, "ad") == []
    assert await found(exact, "ada lovelace") == []
    assert await found(exact, "ADA") == ["ada"]


async def test_whole_names_are_wanted_of_groups_too(crowded: World, with_settings: Callable[..., Factory]) -> None:
    exact = with_settings(people=People(search="exact"))
    assert await exact.people.search_groups("stranger", "sta") == []
    assert [g.group for g in await exact.people.search_groups("stranger", "staff")] == ["staff"]


async def test_groups_are_found_by_their_beginning(crowded: World) -> None:
    (group,) = await crowded.factory.people.search_groups("stranger", "sta")
    assert (group.group, group.people) == ("staff", 4)
    assert await crowded.factory.people.search_groups("stranger", "st") == []
    assert await crowded.factory.people.search_groups("stranger", "s%f") == []


async def test_the_operator_pages_through_persons(world: World) -> None:
    for number in range(60):
        await world.sign_in(f"crowd{number:02}", "staff", f"g{number}")
    first, cursor = await world.factory.people.page("operator")
    second, end = await world.factory.people.page("operator", after=cursor or "")
    names = [person.name for person in first + second]
    assert (len(first), end, names) == (50, None, sorted(names))
    assert len(names) == 65
    assert next(p for p in first if p.name == "crowd07").groups == {"staff", "g7"}
    found, _ = await world.factory.people.page("operator", search="CROWD0")
    assert len(found) == 10
    with pytest.raises(SiteRightError):
        await world.factory.people.page("lead")
