"""Projects and members against a simple model: whatever happens in whatever order, both say the same."""

from __future__ import annotations

import asyncio
import shutil
import tempfile
from collections.abc import Awaitable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule, run_state_machine_as_test

from jupyterhub_collab.access.models import Role, Visibility
from jupyterhub_collab.database import Database
from jupyterhub_collab.errors import CollabError
from jupyterhub_collab.factory import Factory
from jupyterhub_collab.people.models import Kind
from jupyterhub_collab.projects.models import Invitation
from jupyterhub_collab.projects.service import NewProject
from jupyterhub_collab.settings import People
from jupyterhub_collab.volumes.models import Mode
from tests.support.databases import PostgresDatabases, SqliteDatabases
from tests.support.world import Clock, make_settings

PEOPLE: Final = ("ada", "bob", "cyd", "operator")
GROUPS: Final = ("staff", "physics")
UNDO_DAYS: Final = 30
INVITATION_DAYS: Final = 30

# Those who can do most, and one project, come oftener: a story gets further so
actors = st.sampled_from(("ada", "ada", "ada", "operator", "operator", "bob", "cyd"))
people, slugs = st.sampled_from(PEOPLE), st.sampled_from(("one", "one", "one", "two"))
roles, groups = st.sampled_from(list(Role)), st.sampled_from(GROUPS)


class Refused(Exception):  # noqa: N818 - no error of the program, but what the model answers
    """What the model says instead of doing something."""


@dataclass
class Place:
    """A project in the model."""

    visibility: Visibility
    own: dict[str, Role]
    groups: dict[str, Role] = field(default_factory=dict)
    invited: dict[str, tuple[Role, float]] = field(default_factory=dict)
    """The role offered, and the day on which the offer ends."""
    asked: set[str] = field(default_factory=set)
    pins: set[str] = field(default_factory=set)
    archived: bool = False
    deleted_at: float | None = None
    purged: bool = False

    def leads_besides(self, person: str) -> bool:
        """Tell whether somebody else is lead in their own right."""
        return any(role is Role.LEAD for name, role in self.own.items() if name != person)


class Model:
    """All that the rules say, in the plainest words."""

    def __init__(self) -> None:
        self.places: dict[str, Place] = {}
        self.member_of: dict[str, set[str]] = {name: set() for name in PEOPLE}
        self.days: float = 0

    def role(self, who: str, slug: str) -> Role | None:
        """Return the highest of own and group roles."""
        place = self.places[slug]
        held = [place.own[who]] if who in place.own else []
        held += [role for group, role in place.groups.items() if group in self.member_of[who]]
        return max(held, key=lambda role: list(Role).index(role)) if held else None

    def place(self, who: str, slug: str, *, needs: str, archived_too: bool = True) -> Place:
        """Return a project in which somebody may do something; needs is ``find``, ``read``, ``manage`` or ``lead``."""
        place = self.places.get(slug)
        if place is None or place.purged:
            raise Refused("not-found")
        role, is_operator = self.role(who, slug), who == "operator"
        manages = role is Role.LEAD or is_operator
        found = role is not None or is_operator or place.visibility is not Visibility.PRIVATE
        if not found or (place.deleted_at is not None and not manages):
            raise Refused("not-found")
        if place.archived and role is None and not is_operator:
            raise Refused("not-found")
        allowed = {"find": True, "read": role is not None, "manage": manages, "lead": role is Role.LEAD}[needs]
        if not allowed:
            raise Refused("missing-permission")
        if place.deleted_at is not None:
            raise Refused("not-found")
        if place.archived and not archived_too:
            raise Refused("project-archived")
        return place

    def create(self, who: str, slug: str, visibility: Visibility) -> None:
        if slug in self.places:
            raise Refused("slug-taken")
        self.places[slug] = Place(visibility, {who: Role.LEAD}, pins={who})

    def put(self, who: str, slug: str, person: str, role: Role) -> None:
        place = self.place(who, slug, needs="manage")
        if person not in place.own:
            if person not in place.invited or place.invited[person][0] is not role:
                place.invited[person] = role, self.days + INVITATION_DAYS
            return
        if place.own[person] is Role.LEAD is not role and not place.leads_besides(person):
            raise Refused("last-lead")
        place.own[person] = role

    def remove(self, who: str, slug: str, person: str) -> None:
        place = self.place(who, slug, needs="read" if who == person else "manage")
        if person not in place.own:
            if person not in place.invited:
                raise Refused("not-found")
            del place.invited[person]
            return
        if place.own[person] is Role.LEAD and not place.leads_besides(person):
            raise Refused("last-lead")
        del place.own[person]
        if self.role(person, slug) is None:
            place.pins.discard(person)

    def accept(self, who: str, slug: str) -> None:
        place = self.places[slug]
        if place.purged or place.deleted_at is not None:
            raise Refused("not-found")
        self.join(place, who, place.invited.pop(who)[0])
        place.asked.discard(who)

    def join(self, place: Place, who: str, role: Role) -> None:
        order = list(Role)
        if who not in place.own or order.index(place.own[who]) < order.index(role):
            place.own[who] = role
        place.pins.add(who)

    def decline(self, who: str, slug: str) -> None:
        if self.places[slug].purged:
            raise Refused("not-found")
        del self.places[slug].invited[who]

    def ask(self, who: str, slug: str) -> None:
        place = self.places.get(slug)
        seen = place is not None and not place.purged and self._sees(who, slug)
        if place is None or not seen:
            raise Refused("not-found")
        if self.role(who, slug) is not None:
            raise Refused("already-member")
        self.place(who, slug, needs="find", archived_too=False)
        if who in place.asked:
            raise Refused("already-asked")
        place.asked.add(who)

    def _sees(self, who: str, slug: str) -> bool:
        try:
            self.place(who, slug, needs="find")
        except Refused:
            deleted = self.places[slug].deleted_at is not None
            return deleted and (who == "operator" or self.role(who, slug) is Role.LEAD)
        return True

    def approve(self, who: str, slug: str, asker: str, role: Role) -> None:
        place = self.place(who, slug, needs="manage")
        place.asked.remove(asker)
        order = list(Role)
        if asker not in place.own or order.index(place.own[asker]) < order.index(role):
            self.join(place, asker, role)

    def put_group(self, who: str, slug: str, group: str, role: Role) -> None:
        place = self.place(who, slug, needs="manage")
        if not any(group in held for held in self.member_of.values()):
            raise Refused("unknown-group")
        place.groups[group] = role

    def remove_group(self, who: str, slug: str, group: str) -> None:
        place = self.place(who, slug, needs="manage")
        if group not in place.groups:
            raise Refused("not-found")
        del place.groups[group]

    def pin(self, who: str, slug: str, pinned: bool) -> None:
        place = self.place(who, slug, needs="read")
        (place.pins.add if pinned else place.pins.discard)(who)

    def archive(self, who: str, slug: str) -> None:
        self.place(who, slug, needs="manage").archived = True

    def restore(self, who: str, slug: str) -> None:
        place = self.places.get(slug)
        if place is None or place.purged or not self._sees(who, slug):
            raise Refused("not-found")
        if not (who == "operator" or self.role(who, slug) is Role.LEAD):
            raise Refused("missing-permission")
        if place.deleted_at is not None:
            if self.days - place.deleted_at >= UNDO_DAYS:
                raise Refused("not-deleted")
            place.deleted_at = None
        elif not place.archived:
            raise Refused("not-deleted")
        else:
            place.archived = False

    def delete(self, who: str, slug: str) -> None:
        self.place(who, slug, needs="manage").deleted_at = self.days

    def wait(self, days: float) -> None:
        self.days += days
        for place in self.places.values():
            place.invited = {name: offer for name, offer in place.invited.items() if offer[1] > self.days}

    def due(self) -> list[str]:
        return [
            slug
            for slug, place in sorted(self.places.items())
            if not place.purged and place.deleted_at is not None and self.days - place.deleted_at >= UNDO_DAYS
        ]


class Machine(RuleBasedStateMachine):
    """Does everything twice, in the core and in the model, and compares what came out."""

    url: str = ""

    def __init__(self) -> None:
        super().__init__()
        self.runner = asyncio.Runner()
        self.model = Model()
        self.checked = 0
        self.clock = Clock()
        self.stack = ExitStack()
        url = self.stack.enter_context(self.lend())
        people_settings = People(group_loss_limit=1_000_000)
        self.core = Factory(make_settings(url, people=people_settings), Database(url, pool_size=2), self.clock)
        for name in PEOPLE:
            self.run(self.core.people.sign_in(name, groups=frozenset()))

    @contextmanager
    def lend(self) -> Iterator[str]:
        """Lend an empty database; the test says which."""
        raise NotImplementedError
        yield ""

    def run(self, work: Awaitable[Any]) -> Any:
        """Wait for the core."""

        async def wait() -> Any:
            return await work

        return self.runner.run(wait())

    def teardown(self) -> None:
        """Give the database back."""
        self.run(self.core.close())
        self.runner.close()
        self.stack.close()

    def both(self, modelled: Any, work: Awaitable[Any]) -> None:
        """Do a thing in the core and in the model; both do it, or refuse it for the same reason."""
        wanted = got = "done"
        try:
            modelled()
        except Refused as refused:
            wanted = str(refused)
        try:
            self.run(work)
        except CollabError as error:
            got = error.code
        assert got == wanted

    @initialize(visibility=st.sampled_from([Visibility.PRIVATE, Visibility.INTERNAL]))
    def first_project(self, visibility: Visibility) -> None:
        self.create("ada", "one", visibility)

    @rule(who=people, slug=slugs, visibility=st.sampled_from([Visibility.PRIVATE, Visibility.INTERNAL]))
    def make(self, who: str, slug: str, visibility: Visibility) -> None:
        self.create(who, slug, visibility)

    def create(self, who: str, slug: str, visibility: Visibility) -> None:
        new = NewProject(title=slug, slug=slug, visibility=visibility)
        self.both(lambda: self.model.create(who, slug, visibility), self.core.projects.create(who, new))

    @rule(who=actors, slug=slugs, person=people, role=roles)
    def put(self, who: str, slug: str, person: str, role: Role) -> None:
        self.both(lambda: self.model.put(who, slug, person, role), self.core.members.put(who, slug, person, role))

    @rule(who=actors, slug=slugs, person=people)
    def remove(self, who: str, slug: str, person: str) -> None:
        self.both(lambda: self.model.remove(who, slug, person), self.core.members.remove(who, slug, person))

    @rule(who=people, slug=slugs, says_yes=st.booleans())
    def answer(self, who: str, slug: str, says_yes: bool) -> None:
        place = self.model.places.get(slug)
        if place is None or who not in place.invited or place.deleted_at is not None:
            return
        (offer,) = [offer for offer in self.run(self.core.invitations.mine(who)) if offer.project == slug]
        assert isinstance(offer, Invitation)
        if says_yes:
            self.both(lambda: self.model.accept(who, slug), self.core.invitations.accept(who, offer.id))
        else:
            self.both(lambda: self.model.decline(who, slug), self.core.invitations.decline(who, offer.id))

    @rule(who=people, slug=slugs)
    def ask(self, who: str, slug: str) -> None:
        self.both(lambda: self.model.ask(who, slug), self.core.join_requests.ask(who, slug))

    @rule(who=actors, slug=slugs, asker=people, role=roles)
    def approve(self, who: str, slug: str, asker: str, role: Role) -> None:
        place = self.model.places.get(slug)
        if place is None or asker not in place.asked or place.deleted_at is not None:
            return
        (request,) = [r for r in self.run(self.core.join_requests.mine(asker)) if r.project == slug]
        work = self.core.join_requests.approve(who, slug, request.id, role)
        self.both(lambda: self.model.approve(who, slug, asker, role), work)

    @rule(who=actors, slug=slugs, group=groups, role=roles)
    def put_group(self, who: str, slug: str, group: str, role: Role) -> None:
        work = self.core.members.put_group(who, slug, group, role)
        self.both(lambda: self.model.put_group(who, slug, group, role), work)

    @rule(who=actors, slug=slugs, group=groups)
    def remove_group(self, who: str, slug: str, group: str) -> None:
        work = self.core.members.remove_group(who, slug, group)
        self.both(lambda: self.model.remove_group(who, slug, group), work)

    @rule(who=people, wanted=st.frozensets(groups))
    def log_in(self, who: str, wanted: frozenset[str]) -> None:
        self.model.member_of[who] = set(wanted)
        self.run(self.core.people.sign_in(who, groups=wanted, kind=Kind.PERSON))

    @rule(who=people, slug=slugs, pinned=st.booleans())
    def pin(self, who: str, slug: str, pinned: bool) -> None:
        work = self.core.projects.set_pin(who, slug, pinned=pinned)
        self.both(lambda: self.model.pin(who, slug, pinned), work)

    @rule(who=actors, slug=slugs)
    def archive(self, who: str, slug: str) -> None:
        self.both(lambda: self.model.archive(who, slug), self.core.projects.archive(who, slug))

    @rule(who=actors, slug=slugs)
    def restore(self, who: str, slug: str) -> None:
        self.both(lambda: self.model.restore(who, slug), self.core.projects.restore(who, slug))

    @rule(who=actors, slug=slugs)
    def delete(self, who: str, slug: str) -> None:
        self.both(lambda: self.model.delete(who, slug), self.core.projects.delete(who, slug))

    @rule(days=st.sampled_from([1, 10, UNDO_DAYS]))
    def wait(self, days: int) -> None:
        self.clock.move(days=days)
        self.model.wait(days)

    @rule()
    def purge(self) -> None:
        due = self.run(self.core.projects.due_for_purge())
        assert sorted(due) == self.model.due()
        for slug in due:
            self.run(self.core.projects.purge(slug))
            self.model.places[slug].purged = True

    @invariant()
    def members_are_who_the_model_says(self) -> None:
        for slug, place in self.model.places.items():
            assert Role.LEAD in place.own.values()
            if not place.purged and place.deleted_at is None:
                page = self.run(self.core.members.page("operator", slug))
                wanted = {who: role for who in PEOPLE if (role := self.model.role(who, slug))}
                assert {member.user: member.role for member in page.items} == wanted

    @invariant()
    def a_person_sees_what_the_model_says(self) -> None:
        """Check one person after each step, and everyone in turn."""
        who = PEOPLE[self.checked % len(PEOPLE)]
        self.checked += 1
        mine = {
            slug: role
            for slug, place in self.model.places.items()
            if not place.purged and place.deleted_at is None and (role := self.model.role(who, slug))
        }
        found = [*self.run(self.core.projects.mine(who)), *self.run(self.core.projects.mine(who, archived=True))]
        assert {project.slug: project.my_role for project in found} == mine
        plan = self.run(self.core.servers.view(who, "")).plan
        assert {mount.path: mount.mode for mount in plan.mounts} == {"~": Mode.READ_WRITE, **self._pinned(who, mine)}

    def _pinned(self, who: str, mine: dict[str, Role]) -> dict[str, Mode]:
        """Return what the workspace of a person mounts of their projects."""
        places = self.model.places
        return {
            f"~/projects/{slug}": Mode.READ_ONLY if role is Role.VIEWER or places[slug].archived else Mode.READ_WRITE
            for slug, role in mine.items()
            if who in places[slug].pins
        }


def machine_on(databases: SqliteDatabases | PostgresDatabases) -> type[Machine]:
    """Return the machine on one kind of database."""

    class On(Machine):
        @contextmanager
        def lend(self) -> Iterator[str]:
            folder = Path(tempfile.mkdtemp(prefix="collab-machine-"))
            try:
                with databases.lend(folder, filled=False) as url:
                    yield url
            finally:
                shutil.rmtree(folder)

    return On


def play(databases: SqliteDatabases | PostgresDatabases, *, stories: int, steps: int) -> None:
    """Play so many stories of so many steps."""
    run_state_machine_as_test(
        machine_on(databases),
        settings=settings(
            max_examples=stories,
            stateful_step_count=steps,
            deadline=None,
            suppress_health_check=list(HealthCheck),
            print_blob=True,
            phases=[Phase.explicit, Phase.reuse, Phase.generate],  # to shrink a story takes minutes and adds little
        ),
    )


@pytest.fixture
def databases(backend: str, request: pytest.FixtureRequest) -> SqliteDatabases | PostgresDatabases:
    found: SqliteDatabases | PostgresDatabases = request.getfixturevalue(f"{backend}_databases")
    return found


def test_core_and_model_agree(databases: SqliteDatabases | PostgresDatabases) -> None:
    play(databases, stories=15, steps=30)


@pytest.mark.long
def test_core_and_model_agree_for_long(databases: SqliteDatabases | PostgresDatabases) -> None:
    play(databases, stories=150, steps=50)
