"""Writing events, and who may read them."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy.ext.asyncio import AsyncSession

from jupyterhub_collab.access.models import Permission, SiteRight
from jupyterhub_collab.access.service import Authorizer
from jupyterhub_collab.database import Database, reads
from jupyterhub_collab.projects.store import ProjectStore

from .models import EventPage
from .store import AuditStore

PAGE = 30


async def record(  # noqa: PLR0913 - the columns of an event
    session: AsyncSession,
    at: datetime,
    actor: str,
    action: str,
    target: str,
    *,
    project: str | None = None,
    **detail: Any,
) -> None:
    """Write an event in the transaction of the change that it tells of; the project becomes active by it."""
    await AuditStore(session).add(at, actor, action, target, project, detail)
    if project is not None:
        await ProjectStore(session).touch(project, at)


class AuditService:
    """Reads audit events."""

    def __init__(self, database: Database, authorizer: Authorizer) -> None:
        self._database = database
        self._authorizer = authorizer

    @reads
    async def of_project(
        self, session: AsyncSession, who: str | None, slug: str, *, before: int | None = None, limit: int = PAGE
    ) -> EventPage:
        """Return what happened in a project, newest first."""
        await self._authorizer.project(session, who, slug, Permission.READ_ACTIVITY)
        return await AuditStore(session).page(project=slug, before=before, limit=limit)

    @reads
    async def search(  # noqa: PLR0913 - each is one column of the search
        self,
        session: AsyncSession,
        who: str | None,
        *,
        project: str | None = None,
        actor: str | None = None,
        action: str | None = None,
        target: str | None = None,
        before: int | None = None,
        limit: int = PAGE,
    ) -> EventPage:
        """Return events of the whole site that match; for operators."""
        await self._authorizer.site(session, who, SiteRight.OPERATOR)
        return await self.dump(
            session, project=project, actor=actor, action=action, target=target, before=before, limit=limit
        )

    async def dump(self, session: AsyncSession, *, limit: int = PAGE, **search: Any) -> EventPage:
        """Return events that match without asking who wants them: for the command line on the server."""
        return await AuditStore(session).page(limit=limit, **search)
