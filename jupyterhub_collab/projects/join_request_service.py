"""Asking to join a project, and deciding about it."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime

from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession

from jupyterhub_collab.access.models import Permission, Role
from jupyterhub_collab.access.service import Authorizer
from jupyterhub_collab.audit.service import record
from jupyterhub_collab.database import Database, reads, writes
from jupyterhub_collab.errors import (
    AlreadyAskedError,
    AlreadyMemberError,
    InvalidInputError,
    JoinRequestDecidedError,
    LoginRequiredError,
    NotFoundError,
)

from .invitation_store import JoinRequestStore
from .member_service import join
from .member_store import MemberStore
from .models import JoinRequest, JoinRequestState

MESSAGE = 500


class JoinRequestService:
    """Join requests."""

    def __init__(self, database: Database, authorizer: Authorizer, clock: Callable[[], datetime]) -> None:
        self._database = database
        self._authorizer = authorizer
        self._clock = clock

    @writes
    async def ask(self, session: AsyncSession, who: str | None, slug: str, message: str = "") -> JoinRequest:
        """Ask to join a project.

        Raises
        ------
        NotFoundError, LoginRequiredError, AlreadyMemberError, AlreadyAskedError, InvalidInputError
        """
        if len(message) > MESSAGE or not message.replace("\n", " ").replace("\r", " ").isprintable():
            msg = f"Write at most {MESSAGE} characters of plain text."
            raise InvalidInputError(msg, field="message")
        access = await self._authorizer.look(session, who, slug, lock=True)
        if access.actor is None:
            raise LoginRequiredError
        if access.role is not None:
            msg = f"You are {access.role.value} of this project already."
            raise AlreadyMemberError(msg)
        await self._authorizer.project(session, who, slug, Permission.ASK_TO_JOIN)
        store, now = JoinRequestStore(session), self._clock()
        try:
            request = await store.add(slug, access.name, message.strip(), now)
        except IntegrityError as error:
            msg = "You asked already. A lead of the project decides; you can withdraw the request."
            raise AlreadyAskedError(msg) from error
        await record(session, now, access.name, "join-request.create", access.name, project=slug)
        return request

    @reads
    async def of_project(self, session: AsyncSession, who: str | None, slug: str) -> list[JoinRequest]:
        """Return the open join requests of a project, oldest first."""
        await self._authorizer.project(session, who, slug, Permission.MANAGE_MEMBERS)
        return await JoinRequestStore(session).of_project(slug)

    @reads
    async def mine(self, session: AsyncSession, who: str | None) -> list[JoinRequest]:
        """Return my open join requests."""
        actor = await self._authorizer.site_account(session, who)
        return await JoinRequestStore(session).of_person(actor.name)

    @reads
    async def to_decide(self, session: AsyncSession, who: str | None) -> list[JoinRequest]:
        """Return the open join requests to projects that I lead."""
        actor = await self._authorizer.site_account(session, who)
        return await JoinRequestStore(session).to_decide(actor.name)

    @writes
    async def approve(self, session: AsyncSession, who: str | None, slug: str, request: int, role: Role) -> None:
        """Let someone in who asked. A role that they have meanwhile, and that is higher, stays.

        Raises
        ------
        NotFoundError, MissingPermissionError, ArchivedError, JoinRequestDecidedError
        """
        access = await self._authorizer.project(session, who, slug, Permission.MANAGE_MEMBERS, lock=True)
        asked = await self._open(session, slug, request)
        now = self._clock()
        await JoinRequestStore(session).decide(request, JoinRequestState.APPROVED, access.name, now)
        held = await MemberStore(session).role(slug, asked.user)
        if held is None or held.rank < role.rank:
            await join(session, access.name, slug, asked.user, role, f"asked, approved by {access.name}", now)

    @writes
    async def decline(self, session: AsyncSession, who: str | None, slug: str, request: int) -> None:
        """Refuse someone who asked; who asked themselves withdraws.

        Raises
        ------
        NotFoundError, MissingPermissionError, JoinRequestDecidedError
        """
        access = await self._authorizer.look(session, who, slug, lock=True)
        asked = await JoinRequestStore(session).get(request)
        withdrawn = asked is not None and asked.user == access.name
        if not withdrawn:
            await self._authorizer.project(session, who, slug, Permission.MANAGE_MEMBERS)
        asked = await self._open(session, slug, request)
        state = JoinRequestState.WITHDRAWN if withdrawn else JoinRequestState.DECLINED
        now = self._clock()
        await JoinRequestStore(session).decide(request, state, access.name, now)
        action = "join-request.withdraw" if withdrawn else "join-request.decline"
        await record(session, now, access.name, action, asked.user, project=slug)

    async def _open(self, session: AsyncSession, slug: str, request: int) -> JoinRequest:
        asked = await JoinRequestStore(session).get(request)
        if asked is None or asked.project != slug:
            raise NotFoundError("join request")
        if asked.state is not JoinRequestState.OPEN:
            raise JoinRequestDecidedError(asked.state.value)
        return asked
