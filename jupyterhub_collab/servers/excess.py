"""The one query of enforcement: which running servers were granted more than is allowed now.

It compares state with state, so that a crash at any step loses nothing: the next look sees the same difference.
"""

from __future__ import annotations

from typing import Any

from sqlalchemy import ColumnElement, Select, and_, case, func, literal, not_, or_, select, union_all
from sqlalchemy.ext.asyncio import AsyncSession

from jupyterhub_collab.access.models import Permission, Role, lowest_role_with
from jupyterhub_collab.people.schema import PersonGroupRow
from jupyterhub_collab.projects.models import ProjectState
from jupyterhub_collab.projects.schema import DataAttachmentRow, GroupGrantRow, MemberRow, ProjectRow
from jupyterhub_collab.settings import CatalogueEntry, Settings
from jupyterhub_collab.volumes.models import Mode

from .models import Excess
from .schema import GrantedMountRow, GrantRow, ServerStopRow

_READER = lowest_role_with(Permission.READ_FILES)
_WRITER = lowest_role_with(Permission.WRITE_FILES)
_OPEN = GrantRow.ended_at.is_(None)


def _columns(reason: Any) -> tuple[Any, ...]:
    return GrantRow.id, GrantRow.person, GrantRow.server_name, reason.label("reason")


def _has_role(role: Role) -> ColumnElement[bool]:
    """Return whether the granted person has at least a role in the granted project, own or through a group."""
    grouped = (
        select(GroupGrantRow.project)
        .join(PersonGroupRow, PersonGroupRow.group == GroupGrantRow.group)
        .where(
            GroupGrantRow.project == GrantedMountRow.project,
            PersonGroupRow.person == GrantRow.person,
            GroupGrantRow.role >= role,
        )
        .correlate(GrantedMountRow, GrantRow)
    )
    return or_(func.coalesce(MemberRow.role >= role, False), grouped.exists())


def _mounts() -> Select[Any]:
    """Return the grants with a mount for which no project gives a reason any more.

    A mount may have several reasons (data attached to two pinned projects): it is too much when the last one is gone.
    """
    writes = GrantedMountRow.mode == Mode.READ_WRITE
    allowed = case(
        (writes, and_(_has_role(_WRITER), ProjectRow.state == ProjectState.ACTIVE)), else_=_has_role(_READER)
    )
    attached = or_(
        GrantedMountRow.data.is_(None),
        and_(DataAttachmentRow.name.is_not(None), or_(not_(writes), DataAttachmentRow.mode == Mode.READ_WRITE)),
    )
    valid = and_(ProjectRow.slug.is_not(None), ProjectRow.deleted_at.is_(None), allowed, attached)
    return (
        select(*_columns(literal("lost ") + GrantedMountRow.path))
        .select_from(GrantRow)
        .join(GrantedMountRow, GrantedMountRow.grant == GrantRow.id)
        .outerjoin(ProjectRow, ProjectRow.slug == GrantedMountRow.project)
        .outerjoin(MemberRow, and_(MemberRow.project == GrantedMountRow.project, MemberRow.person == GrantRow.person))
        .outerjoin(
            DataAttachmentRow,
            and_(
                DataAttachmentRow.project == GrantedMountRow.project,
                DataAttachmentRow.name == GrantedMountRow.data,
            ),
        )
        .where(_OPEN)
        .group_by(GrantRow.id, GrantRow.person, GrantRow.server_name, GrantedMountRow.path)
        .having(func.max(case((valid, 1), else_=0)) == 0)
    )


def _archived() -> Select[Any]:
    """Return the project servers of archived projects; a deleted project's lose their mounts anyway."""
    return (
        select(*_columns(literal("archived")))
        .join(ProjectRow, ProjectRow.slug == GrantRow.project)
        .where(_OPEN, ProjectRow.state == ProjectState.ARCHIVED)
    )


def _stopped() -> Select[Any]:
    """Return the project servers that a lead wants to end."""
    stop = and_(ServerStopRow.project == GrantRow.project, ServerStopRow.person == GrantRow.person)
    return (
        select(*_columns(literal("stopped by a lead")))
        .join(ServerStopRow, stop)
        .where(_OPEN, GrantRow.id <= ServerStopRow.up_to_grant)
    )


def _over_limit(column: Any, limit: int, reason: str) -> Select[Any]:
    """Return the newest of the servers that one person, or one project, has beyond a limit."""
    rank = func.row_number().over(partition_by=column, order_by=GrantRow.id)
    ranked = (
        select(GrantRow.id, GrantRow.person, GrantRow.server_name, rank.label("rank"))
        .where(_OPEN, column.is_not(None))
        .subquery()
    )
    columns = (ranked.c.id, ranked.c.person, ranked.c.server_name, literal(reason).label("reason"))
    return select(*columns).where(ranked.c.rank > limit)


def _gated(column: Any, name: str, entry: CatalogueEntry) -> Select[Any]:
    """Return the servers with an environment or size that is not for this person and project any more."""
    in_group = select(PersonGroupRow.person).where(
        PersonGroupRow.person == GrantRow.person, PersonGroupRow.group.in_(sorted(entry.allowed.groups))
    )
    allowed = or_(
        func.coalesce(GrantRow.project.in_(sorted(entry.allowed.projects)), False),
        GrantRow.person.in_(sorted(entry.allowed.names)),
        in_group.exists(),
    )
    return select(*_columns(literal(f"not for them: {name}"))).where(_OPEN, column == name, not_(allowed))


async def holders_of_too_much(session: AsyncSession, slug: str) -> frozenset[str]:
    """Return whose running servers hold the folder of a project in a way that is not allowed now."""
    query = _mounts().where(GrantedMountRow.project == slug, GrantedMountRow.data.is_(None))
    return frozenset(row.person for row in await session.execute(query))


class ExcessQuery:
    """The query of enforcement, built once from the settings."""

    def __init__(self, settings: Settings) -> None:
        gates = [
            _gated(column, name, entry)
            for column, entries in (
                (GrantRow.environment, settings.environments),
                (GrantRow.resource_class, settings.resource_classes),
            )
            for name, entry in entries.items()
            if not entry.allowed.everyone
        ]
        limits = settings.limits
        self._query = union_all(
            _mounts(),
            _archived(),
            _stopped(),
            _over_limit(GrantRow.person, limits.servers_per_person, "over the limit of the person"),
            _over_limit(GrantRow.project, limits.servers_per_project, "over the limit of the project"),
            *gates,
        )

    async def run(self, session: AsyncSession) -> list[Excess]:
        """Return each server that holds too much once, with the first reason."""
        found: dict[int, Excess] = {}
        for grant, person, server_name, reason in await session.execute(self._query):
            found.setdefault(grant, Excess(grant_id=grant, person=person, server_name=server_name, reason=reason))
        return list(found.values())
