"""Races of three processes on both databases: whoever wins, every rule holds, and nobody meets a fault."""

from __future__ import annotations

import itertools
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any, Final

import pytest

from jupyterhub_collab.access.models import Role, Visibility
from jupyterhub_collab.database import Database
from jupyterhub_collab.factory import Factory
from jupyterhub_collab.projects.invitation_service import NewLink
from jupyterhub_collab.projects.models import Invitation, InvitationState, ProjectState
from jupyterhub_collab.projects.service import NewProject, ProjectChanges
from jupyterhub_collab.settings import Limits, People
from jupyterhub_collab.volumes.models import Mode
from tests.support.databases import prepare, scalar, sqlite_url
from tests.support.postgres import PostgresCluster
from tests.support.racing import OK, Racers, Step, racers, step
from tests.support.world import make_settings

QUICK: Final = 4
BATCH: Final = 25
HISTORIES: Final = 10_000
BACKENDS: Final = ("sqlite", "postgresql")
V, E, L = Role.VIEWER, Role.EDITOR, Role.LEAD
_numbers = itertools.count()


@dataclass
class Track:
    """Where races are prepared and looked at: services of the test's own process on the same database."""

    factory: Factory
    slug: str = ""
    key: Any = None

    async def create(self, **roles: Role) -> None:
        """Make a project led by ``a``, with members who are in without being asked."""
        self.slug = f"race-{next(_numbers)}"
        new = NewProject(title=self.slug, slug=self.slug, visibility=Visibility.INTERNAL)
        await self.factory.projects.create("a", new)
        for person, role in roles.items():
            await self.factory.members.put("a", self.slug, person, role)

    async def newcomers(self, number: int, *groups: str) -> list[str]:
        """Return people whom no other race has."""
        names = [f"runner-{next(_numbers)}" for _ in range(number)]
        for name in names:
            await self.factory.people.sign_in(name, groups=frozenset(groups))
        return names

    async def invite(self, person: str, role: Role) -> int:
        """Invite somebody, on a site that asks for consent; return the invitation's id."""
        settings = self.factory.settings.model_copy(update={"people": People()})
        offer = await Factory(settings, self.factory.database).members.put("a", self.slug, person, role)
        assert isinstance(offer, Invitation)
        return offer.id

    async def roles(self) -> dict[str, Role]:
        """Return who is in the project."""
        return {m.user: m.role for m in (await self.factory.members.page("operator", self.slug)).items}

    async def told(self) -> dict[str, Role]:
        """Return who should be in the project, by the story that its audit events tell."""
        roles: dict[str, Role] = {"a": L}
        events = (await self.factory.audit.search("operator", project=self.slug, limit=1000)).items
        for event in reversed(events):
            if event.action in ("member.add", "member.change"):
                roles[event.target] = Role(event.detail["role"])
            elif event.action in ("member.remove", "member.leave"):
                del roles[event.target]
        return roles

    async def count(self, query: str, **values: object) -> int:
        """Return what a query counts."""
        return int(await scalar(self.factory.database, f"SELECT count(*) FROM {query}", **values))  # noqa: S608


Prepare = Callable[[Track], Awaitable[tuple[Step, Step, Step]]]
Check = Callable[[Track, list[str]], Awaitable[None]]


# Leads ----------------------------------------------------------------------------------------------------


async def demote_each_other(track: Track) -> tuple[Step, Step, Step]:
    await track.create(b=L, c=L)
    one, two, three = (step("members.put", x, track.slug, y, V) for x, y in ("ab", "bc", "ca"))
    return one, two, three


async def a_lead_is_left(track: Track, outcomes: list[str]) -> None:
    assert set(outcomes) <= {OK, "last-lead", "missing-permission"}
    assert L in (await track.roles()).values()
    assert await track.roles() == await track.told()


async def leave_together(track: Track) -> tuple[Step, Step, Step]:
    await track.create(b=L, c=L)
    one, two, three = (step("members.remove", x, track.slug, x) for x in "abc")
    return one, two, three


async def one_lead_is_left(track: Track, outcomes: list[str]) -> None:
    assert sorted(outcomes) == ["last-lead", OK, OK]
    assert list((await track.roles()).values()) == [L]
    assert await track.roles() == await track.told()


async def hand_over_while_removed(track: Track) -> tuple[Step, Step, Step]:
    await track.create(b=V)
    return (
        step("members.put", "a", track.slug, "b", L),
        step("members.remove", "a", track.slug, "a"),
        step("members.remove", "operator", track.slug, "b"),
    )


async def a_lead_is_left_over(track: Track, outcomes: list[str]) -> None:
    """With consent, who was removed first is only invited."""
    assert set(outcomes) <= {OK, "last-lead", "missing-permission", "not-found"}
    assert L in (await track.roles()).values()
    assert await track.roles() == await track.told()


# Invitations and requests ---------------------------------------------------------------------------------


async def accept_one_link(track: Track) -> tuple[Step, Step, Step]:
    await track.create()
    link = await track.factory.invitations.make_link("a", track.slug, NewLink(role=E, uses=1))
    one, two, three = (step("invitations.accept", x, link.code) for x in "bcd")
    return one, two, three


async def one_is_in(track: Track, outcomes: list[str]) -> None:
    assert sorted(outcomes) == ["invitation-over", "invitation-over", OK]
    winner = "bcd"[outcomes.index(OK)]
    assert await track.roles() == {"a": L, winner: E} == await track.told()
    assert await track.count("invitations WHERE project = :slug AND uses_left = 0", slug=track.slug) == 1


async def remove_while_accepting(track: Track) -> tuple[Step, Step, Step]:
    await track.create()
    offer = await track.invite("b", E)
    return (
        step("invitations.accept", "b", offer),
        step("members.remove", "a", track.slug, "b"),
        step("invitations.revoke", "operator", track.slug, offer),
    )


async def in_or_out(track: Track, outcomes: list[str]) -> None:
    assert set(outcomes) <= {OK, "not-found", "invitation-over"}
    roles = await track.roles()
    assert roles == await track.told()
    is_open = "invitations WHERE project = :slug AND state = :state"
    assert await track.count(is_open, slug=track.slug, state=InvitationState.OPEN.value) == 0
    assert (track.slug in await track.factory.projects.pins("b")) == ("b" in roles)


async def invite_at_once(track: Track) -> tuple[Step, Step, Step]:
    await track.create(c=L)
    return (
        step("members.put", "a", track.slug, "b", V),
        step("members.put", "c", track.slug, "b", E),
        step("members.put", "operator", track.slug, "b", V),
    )


async def one_invitation_is_open(track: Track, outcomes: list[str]) -> None:
    assert outcomes == [OK, OK, OK]
    is_open = "invitations WHERE project = :slug AND state = :state"
    assert await track.count(is_open, slug=track.slug, state=InvitationState.OPEN.value) == 1
    assert "b" not in await track.roles()


async def decide_at_once(track: Track) -> tuple[Step, Step, Step]:
    await track.create(c=L)
    asked = (await track.factory.join_requests.ask("b", track.slug)).id
    return (
        step("join_requests.approve", "a", track.slug, asked, V),
        step("join_requests.approve", "c", track.slug, asked, E),
        step("join_requests.decline", "b", track.slug, asked),
    )


async def one_decision_holds(track: Track, outcomes: list[str]) -> None:
    assert sorted(outcomes) == ["join-request-decided", "join-request-decided", OK]
    decided = {0: {"b": V}, 1: {"b": E}, 2: {}}[outcomes.index(OK)]
    assert await track.roles() == {"a": L, "c": L, **decided} == await track.told()


async def ask_at_once(track: Track) -> tuple[Step, Step, Step]:
    await track.create()
    asking = step("join_requests.ask", "b", track.slug)
    return asking, asking, asking


async def one_request_is_open(track: Track, outcomes: list[str]) -> None:
    assert sorted(outcomes) == ["already-asked", "already-asked", OK]
    assert len(await track.factory.join_requests.of_project("a", track.slug)) == 1


# Projects -------------------------------------------------------------------------------------------------


async def same_slug(track: Track) -> tuple[Step, Step, Step]:
    track.slug = f"race-{next(_numbers)}"
    new = NewProject(title="Same", slug=track.slug)
    return tuple(step("projects.create", x, new) for x in "abc")  # type: ignore[return-value]


async def one_project_is_made(track: Track, outcomes: list[str]) -> None:
    assert sorted(outcomes) == [OK, "slug-taken", "slug-taken"]
    assert await track.roles() == {"abc"[outcomes.index(OK)]: L}
    assert await track.count("audit_events WHERE project = :slug", slug=track.slug) == 1


async def fill_the_last_place(track: Track) -> tuple[Step, Step, Step]:
    number = next(_numbers)
    track.key = f"maker-{number}"
    await track.factory.people.sign_in(track.key, groups=None)
    made = [NewProject(title="Mine", slug=f"race-{number}-{x}") for x in "abc"]
    return tuple(step("projects.create", track.key, new, tight=True) for new in made)  # type: ignore[return-value]


async def one_place_is_filled(track: Track, outcomes: list[str]) -> None:
    assert sorted(outcomes) == ["conflict", "conflict", OK]
    assert await track.count("projects WHERE created_by = :maker", maker=track.key) == 1


async def save_at_once(track: Track) -> tuple[Step, Step, Step]:
    await track.create(b=L)
    etag = (await track.factory.projects.get("a", track.slug)).project.etag
    return tuple(  # type: ignore[return-value]
        step("projects.change", who, track.slug, ProjectChanges(title=f"By {who}"), etag=etag)
        for who in ("a", "b", "operator")
    )


async def one_save_counts(track: Track, outcomes: list[str]) -> None:
    assert sorted(outcomes) == ["changed-meanwhile", "changed-meanwhile", OK]
    project = (await track.factory.projects.get("a", track.slug)).project
    assert (project.title, project.version) == (f"By {('a', 'b', 'operator')[outcomes.index(OK)]}", 2)


async def end_and_change(track: Track) -> tuple[Step, Step, Step]:
    await track.create(b=L)
    return (
        step("projects.archive", "a", track.slug),
        step("projects.delete", "b", track.slug),
        step("projects.change", "operator", track.slug, ProjectChanges(title="Late"), etag=None),
    )


async def each_end_is_one(track: Track, outcomes: list[str]) -> None:
    archived, deleted, changed = outcomes
    assert deleted == OK
    assert archived in (OK, "not-found")
    assert changed in (OK, "not-found", "project-archived")
    project = (await track.factory.projects.get("a", track.slug)).project
    assert project.deleted_at is not None
    assert project.state is (ProjectState.ARCHIVED if archived == OK else ProjectState.ACTIVE)
    assert (project.title == "Late") == (changed == OK)
    assert project.version == 1 + outcomes.count(OK)


async def pin_at_once(track: Track) -> tuple[Step, Step, Step]:
    await track.create(b=V)
    await track.factory.projects.set_pin("b", track.slug, pinned=False)
    pin = step("projects.set_pin", "b", track.slug, pinned=True)
    return pin, pin, pin


async def it_is_pinned(track: Track, outcomes: list[str]) -> None:
    assert outcomes == [OK, OK, OK]
    assert track.slug in await track.factory.projects.pins("b")


async def attach_and_detach(track: Track) -> tuple[Step, Step, Step]:
    await track.create(b=L)
    return (
        step("data.attach", "a", track.slug, "drop", Mode.READ_ONLY),
        step("data.attach", "b", track.slug, "drop", Mode.READ_WRITE),
        step("data.detach", "a", track.slug, "drop"),
    )


async def data_is_as_told(track: Track, outcomes: list[str]) -> None:
    assert outcomes[:2] == [OK, OK]
    assert outcomes[2] in (OK, "not-found")
    events = (await track.factory.audit.search("operator", project=track.slug, target="drop")).items
    attached = await track.factory.data.attached("a", track.slug)
    told = [Mode(events[0].detail["mode"])] if events[0].action == "data.attach" else []
    assert [data.mode for data in attached] == told


async def grant_a_group(track: Track) -> tuple[Step, Step, Step]:
    await track.create(b=L)
    return (
        step("members.put_group", "a", track.slug, "crowd", V),
        step("members.put_group", "b", track.slug, "crowd", E),
        step("members.remove_group", "b", track.slug, "crowd"),
    )


async def the_group_is_as_told(track: Track, outcomes: list[str]) -> None:
    assert outcomes[:2] == [OK, OK]
    assert outcomes[2] in (OK, "not-found")
    last = (await track.factory.audit.search("operator", project=track.slug, target="crowd")).items[0]
    grants = await track.factory.members.groups("a", track.slug)
    told = [Role(last.detail["role"])] if last.action == "group.grant" else []
    assert [grant.role for grant in grants] == told


async def read_while_it_changes(track: Track) -> tuple[Step, Step, Step]:
    await track.create(b=V, c=V, d=V)
    return (
        step("members.page", "a", track.slug),
        step("members.remove", "a", track.slug, "c"),
        step("members.remove", "a", track.slug, "d"),
    )


async def everything_went_well(_track: Track, outcomes: list[str]) -> None:
    assert outcomes == [OK, OK, OK]


# Servers --------------------------------------------------------------------------------------------------


async def start_three(track: Track) -> tuple[Step, Step, Step]:
    (track.key,) = await track.newcomers(1)
    slugs = []
    for _ in range(3):
        await track.create(**{track.key: V})
        slugs.append(track.slug)
    return tuple(step("servers.grant", track.key, slug, tight=True) for slug in slugs)  # type: ignore[return-value]


async def two_servers_run(track: Track, outcomes: list[str]) -> None:
    assert sorted(outcomes) == [OK, OK, "server-limit-reached"]
    assert len(await track.factory.servers.mine(track.key)) == 2


async def start_in_one_project(track: Track) -> tuple[Step, Step, Step]:
    track.key = await track.newcomers(3)
    await track.create(**dict.fromkeys(track.key, V))
    return tuple(step("servers.grant", x, track.slug, tight=True) for x in track.key)  # type: ignore[return-value]


async def two_members_run(track: Track, outcomes: list[str]) -> None:
    assert sorted(outcomes) == [OK, OK, "server-limit-reached"]
    assert await track.factory.servers.running_in("a", track.slug) == 2


async def remove_while_starting(track: Track) -> tuple[Step, Step, Step]:
    (track.key,) = await track.newcomers(1)
    await track.create(**{track.key: E})
    return (
        step("servers.grant", track.key, track.slug),
        step("members.put", "operator", track.slug, track.key, V),
        step("data.attach", "a", track.slug, "noaa-co2"),
    )


async def too_much_is_found(track: Track, outcomes: list[str]) -> None:
    """Whatever came first: the server has what is allowed now, or enforcement sees that it has not."""
    assert outcomes == [OK, OK, OK]
    (grant,) = await track.factory.servers.mine(track.key)
    mode = next(m.mode for m in grant.plan.mounts if m.path.endswith(track.slug))
    found = [e for e in await track.factory.servers.excess() if e.grant_id == grant.id]
    assert bool(found) == (mode is Mode.READ_WRITE)


async def stop_while_starting(track: Track) -> tuple[Step, Step, Step]:
    (track.key,) = await track.newcomers(1)
    await track.create(**{track.key: E})
    await track.factory.servers.grant(track.key, track.slug)
    return (
        step("servers.stop_members", "a", track.slug),
        step("servers.ended", track.key, track.slug),
        step("servers.grant", track.key, track.slug),
    )


async def one_server_is_on_record(track: Track, outcomes: list[str]) -> None:
    assert outcomes == [OK, OK, OK]
    running = await track.count("granted_plans WHERE server_name = :slug AND ended_at IS NULL", slug=track.slug)
    assert running <= 1


# People ---------------------------------------------------------------------------------------------------


async def first_login_thrice(track: Track) -> tuple[Step, Step, Step]:
    track.key = f"new-{next(_numbers)}"
    names = [f"{track.key}-{x}" for x in "abc"]
    return tuple(  # type: ignore[return-value]
        step("people.sign_in", track.key, display_name=name, groups=frozenset({name, "all"})) for name in names
    )


async def one_person_is_made(track: Track, outcomes: list[str]) -> None:
    assert outcomes == [OK, OK, OK]
    person = await track.factory.people.get(track.key)
    assert person is not None
    assert person.groups == {person.display_name, "all"}


async def lose_a_group(track: Track) -> tuple[Step, Step, Step]:
    track.key = f"group-{next(_numbers)}"
    people = await track.newcomers(3, track.key)
    return tuple(step("people.sign_in", x, groups=frozenset(), tight=True) for x in people)  # type: ignore[return-value]


async def one_loss_applies(track: Track, outcomes: list[str]) -> None:
    assert outcomes == [OK, OK, OK]
    assert await track.count("person_groups WHERE group_name = :group", group=track.key) == 2
    assert track.key in {pause.group for pause in await track.factory.people.pauses("operator")}
    await track.factory.people.resume_group("operator", track.key)


RACES: dict[Prepare, Check] = {
    demote_each_other: a_lead_is_left,
    leave_together: one_lead_is_left,
    hand_over_while_removed: a_lead_is_left_over,
    accept_one_link: one_is_in,
    remove_while_accepting: in_or_out,
    invite_at_once: one_invitation_is_open,
    decide_at_once: one_decision_holds,
    ask_at_once: one_request_is_open,
    same_slug: one_project_is_made,
    fill_the_last_place: one_place_is_filled,
    save_at_once: one_save_counts,
    end_and_change: each_end_is_one,
    pin_at_once: it_is_pinned,
    attach_and_detach: data_is_as_told,
    grant_a_group: the_group_is_as_told,
    read_while_it_changes: everything_went_well,
    start_three: two_servers_run,
    start_in_one_project: two_members_run,
    remove_while_starting: too_much_is_found,
    stop_while_starting: one_server_is_on_record,
    first_login_thrice: one_person_is_made,
    lose_a_group: one_loss_applies,
}


async def people(database: Database) -> None:
    """Let the runners log in."""
    factory = Factory(make_settings(database.url.render_as_string(hide_password=False)), database)
    for person in "abcd":
        await factory.people.sign_in(person, groups=frozenset({"crowd"}))
    await factory.people.sign_in("operator", groups=None)


@pytest.fixture(scope="module", params=BACKENDS)
def course(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, Racers]]:
    """A database of the races' own, and three processes on it."""
    with ExitStack() as stack:
        if request.param == "sqlite":
            url = sqlite_url(tmp_path_factory.mktemp("races") / "collab.sqlite")
        else:
            cluster: PostgresCluster = request.getfixturevalue("postgres")
            url = stack.enter_context(cluster.database())
        prepare(url)
        prepare(url, people)
        yield url, stack.enter_context(racers(url))


@pytest.fixture
async def factory(course: tuple[str, Racers]) -> AsyncIterator[Factory]:
    """The services that prepare races: on a site where members are added without being asked."""
    limits = Limits(projects_per_person=10**6)
    made = Factory.open(make_settings(course[0], people=People(consent=False), limits=limits))
    yield made
    await made.close()


async def run(factory: Factory, runners: Racers, kind: Prepare, histories: int) -> None:
    """Run some histories of one kind, and look at what each has left."""
    tracks = [Track(factory) for _ in range(histories)]
    steps = [await kind(track) for track in tracks]
    for track, outcomes in zip(tracks, runners.race(steps), strict=True):
        assert not [outcome for outcome in outcomes if outcome.startswith("fault")], outcomes
        await RACES[kind](track, outcomes)


@pytest.mark.parametrize("kind", RACES, ids=lambda kind: kind.__name__)
async def test_whoever_wins_every_rule_holds(factory: Factory, course: tuple[str, Racers], kind: Prepare) -> None:
    await run(factory, course[1], kind, QUICK)


@pytest.mark.long
async def test_ten_thousand_histories_and_none_wrong(factory: Factory, course: tuple[str, Racers]) -> None:
    counted = 0
    while counted < HISTORIES // len(BACKENDS):
        for kind in RACES:
            await run(factory, course[1], kind, BATCH)
            counted += BATCH
    print(f"races on {factory.database.url.get_backend_name()}: {counted} histories, 0 wrong")  # noqa: T201 - the count
