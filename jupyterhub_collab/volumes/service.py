"""Attaching curated data volumes to projects."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime

from sqlalchemy.ext.asyncio import AsyncSession

from jupyterhub_collab.access.models import Permission
from jupyterhub_collab.access.service import Authorizer
from jupyterhub_collab.audit.service import record
from jupyterhub_collab.database import Database, reads, writes
from jupyterhub_collab.environments.service import Catalogue
from jupyterhub_collab.errors import NotAllowedHereError, NotFoundError

from .models import DataAttachment, Mode
from .store import DataStore


class DataService:
    """Data attachments of projects."""

    def __init__(
        self, database: Database, authorizer: Authorizer, catalogue: Catalogue, clock: Callable[[], datetime]
    ) -> None:
        self._database = database
        self._authorizer = authorizer
        self._catalogue = catalogue
        self._clock = clock

    @reads
    async def attached(self, session: AsyncSession, who: str | None, slug: str) -> list[DataAttachment]:
        """Return what is attached to a project; for its members."""
        await self._authorizer.project(session, who, slug, Permission.READ_MEMBERS)
        return self._catalogue.describe(await DataStore(session).attached(slug))

    @writes
    async def attach(
        self, session: AsyncSession, who: str | None, slug: str, name: str, mode: Mode = Mode.READ_ONLY
    ) -> DataAttachment:
        """Attach a data volume; the same request twice does nothing.

        Raises
        ------
        NotFoundError, MissingPermissionError, ArchivedError, InvalidInputError, NotAllowedHereError
        """
        access = await self._authorizer.project(session, who, slug, Permission.MANAGE_DATA, lock=True)
        groups = access.actor.groups if access.actor else frozenset()
        volume = self._catalogue.check_data(name, access.name, groups, slug)
        if mode is Mode.READ_WRITE and not volume.writable_by_leads:
            raise NotAllowedHereError(f"“{name}” is read-only for everyone. Attach it read-only.", field="mode")
        store = DataStore(session)
        if await store.mode(slug, name) is not mode:
            now = self._clock()
            await store.put(slug, name, mode, access.name, now)
            await record(session, now, access.name, "data.attach", name, project=slug, mode=mode.value)
        return next(a for a in self._catalogue.describe(await store.attached(slug)) if a.name == name)

    @writes
    async def detach(self, session: AsyncSession, who: str | None, slug: str, name: str) -> None:
        """Detach a data volume; servers that have it are stopped.

        Raises
        ------
        NotFoundError, MissingPermissionError, ArchivedError
        """
        access = await self._authorizer.project(session, who, slug, Permission.MANAGE_DATA, lock=True)
        store = DataStore(session)
        if await store.mode(slug, name) is None:
            raise NotFoundError("data volume in this project")
        await store.remove(slug, name)
        await record(session, self._clock(), access.name, "data.detach", name, project=slug)
