"""Translates between data attachments and their table."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import delete, insert, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from jupyterhub_collab.projects.schema import DataAttachmentRow
from jupyterhub_collab.tables import insert_or

from .models import DataAttachment, Mode, ScratchUse
from .schema import ScratchRow


class DataStore:
    """Data attachments in one session."""

    def __init__(self, session: AsyncSession) -> None:
        self._session = session

    async def attached(self, *slugs: str) -> list[DataAttachment]:
        """Return what is attached to some projects, by name; the catalogue knows the rest of it."""
        query = (
            select(DataAttachmentRow)
            .where(DataAttachmentRow.project.in_(slugs))
            .order_by(DataAttachmentRow.name, DataAttachmentRow.project)
        )
        rows = await self._session.scalars(query)
        return [DataAttachment.model_validate(row, from_attributes=True) for row in rows]

    async def mode(self, slug: str, name: str) -> Mode | None:
        """Return how a volume is attached to a project."""
        query = select(DataAttachmentRow.mode).where(DataAttachmentRow.project == slug, DataAttachmentRow.name == name)
        return await self._session.scalar(query)

    async def put(self, slug: str, name: str, mode: Mode, attached_by: str, now: datetime) -> None:
        """Attach a volume, or change its mode."""
        if await self.mode(slug, name) is None:
            values = {"project": slug, "name": name, "mode": mode, "attached_by": attached_by, "since": now}
            await self._session.execute(insert(DataAttachmentRow).values(values))
            return
        one = (DataAttachmentRow.project == slug, DataAttachmentRow.name == name)
        await self._session.execute(
            update(DataAttachmentRow).where(*one).values(mode=mode, attached_by=attached_by, since=now)
        )

    async def remove(self, slug: str, name: str) -> None:
        """Detach a volume."""
        one = (DataAttachmentRow.project == slug, DataAttachmentRow.name == name)
        await self._session.execute(delete(DataAttachmentRow).where(*one))


class ScratchStore:
    """Scratch volumes in one session."""

    def __init__(self, session: AsyncSession) -> None:
        self._session = session

    async def put(self, volume: str, use: ScratchUse, now: datetime) -> None:
        """Write what a volume holds."""
        values = use.model_dump() | {"seen_at": now}
        statement = insert_or(self._session, ScratchRow).values(volume=volume, **values)
        await self._session.execute(statement.on_conflict_do_update(index_elements=["volume"], set_=values))

    async def get(self, volume: str) -> ScratchUse | None:
        """Return what a volume held when somebody last looked."""
        row = await self._session.get(ScratchRow, volume)
        return ScratchUse.model_validate(row, from_attributes=True) if row else None
