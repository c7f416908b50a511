"""Translates between audit events and their table."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime
from typing import Any, Final

from sqlalchemy import insert, select
from sqlalchemy.ext.asyncio import AsyncSession

from jupyterhub_collab.tables import plain

from .models import Event, EventPage
from .schema import EventRow

_ADD: Final = insert(plain(EventRow))


class AuditStore:
    """Audit events in one session."""

    def __init__(self, session: AsyncSession) -> None:
        self._session = session

    async def add(  # noqa: PLR0913 - the columns of an event
        self, at: datetime, actor: str, action: str, target: str, project: str | None, detail: dict[str, Any]
    ) -> None:
        """Write one event."""
        columns = {"actor": actor, "action": action, "target": target, "project": project, "detail": detail}
        await self._session.execute(_ADD, {"at": at, **columns})

    async def has_since(self, project: str, target: str, actions: Collection[str], since: datetime) -> bool:
        """Tell whether one of some actions was done to a target in a project after an instant."""
        query = select(EventRow.id).where(
            EventRow.target == target, EventRow.project == project, EventRow.action.in_(actions), EventRow.at > since
        )
        return await self._session.scalar(query.limit(1)) is not None

    async def page(  # noqa: PLR0913 - each is one column of the search
        self,
        *,
        project: str | None = None,
        actor: str | None = None,
        action: str | None = None,
        target: str | None = None,
        before: int | None = None,
        limit: int,
    ) -> EventPage:
        """Return events that match all that is given, newest first."""
        query = select(EventRow).order_by(EventRow.id.desc()).limit(limit + 1)
        wanted = {EventRow.project: project, EventRow.actor: actor, EventRow.action: action, EventRow.target: target}
        for column, value in wanted.items():
            if value:
                query = query.where(column == value)
        if before is not None:
            query = query.where(EventRow.id < before)
        rows = (await self._session.scalars(query)).all()
        items = [Event.model_validate(row, from_attributes=True) for row in rows[:limit]]
        return EventPage(items=items, next=items[-1].id if len(rows) > limit else None)
