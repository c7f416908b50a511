"""Translates between invitations, join requests and their tables."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import Select, delete, insert, or_, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from jupyterhub_collab.access.models import Role

from .models import Invitation, InvitationState, JoinRequest, JoinRequestState
from .schema import InvitationRow, JoinRequestRow, MemberRow, ProjectRow, ReservationRow


def _invitation(row: InvitationRow, title: str) -> Invitation:
    return Invitation(
        id=row.id,
        project=row.project,
        title=title,
        role=row.role,
        user=row.person,
        hint=row.code_hint,
        invited_by=row.invited_by,
        created_at=row.created_at,
        expires_at=row.expires_at,
        uses=row.uses,
        uses_left=row.uses_left,
        state=row.state,
    )


def _with_title() -> Select[InvitationRow, str]:
    return select(InvitationRow, ProjectRow.title).join(ProjectRow, ProjectRow.slug == InvitationRow.project)


class InvitationStore:
    """Invitations in one session."""

    def __init__(self, session: AsyncSession) -> None:
        self._session = session

    async def _one(self, query: Select[InvitationRow, str]) -> Invitation | None:
        found = (await self._session.execute(query.execution_options(populate_existing=True))).first()
        return _invitation(*found) if found else None

    async def get(self, invitation: int) -> Invitation | None:
        """Return an invitation."""
        return await self._one(_with_title().where(InvitationRow.id == invitation))

    async def by_code(self, code_hash: str) -> Invitation | None:
        """Return the invitation of a link."""
        return await self._one(_with_title().where(InvitationRow.code_hash == code_hash))

    async def is_reserved(self, invitation: int, name: str | None) -> bool:
        """Tell whether an account holds a use of a link; without a name, whether any does."""
        query = select(ReservationRow.name).where(ReservationRow.invitation == invitation)
        if name is not None:
            query = query.where(ReservationRow.name == name)
        return await self._session.scalar(query.limit(1)) is not None

    async def reserved_by(self, name: str) -> list[Invitation]:
        """Return the open invitations of which an account holds a use."""
        query = _with_title().join(ReservationRow, ReservationRow.invitation == InvitationRow.id)
        query = query.where(ReservationRow.name == name, InvitationRow.state == InvitationState.OPEN)
        return [_invitation(*row) for row in await self._session.execute(query)]

    async def reserve(self, invitation: int, name: str, now: datetime) -> None:
        """Take one use off a link for an account."""
        await self._session.execute(insert(ReservationRow).values(invitation=invitation, name=name, at=now))
        await self.use(invitation)

    async def answer(self, invitation: int, name: str) -> bool:
        """End what an account holds of a link; return whether it held a use."""
        mine = (ReservationRow.invitation == invitation, ReservationRow.name == name)
        return bool((await self._session.execute(delete(ReservationRow).where(*mine))).rowcount)  # type: ignore[attr-defined]

    async def has_joined(self, person: str) -> bool:
        """Tell whether a person is a member of a project that is there, through a link."""
        query = (
            select(MemberRow.person)
            .join(ProjectRow, ProjectRow.slug == MemberRow.project)
            .where(MemberRow.person == person, MemberRow.via.startswith("link from "), ProjectRow.deleted_at.is_(None))
        )
        return await self._session.scalar(query.limit(1)) is not None

    async def open_for(self, slug: str, person: str, now: datetime) -> Invitation | None:
        """Return the open invitation of a person; one past its time is closed on the way, so that a new one fits."""
        query = _with_title().where(
            InvitationRow.project == slug, InvitationRow.person == person, InvitationRow.state == InvitationState.OPEN
        )
        found = await self._one(query)
        if found is not None and found.expires_at <= now:
            await self.revoke(found.id)
            return None
        return found

    async def add_person(  # noqa: PLR0913 - the columns of an invitation
        self, slug: str, person: str, role: Role, invited_by: str, now: datetime, expires_at: datetime
    ) -> Invitation:
        """Write an invitation of a person."""
        return await self._add(
            project=slug, person=person, role=role, invited_by=invited_by, created_at=now, expires_at=expires_at
        )

    async def add_link(self, **values: Any) -> Invitation:
        """Write an invitation by a link."""
        return await self._add(**values)

    async def _add(self, **values: Any) -> Invitation:
        statement = insert(InvitationRow).values(state=InvitationState.OPEN, **values).returning(InvitationRow.id)
        added = await self.get((await self._session.execute(statement)).scalar_one())
        assert added is not None  # noqa: S101 - written one line above
        return added

    async def revoke(self, invitation: int) -> None:
        """Close an invitation for good."""
        await self.close(invitation, InvitationState.REVOKED)

    async def made_by(self, slug: str, person: str) -> list[Invitation]:
        """Return the open invitations of a project that a person made."""
        mine = (InvitationRow.project == slug, InvitationRow.invited_by == person)
        query = _with_title().where(*mine, InvitationRow.state == InvitationState.OPEN)
        return [_invitation(*row) for row in await self._session.execute(query.order_by(InvitationRow.id))]

    async def close(self, invitation: int, state: InvitationState) -> None:
        """Say what became of an invitation."""
        await self._session.execute(update(InvitationRow).where(InvitationRow.id == invitation).values(state=state))

    async def use(self, invitation: int, number: int = 1) -> None:
        """Take one use off a link; -1 gives one back."""
        left = InvitationRow.uses_left - number
        await self._session.execute(update(InvitationRow).where(InvitationRow.id == invitation).values(uses_left=left))

    async def of_project(self, slug: str, now: datetime) -> list[Invitation]:
        """Return what is open in a project, newest first."""
        held = select(ReservationRow.name).where(ReservationRow.invitation == InvitationRow.id)
        query = _with_title().where(
            InvitationRow.project == slug,
            InvitationRow.state == InvitationState.OPEN,
            or_(InvitationRow.uses_left > 0, held.exists()),
            InvitationRow.expires_at > now,
        )
        rows = await self._session.execute(query.order_by(InvitationRow.id.desc()).limit(200))
        return [_invitation(*row) for row in rows]

    async def of_person(self, person: str, now: datetime) -> list[Invitation]:
        """Return the open invitations of a person to projects that are there."""
        query = _with_title().where(
            InvitationRow.person == person,
            InvitationRow.state == InvitationState.OPEN,
            InvitationRow.expires_at > now,
            ProjectRow.deleted_at.is_(None),
        )
        rows = await self._session.execute(query.order_by(InvitationRow.id.desc()).limit(50))
        return [_invitation(*row) for row in rows]


class JoinRequestStore:
    """Join requests in one session."""

    def __init__(self, session: AsyncSession) -> None:
        self._session = session

    async def add(self, slug: str, person: str, message: str, now: datetime) -> JoinRequest:
        """Write a join request.

        Raises
        ------
        sqlalchemy.exc.IntegrityError
            The person has an open one.
        """
        values = {"project": slug, "person": person, "message": message, "created_at": now}
        statement = insert(JoinRequestRow).values(state=JoinRequestState.OPEN, **values).returning(JoinRequestRow.id)
        added = await self.get((await self._session.execute(statement)).scalar_one())
        assert added is not None  # noqa: S101 - written one line above
        return added

    async def get(self, request: int) -> JoinRequest | None:
        """Return a join request."""
        found = await self._list(JoinRequestRow.id == request)
        return found[0] if found else None

    async def open_of(self, slug: str, person: str) -> JoinRequest | None:
        """Return the open join request of a person in a project."""
        found = await self._list(
            JoinRequestRow.project == slug,
            JoinRequestRow.person == person,
            JoinRequestRow.state == JoinRequestState.OPEN,
        )
        return found[0] if found else None

    async def of_project(self, slug: str) -> list[JoinRequest]:
        """Return the open join requests of a project, oldest first."""
        return await self._list(JoinRequestRow.project == slug, JoinRequestRow.state == JoinRequestState.OPEN)

    async def of_person(self, person: str) -> list[JoinRequest]:
        """Return the open join requests of a person."""
        return await self._list(JoinRequestRow.person == person, JoinRequestRow.state == JoinRequestState.OPEN)

    async def to_decide(self, person: str) -> list[JoinRequest]:
        """Return the open join requests to projects that a person leads in their own right."""
        led = select(MemberRow.project).where(MemberRow.person == person, MemberRow.role == Role.LEAD)
        return await self._list(JoinRequestRow.project.in_(led), JoinRequestRow.state == JoinRequestState.OPEN)

    async def _list(self, *conditions: Any) -> list[JoinRequest]:
        query = (
            select(JoinRequestRow, ProjectRow.title)
            .join(ProjectRow, ProjectRow.slug == JoinRequestRow.project)
            .where(*conditions, ProjectRow.deleted_at.is_(None))
            .order_by(JoinRequestRow.id)
            .limit(200)
            .execution_options(populate_existing=True)
        )
        return [
            JoinRequest(
                id=row.id,
                project=row.project,
                title=title,
                user=row.person,
                message=row.message,
                state=row.state,
                created_at=row.created_at,
            )
            for row, title in await self._session.execute(query)
        ]

    async def decide(self, request: int, state: JoinRequestState, by: str, now: datetime) -> None:
        """Say what became of a join request."""
        one = JoinRequestRow.id == request
        values = {"state": state, "decided_by": by, "decided_at": now}
        await self._session.execute(update(JoinRequestRow).where(one).values(**values))
