"""What servers are granted, what they hold, and what a lead may end."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Final

from sqlalchemy import bindparam, select
from sqlalchemy.ext.asyncio import AsyncSession

from jupyterhub_collab.access.models import Permission, SiteRight
from jupyterhub_collab.access.service import Authorizer
from jupyterhub_collab.audit.service import record
from jupyterhub_collab.database import Database, reads, writes
from jupyterhub_collab.errors import NotFoundError, PlanRefusedError
from jupyterhub_collab.projects.schema import ProjectRow
from jupyterhub_collab.projects.store import ProjectStore
from jupyterhub_collab.tables import plain

from .excess import ExcessQuery
from .limits import ServerLimits
from .models import Excess, Grant, OpenGrant, ServerView
from .planner import Planner, compare
from .store import ServerStore

_PROJECTS = plain(ProjectRow).c
_LOCK_PROJECT: Final = select(_PROJECTS.slug).where(_PROJECTS.slug == bindparam("slug")).with_for_update()


class ServerService:
    """Plans and grants of servers."""

    def __init__(  # noqa: PLR0913 - what it stands on
        self,
        database: Database,
        authorizer: Authorizer,
        planner: Planner,
        excess: ExcessQuery,
        limits: ServerLimits,
        clock: Callable[[], datetime],
    ) -> None:
        self._database = database
        self._authorizer = authorizer
        self._planner = planner
        self._excess = excess
        self._limits = limits
        self._clock = clock

    @writes
    async def grant(
        self,
        session: AsyncSession,
        person: str,
        server_name: str,
        *,
        running: frozenset[str] | None = None,
        options: Mapping[str, object] | None = None,
    ) -> Grant:
        """Compute the plan of a start and record that it is granted; for the Hub process.

        ``running`` names the person's servers that the Hub knows to run: what really runs is what counts against the
        limit. Recorded before the server starts, so that a removal a moment later finds it.

        Raises
        ------
        PlanRefusedError
            With the sentence for the spawn page.
        """
        if server_name:  # the project's row is held, then the person's: two starts at once count each other
            await session.execute(_LOCK_PROJECT, {"slug": server_name})
        plan = await self._planner.plan(session, person, server_name, options, lock=True)
        store = ServerStore(session)
        held = await store.held_by(person)
        await self._limits.check(session, plan, held, running)
        grant = await store.add(plan, held, self._clock())
        await record(session, grant.granted_at, person, "server.start", f"{person}/{server_name}")
        if plan.project is not None:
            await ProjectStore(session).touch(plan.project, grant.granted_at)
        return grant

    @writes
    async def ended(self, session: AsyncSession, person: str, server_name: str, *, grant: int | None = None) -> None:
        """Note that a server was seen to be gone; for the Hub process. With ``grant`` only that grant is closed."""
        if await ServerStore(session).end(person, server_name, self._clock(), grant=grant):
            await record(session, self._clock(), person, "server.end", f"{person}/{server_name}")

    @reads
    async def excess(self, session: AsyncSession) -> list[Excess]:
        """Return the running servers that were granted more than is allowed now, by one query; for the Hub process."""
        return await self._excess.run(session)

    @reads
    async def open_grants(self, session: AsyncSession) -> list[OpenGrant]:
        """Return every open grant; for the Hub process at its start."""
        return await ServerStore(session).all_open()

    @reads
    async def mine(self, session: AsyncSession, who: str | None) -> list[Grant]:
        """Return what my running servers were granted."""
        actor = await self._authorizer.site_account(session, who)
        return await ServerStore(session).open_by(actor.name)

    @reads
    async def last_used(self, session: AsyncSession, who: str) -> datetime | None:
        """Return when my workspace server was last started."""
        return await ServerStore(session).last_used(who)

    @reads
    async def view(self, session: AsyncSession, who: str | None, server_name: str) -> ServerView:
        """Return what my server was granted and what a start now would be.

        Raises
        ------
        NotFoundError, MissingPermissionError
            I am no member of the project.
        """
        actor = await self._authorizer.site_account(session, who)
        if server_name:
            await self._authorizer.project(session, who, server_name, Permission.READ_FILES)
        grant = await ServerStore(session).open_of(actor.name, server_name)
        return await self._view(session, actor.name, server_name, grant)

    @reads
    async def views(self, session: AsyncSession, who: str | None) -> dict[str, ServerView]:
        """Return `view` of each of my running servers, by server name."""
        actor = await self._authorizer.site_account(session, who)
        grants = await ServerStore(session).open_by(actor.name)
        return {g.plan.server_name: await self._view(session, actor.name, g.plan.server_name, g) for g in grants}

    async def _view(self, session: AsyncSession, person: str, server_name: str, grant: Grant | None) -> ServerView:
        plan, refusal = None, None
        try:
            plan = await self._planner.plan(session, person, server_name)
        except PlanRefusedError as error:
            refusal = error.detail
        if grant is None:
            return ServerView(server_name=server_name, grant=None, plan=plan, refusal=refusal)
        granted = grant.plan
        other = plan is not None and (plan.environment_name, plan.resource_class_name) != (
            granted.environment_name,
            granted.resource_class_name,
        )
        return ServerView(
            server_name=server_name,
            grant=grant,
            plan=plan,
            refusal=refusal,
            changes=compare(granted, plan),
            other_runtime=other,
        )

    @writes
    async def stop_members(self, session: AsyncSession, who: str | None, slug: str, person: str | None = None) -> int:
        """End the project server of a member, or of all; enforcement in the Hub process does it. Return how many.

        Raises
        ------
        NotFoundError, MissingPermissionError
        """
        access = await self._authorizer.project(session, who, slug, Permission.STOP_SERVERS, lock=True)
        store, now = ServerStore(session), self._clock()
        people = [name for name in await store.open_in(slug) if person in (None, name)]
        if person is not None and not people:
            raise NotFoundError("running server", f"“{person}” runs no server for this project.")
        for name in people:
            await store.stop(slug, name, access.name, now)
        target = person or "all servers"
        await record(session, now, access.name, "server.stop", target, project=slug, servers=len(people))
        return len(people)

    @reads
    async def counts(self, session: AsyncSession, who: str | None, slugs: list[str] | None = None) -> dict[str, int]:
        """Return how many project servers run in each project; for operators."""
        await self._authorizer.site(session, who, SiteRight.OPERATOR)
        return await ServerStore(session).count_open(slugs)

    @reads
    async def running_in(self, session: AsyncSession, who: str | None, slug: str) -> int:
        """Return how many members run a server for a project; for those who may see members."""
        await self._authorizer.project(session, who, slug, Permission.READ_MEMBERS)
        return (await ServerStore(session).count_open([slug])).get(slug, 0)
