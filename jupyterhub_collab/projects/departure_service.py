"""Removing a person from everything at once."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime

from sqlalchemy.ext.asyncio import AsyncSession

from jupyterhub_collab.access.models import SYSTEM, SiteRight
from jupyterhub_collab.access.service import Authorizer
from jupyterhub_collab.audit.service import record
from jupyterhub_collab.database import Database, writes
from jupyterhub_collab.errors import ConflictError, NotFoundError, OnlyLeadError
from jupyterhub_collab.people.store import PeopleStore

from .departure_store import DepartureStore


class DepartureService:
    """Removes persons. Their row stays, for what names them; whoever has the account name next is somebody else."""

    def __init__(self, database: Database, authorizer: Authorizer, clock: Callable[[], datetime]) -> None:
        self._database = database
        self._authorizer = authorizer
        self._clock = clock

    @writes
    async def remove(self, session: AsyncSession, who: str | None, person: str) -> None:
        """Remove a person from all projects and groups, and stop their servers; for operators.

        Raises
        ------
        LoginRequiredError, SiteRightError, NotFoundError, ConflictError, OnlyLeadError
        """
        actor = await self._authorizer.site(session, who, SiteRight.OPERATOR)
        if actor.name == person:
            msg = "You can't remove yourself. Ask another operator."
            raise ConflictError(msg)
        await self._remove(session, actor.name, person)

    @writes
    async def remove_by_command(self, session: AsyncSession, person: str) -> None:
        """Remove a person without asking who wants it: for the command line on the server.

        Raises
        ------
        NotFoundError, OnlyLeadError
        """
        await self._remove(session, SYSTEM.name, person)

    async def _remove(self, session: AsyncSession, by: str, person: str) -> None:
        store, people, now = DepartureStore(session), PeopleStore(session), self._clock()
        roles = await store.memberships(person)
        await people.hold(person)
        if not await people.exists(person):
            raise NotFoundError("person")
        if alone := await store.only_lead_of(person):
            raise OnlyLeadError(person, alone)
        for slug, role in roles:
            await record(session, now, by, "member.remove", person, project=slug, role=role.value)
        await store.forget(person)
        await people.mark_gone(person, now)
        await record(session, now, by, "person.remove", person, projects=len(roles))
