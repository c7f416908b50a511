"""Everything that hangs on a person in projects, in one place: found and taken away when the person is removed."""

from __future__ import annotations

from typing import Final

from sqlalchemy import delete, or_, select, update
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import aliased

from jupyterhub_collab.access.models import Role
from jupyterhub_collab.people.schema import PersonGroupRow

from .models import InvitationState, JoinRequestState
from .schema import InvitationRow, JoinRequestRow, MemberRow, PinRow, ProjectRow, ReservationRow

_OWNED: Final = (MemberRow, PinRow, PersonGroupRow)


class DepartureStore:
    """What a person leaves behind, in one session."""

    def __init__(self, session: AsyncSession) -> None:
        self._session = session

    async def memberships(self, person: str) -> list[tuple[str, Role]]:
        """Return the projects in which a person has a role of their own, and hold their rows."""
        query = (
            select(MemberRow.project, MemberRow.role)
            .join(ProjectRow, ProjectRow.slug == MemberRow.project)
            .where(MemberRow.person == person)
            .order_by(MemberRow.project)
            .with_for_update(of=ProjectRow)
        )
        return [row.tuple() for row in await self._session.execute(query)]

    async def only_lead_of(self, person: str) -> list[str]:
        """Return the projects, but deleted ones, that would be without a lead of their own right."""
        other = aliased(MemberRow)
        others = select(other.person).where(
            other.project == MemberRow.project, other.role == Role.LEAD, other.person != person
        )
        query = (
            select(MemberRow.project)
            .join(ProjectRow, ProjectRow.slug == MemberRow.project)
            .where(MemberRow.person == person, MemberRow.role == Role.LEAD, ProjectRow.deleted_at.is_(None))
            .where(~others.correlate(MemberRow).exists())
        )
        return list(await self._session.scalars(query.order_by(MemberRow.project)))

    async def forget(self, person: str) -> None:
        """Take away a person's roles, pins and groups, and close what they offered, were offered and asked for."""
        for table in _OWNED:
            await self._session.execute(delete(table).where(table.person == person))
        await self._session.execute(delete(ReservationRow).where(ReservationRow.name == person))
        await self._session.execute(
            update(InvitationRow)
            .where(InvitationRow.state == InvitationState.OPEN)
            .where(or_(InvitationRow.person == person, InvitationRow.invited_by == person))
            .values(state=InvitationState.REVOKED)
        )
        await self._session.execute(
            update(JoinRequestRow)
            .where(JoinRequestRow.person == person, JoinRequestRow.state == JoinRequestState.OPEN)
            .values(state=JoinRequestState.WITHDRAWN)
        )
