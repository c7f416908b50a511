"""Who is who: written at login and refresh, searched when someone is invited."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta

from sqlalchemy.ext.asyncio import AsyncSession

from jupyterhub_collab.access.models import SYSTEM, SiteRight
from jupyterhub_collab.access.service import Authorizer
from jupyterhub_collab.access.store import roles_of
from jupyterhub_collab.audit.service import record
from jupyterhub_collab.database import Database, reads, writes
from jupyterhub_collab.errors import InvalidInputError, NotFoundError, UnknownAccountError
from jupyterhub_collab.names import hub_group, is_hub_group
from jupyterhub_collab.projects.departure_store import DepartureStore
from jupyterhub_collab.settings import People

from .models import FoundGroup, FoundPerson, GroupPause, Kind, Person
from .store import PeopleStore

_LOSS_WINDOW = timedelta(hours=1)
# Who is logged in is refreshed within minutes; who comes back later counts as an ordinary loss
_MEANT_FOR = timedelta(days=1)
_LONGEST = 255
SEARCH_LETTERS = 3
SEARCH_ROWS = 10
PAGE = 50


class PeopleService:
    """Persons and their identity groups."""

    def __init__(
        self, database: Database, authorizer: Authorizer, people: People, clock: Callable[[], datetime]
    ) -> None:
        self._database = database
        self._authorizer = authorizer
        self._people = people
        self._clock = clock

    @writes
    async def sign_in(  # noqa: PLR0913 - what a login tells
        self,
        session: AsyncSession,
        name: str,
        *,
        display_name: str = "",
        groups: frozenset[str] | None,
        kind: Kind = Kind.PERSON,
        refresh: bool = False,
    ) -> Person:
        """Write a person and their identity groups, as the authenticator found them at login or refresh.

        ``groups`` None leaves the groups as they are. A group that lost too many persons within the hour keeps the rest
        until the operator says that the losses are meant. Where the last person with this name was removed, a login
        makes a new one, to whom nothing of the old one belongs; a ``refresh`` of what was a login of the old one fails.

        Raises
        ------
        InvalidInputError
            The account name can't be kept.
        UnknownAccountError
            It is a refresh, and the person was removed.
        """
        if not name or len(name) > _LONGEST or not name.isprintable() or name == SYSTEM.name:
            msg = "An account name has 1 to 255 characters that can be printed. Ask the operator to map it to one."
            raise InvalidInputError(msg, field="name")
        store = PeopleStore(session)
        # It comes from elsewhere, and nobody stays outside for it
        shown = "".join(letter for letter in display_name if letter.isprintable())[:_LONGEST]
        renewed = await self._renew(session, name, kind, refresh=refresh)
        if await store.upsert(name, shown, kind, self._clock()) or renewed:
            await record(session, self._clock(), name, "person.create", name)
        if groups is not None:
            await self._change_groups(session, name, frozenset(g for g in groups if not is_hub_group(g)))
        person = await store.get(name)
        assert person is not None  # noqa: S101 - written above, in this transaction
        return person

    async def _renew(self, session: AsyncSession, name: str, kind: Kind, *, refresh: bool) -> bool:
        """Give a removed person's name to whoever logs in with it; return whether that was necessary."""
        store = PeopleStore(session)
        await store.hold(name)
        if not await store.is_gone(name):
            return False
        if refresh:
            raise UnknownAccountError
        await DepartureStore(session).forget(name)  # what another transaction wrote while the person was removed
        await store.renew(name, kind, self._clock())
        return True

    async def _change_groups(self, session: AsyncSession, name: str, wanted: frozenset[str]) -> None:
        store = PeopleStore(session)
        present = await store.groups(name)
        joined = frozenset(group for group in wanted - present if len(group) <= _LONGEST and group.isprintable())
        await store.add_groups(name, joined)
        left = [group for group in sorted(present - wanted) if await self._may_leave(session, name, group)]
        for group in left:
            await store.remove_group(name, group)
        if joined or left:
            await record(session, self._clock(), name, "person.groups", name, joined=sorted(joined), left=left)

    async def _may_leave(self, session: AsyncSession, name: str, group: str) -> bool:
        store = PeopleStore(session)
        await store.hold_losses(group)
        if await store.is_paused(group):
            return False
        now = self._clock()
        if await store.are_meant(group, now - _MEANT_FOR):
            return True
        losses = await store.count_losses(group, name, now, now - _LOSS_WINDOW)
        if losses <= self._people.group_loss_limit:
            return True
        reason = (
            f"{losses} persons would have left “{group}” within an hour. Has the identity provider stopped sending it?"
        )
        await store.pause(group, now, reason)
        await record(session, now, SYSTEM.name, "group.pause", group, losses=losses)
        return False

    @reads
    async def get(self, session: AsyncSession, name: str) -> Person | None:
        """Return a person."""
        return await PeopleStore(session).get(name)

    @reads
    async def rights(self, session: AsyncSession, who: str) -> frozenset[SiteRight]:
        """Return a person's site-wide rights."""
        return (await self._authorizer.actor(session, who)).rights

    @reads
    async def hub_groups(self, session: AsyncSession, name: str) -> list[str]:
        """Return the Hub groups that mirror a person's roles, for other tools; nothing of ours looks at them."""
        rows = await session.execute(roles_of(name))
        return sorted(hub_group(slug, role.value) for slug, role in rows)

    @reads
    async def search(self, session: AsyncSession, who: str | None, text: str) -> list[FoundPerson]:
        """Return up to ten persons whose name starts with a text of three characters or more.

        Raises
        ------
        InvalidInputError
            The text is too short.
        """
        await self._authorizer.site_person(session, who)
        exact = self._people.search == "exact"
        if len(text.strip()) < SEARCH_LETTERS and not exact:
            msg = f"Type at least {SEARCH_LETTERS} characters of the name."
            raise InvalidInputError(msg, field="q")
        return await PeopleStore(session).search(text.strip(), exact=exact, limit=SEARCH_ROWS)

    @reads
    async def search_groups(self, session: AsyncSession, who: str | None, text: str) -> list[FoundGroup]:
        """Return up to ten identity groups whose name starts with a text; see `search`."""
        await self._authorizer.site_person(session, who)
        if len(text.strip()) < SEARCH_LETTERS:
            return []
        found = await PeopleStore(session).search_groups(text.strip(), SEARCH_ROWS)
        return [group for group in found if group.group == text.strip() or self._people.search != "exact"]

    @reads
    async def page(
        self, session: AsyncSession, who: str | None, *, after: str = "", search: str = ""
    ) -> tuple[list[Person], str | None]:
        """Return persons by name and the cursor of the next ones; for operators."""
        await self._authorizer.site(session, who, SiteRight.OPERATOR)
        found = await PeopleStore(session).page(after, PAGE + 1, search)
        return found[:PAGE], found[PAGE - 1].name if len(found) > PAGE else None

    @reads
    async def pauses(self, session: AsyncSession, who: str | None) -> list[GroupPause]:
        """Return the groups whose losses are paused; for operators."""
        await self._authorizer.site(session, who, SiteRight.OPERATOR)
        return await PeopleStore(session).pauses()

    @writes
    async def resume_group(self, session: AsyncSession, who: str | None, group: str) -> None:
        """Let all losses of a paused group apply at the logins and refreshes of the next day; for operators.

        Raises
        ------
        NotFoundError
            The group is not paused.
        """
        actor = await self._authorizer.site(session, who, SiteRight.OPERATOR)
        if not await PeopleStore(session).resume(group, self._clock()):
            raise NotFoundError("paused group")
        await record(session, self._clock(), actor.name, "group.resume", group)
