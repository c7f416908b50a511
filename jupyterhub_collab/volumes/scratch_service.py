"""What scratch volumes hold, and what they are about to lose: the Hub's process looks, the pages warn."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime

from sqlalchemy.ext.asyncio import AsyncSession

from jupyterhub_collab.access.service import Authorizer
from jupyterhub_collab.database import Database, reads, writes
from jupyterhub_collab.names import scratch_volume

from .models import ScratchUse
from .store import ScratchStore


class ScratchService:
    """Scratch volumes."""

    def __init__(self, database: Database, authorizer: Authorizer, clock: Callable[[], datetime]) -> None:
        self._database = database
        self._authorizer = authorizer
        self._clock = clock

    @writes
    async def seen(self, session: AsyncSession, volume: str, use: ScratchUse) -> None:
        """Note what a scratch volume holds; for the Hub process, which can look."""
        await ScratchStore(session).put(volume, use, self._clock())

    @reads
    async def mine(self, session: AsyncSession, who: str | None) -> ScratchUse | None:
        """Return what my scratch volume holds; None where nobody has looked yet."""
        actor = await self._authorizer.site_account(session, who)
        return await ScratchStore(session).get(scratch_volume(actor.name, actor.holder))
