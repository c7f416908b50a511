"""Translates between granted plans and their tables, and finds those that hold too much."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any, Final

from sqlalchemy import Row, bindparam, delete, func, insert, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from jupyterhub_collab.projects.models import Member
from jupyterhub_collab.tables import plain
from jupyterhub_collab.volumes.models import Mode, VolumeKind

from .models import Grant, OpenGrant, RunningServer, ServerPlan
from .schema import GrantedMountRow, GrantRow, ServerStopRow


def _grant(row: GrantRow) -> Grant:
    return Grant(id=row.id, plan=ServerPlan.model_validate(row.plan), granted_at=row.granted_at)


def _running(found: Iterable[Row[Any]]) -> list[RunningServer]:
    return [RunningServer.model_validate(row, from_attributes=True) for row in found]


# Made once: to put a statement together takes longer than to run it
_GRANTS: Final = plain(GrantRow).c
_RUNNING: Final = select(_GRANTS.id, _GRANTS.person, _GRANTS.server_name, _GRANTS.cpu, _GRANTS.memory).where(
    _GRANTS.ended_at.is_(None)
)
_HELD: Final = _RUNNING.where(_GRANTS.person == bindparam("person")).order_by(_GRANTS.id).with_for_update()
_RUNNING_IN: Final = _RUNNING.where(_GRANTS.project == bindparam("project")).order_by(_GRANTS.person, _GRANTS.id)
_ADD: Final = insert(plain(GrantRow)).returning(_GRANTS.id)
# With what nobody asks for to be returned, all rows go in one statement and not each in its own
_NOTE: Final = insert(plain(GrantedMountRow)).returning(plain(GrantedMountRow).c.grant_id)

_Reason = tuple[str, str, VolumeKind, str | None]
"""Why a mount is there: path, project, kind and data volume."""


def _mounts(plan: ServerPlan) -> list[tuple[_Reason, Mode]]:
    """Return each reason for each mount of a plan, with its mode."""
    return [
        ((mount.path, project, mount.kind, mount.data), mount.mode)
        for mount in plan.mounts
        for project in mount.projects
    ]


def _highest(held: list[tuple[_Reason, Mode]]) -> dict[_Reason, Mode]:
    modes: dict[_Reason, Mode] = {}
    for reason, mode in held:
        if modes.get(reason) is not Mode.READ_WRITE:
            modes[reason] = mode
    return modes


class ServerStore:
    """Granted plans in one session."""

    def __init__(self, session: AsyncSession) -> None:
        self._session = session

    async def held_by(self, person: str) -> list[RunningServer]:
        """Return what runs of a person; none of it is closed before the transaction ends."""
        return _running(await self._session.execute(_HELD, {"person": person}))

    async def add(self, plan: ServerPlan, held: Sequence[RunningServer], now: datetime) -> Grant:
        """Write a plan that is granted now beside what `held_by` tells.

        An open one of the same server is closed: its server is gone.
        """
        others = [other.id for other in held if other.server_name != plan.server_name]
        if len(others) < len(held):
            await self.end(plan.person, plan.server_name, now)
        values = {
            "person": plan.person,
            "server_name": plan.server_name,
            "project": plan.project,
            "environment": plan.environment_name,
            "resource_class": plan.resource_class_name,
            "cpu": plan.resource_class.cpu,
            "memory": int(plan.resource_class.memory),
            "plan": plan.model_dump(mode="json"),
            "granted_at": now,
        }
        grant: int = (await self._session.execute(_ADD, values)).scalar_one()
        await self._note_mounts(plan, [*others, grant])
        return Grant(id=grant, plan=plan, granted_at=now)

    async def _note_mounts(self, plan: ServerPlan, grants: Sequence[int]) -> None:
        """Write what a plan mounts for each of the person's open grants, and what they hold for the new one.

        Their servers share a home, and through a socket in it one hands an open folder to the other: when a role is
        lost, every server has to end that ran beside one with the folder.
        """
        held = await self._take_notes(grants) if len(grants) > 1 else []
        names = ("path", "project", "kind", "data")
        rows = [
            {"grant_id": grant, "person": plan.person, "mode": mode, **dict(zip(names, reason, strict=True))}
            for grant in grants
            for reason, mode in _highest([*held, *_mounts(plan)]).items()
        ]
        if rows:
            await self._session.execute(_NOTE, rows)

    async def _take_notes(self, grants: Sequence[int]) -> list[tuple[_Reason, Mode]]:
        """Return what is noted for some grants, and remove it."""
        of_them = GrantedMountRow.grant.in_(grants)
        columns = (GrantedMountRow.path, GrantedMountRow.project, GrantedMountRow.kind, GrantedMountRow.data)
        found = await self._session.execute(select(*columns, GrantedMountRow.mode).where(of_them))
        held: list[tuple[_Reason, Mode]] = [
            ((path, project, kind, data), mode) for path, project, kind, data, mode in found
        ]
        await self._session.execute(delete(GrantedMountRow).where(of_them))
        return held

    async def end(self, person: str, server_name: str, now: datetime, *, grant: int | None = None) -> bool:
        """Close the open grant of a server, or only this one; return whether there was one."""
        mine = (GrantRow.person == person, GrantRow.server_name == server_name, GrantRow.ended_at.is_(None))
        wanted = mine if grant is None else (*mine, GrantRow.id == grant)
        ended = update(GrantRow).where(*wanted).values(ended_at=now).returning(GrantRow.id)
        closed = (await self._session.execute(ended)).scalar()
        if closed is not None:
            await self._session.execute(delete(GrantedMountRow).where(GrantedMountRow.grant == closed))
        return closed is not None

    async def open_of(self, person: str, server_name: str) -> Grant | None:
        """Return the open grant of a server."""
        mine = (GrantRow.person == person, GrantRow.server_name == server_name, GrantRow.ended_at.is_(None))
        row = await self._session.scalar(select(GrantRow).where(*mine))
        return _grant(row) if row else None

    async def open_by(self, person: str) -> list[Grant]:
        """Return the open grants of a person."""
        query = select(GrantRow).where(GrantRow.person == person, GrantRow.ended_at.is_(None)).order_by(GrantRow.id)
        return [_grant(row) for row in await self._session.scalars(query)]

    async def all_open(self) -> list[OpenGrant]:
        """Return every open grant, without its plan."""
        columns = (GrantRow.id, GrantRow.person, GrantRow.server_name)
        query = select(*columns).where(GrantRow.ended_at.is_(None)).order_by(GrantRow.id)
        return [OpenGrant.model_validate(row, from_attributes=True) for row in await self._session.execute(query)]

    async def running_in(self, project: str) -> list[RunningServer]:
        """Return what runs as server of a project."""
        return _running(await self._session.execute(_RUNNING_IN, {"project": project}))

    async def open_in(self, slug: str) -> list[str]:
        """Return who runs a project server of a project."""
        query = select(GrantRow.person).where(GrantRow.project == slug, GrantRow.ended_at.is_(None))
        return list(await self._session.scalars(query.order_by(GrantRow.person)))

    async def count_open(self, slugs: Sequence[str] | None = None) -> dict[str, int]:
        """Return how many project servers run, by project; the workspace servers are not in it."""
        query = (
            select(GrantRow.project, func.count())
            .where(GrantRow.project.is_not(None), GrantRow.ended_at.is_(None))
            .group_by(GrantRow.project)
        )
        if slugs is not None:
            query = query.where(GrantRow.project.in_(slugs))
        return {slug: count for slug, count in await self._session.execute(query) if slug is not None}

    async def last_used(self, person: str) -> datetime | None:
        """Return when a person's workspace server was last granted."""
        query = select(func.max(GrantRow.granted_at)).where(GrantRow.person == person, GrantRow.server_name == "")
        return await self._session.scalar(query)

    async def with_servers(self, slug: str, members: list[Member]) -> list[Member]:
        """Return members with when their server for a project started."""
        names = [member.user for member in members]
        query = select(GrantRow.person, GrantRow.granted_at).where(
            GrantRow.project == slug, GrantRow.person.in_(names), GrantRow.ended_at.is_(None)
        )
        started = dict(row.tuple() for row in await self._session.execute(query))
        return [member.model_copy(update={"server_started": started.get(member.user)}) for member in members]

    async def stop(self, slug: str, person: str, asked_by: str, now: datetime) -> None:
        """Note that a person's project server, as it runs now, shall end."""
        one = (ServerStopRow.project == slug, ServerStopRow.person == person)
        await self._session.execute(delete(ServerStopRow).where(*one))
        latest = select(func.max(GrantRow.id)).where(GrantRow.person == person).scalar_subquery()
        await self._session.execute(
            insert(ServerStopRow).values(project=slug, person=person, up_to_grant=latest, asked_by=asked_by, at=now)
        )
