"""The one query of enforcement: which running servers were granted more than is allowed now.

It compares state with state, so that a crash at any step loses nothing: the next look sees the same difference.
"""

from __future__ import annotations

from typing import Any

from sqlalchemy import (
    BindParameter,
    ColumnElement,
    Integer,
    Select,
    and_,
    case,
    func,
    literal,
    not_,
    or_,
    select,
    type_coerce,
    union_all,
)
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import aliased
from sqlalchemy.sql import visitors

from jupyterhub_collab.access.models import Permission, lowest_role_with
from jupyterhub_collab.people.schema import REMOVED, PersonGroupRow, PersonRow
from jupyterhub_collab.projects.models import ProjectState
from jupyterhub_collab.projects.schema import DataAttachmentRow, GroupGrantRow, MemberRow, ProjectRow
from jupyterhub_collab.settings import CatalogueEntry, DataVolume, Limits, Settings, Storage
from jupyterhub_collab.volumes.models import Mode, VolumeKind

from .limits import ROUNDING
from .models import Excess
from .schema import GrantedMountRow, GrantRow, ServerStopRow

_READER = lowest_role_with(Permission.READ_FILES)
_WRITER = lowest_role_with(Permission.WRITE_FILES)
_OPEN = GrantRow.ended_at.is_(None)


def _columns(reason: Any) -> tuple[Any, ...]:
    return GrantRow.id, GrantRow.person, GrantRow.server_name, reason.label("reason")


def _rank_of(found: Select[Any], mount: Any) -> ColumnElement[int]:
    """Return the rank of a role that a subquery looks up for each mount; 0 where there is none.

    Looked up and not joined: for a join the database guesses how many mounts there are, and a wrong guess makes it read
    all members of each project.
    """
    return func.coalesce(type_coerce(found.correlate(mount).scalar_subquery(), Integer), 0)


def _may(needed: ColumnElement[int] | int, mount: Any = GrantedMountRow) -> ColumnElement[bool]:
    """Return whether the person has at least a role in the granted project, own or through a group."""
    own = select(MemberRow.role).where(MemberRow.project == mount.project, MemberRow.person == mount.person)
    grouped = (
        select(func.max(GroupGrantRow.role))
        .join(PersonGroupRow, PersonGroupRow.group == GroupGrantRow.group)
        .where(GroupGrantRow.project == mount.project, PersonGroupRow.person == mount.person)
    )
    return or_(_rank_of(own, mount) >= needed, _rank_of(grouped, mount) >= needed)


def _lost() -> Select[Any]:
    """Return the grants of mounts, for a condition that says which are too much."""
    lost = select(*_columns(literal("lost ") + GrantedMountRow.path))
    return lost.join(GrantedMountRow, GrantedMountRow.grant == GrantRow.id)


def _folders() -> Select[Any]:
    """Return the grants with a project folder that the person's role does not give any more, or not in this mode."""
    writes = GrantedMountRow.mode == Mode.READ_WRITE
    needed = case((writes, _WRITER.rank), else_=_READER.rank)
    return _lost().where(GrantedMountRow.kind == VolumeKind.PROJECT, not_(_may(needed)))


def _closed() -> Select[Any]:
    """Return the grants with the folder of a deleted project, or more of an archived one than reading its folder.

    A project that is purged has no members any more, so that `_folders` finds its grants.
    """
    writes = GrantedMountRow.mode == Mode.READ_WRITE
    is_its_server = func.coalesce(GrantRow.project == GrantedMountRow.project, False)
    archived = and_(ProjectRow.state == ProjectState.ARCHIVED, or_(writes, is_its_server))
    return (
        _lost()
        .join(ProjectRow, ProjectRow.slug == GrantedMountRow.project)
        .where(GrantedMountRow.kind == VolumeKind.PROJECT, or_(ProjectRow.deleted_at.is_not(None), archived))
    )


def _gives(mount: Any, attachment: Any, volumes: dict[str, DataVolume]) -> ColumnElement[bool]:
    """Return whether an attachment is a reason for a data mount: the catalogue must offer it still, in this mode."""
    writable = sorted(name for name, volume in volumes.items() if volume.writable_by_leads)
    writes = and_(attachment.mode == Mode.READ_WRITE, mount.data.in_(writable))
    in_mode = or_(mount.mode == Mode.READ_ONLY, writes)
    offered = mount.data.in_(sorted(volumes))
    return and_(attachment.project == mount.project, attachment.name == mount.data, offered, in_mode)


def _data(volumes: dict[str, DataVolume]) -> Select[Any]:
    """Return the grants with a data volume that no project gives them any more.

    A volume may have come from several projects: it is too much when the last one has detached it. What the person may
    do in those projects, their folders tell: a plan that has a project's data has its folder.
    """
    gives = _gives(GrantedMountRow, DataAttachmentRow, volumes)
    detached = (
        select(GrantedMountRow.grant, GrantedMountRow.path)
        .outerjoin(DataAttachmentRow, gives)
        .where(GrantedMountRow.kind == VolumeKind.DATA, DataAttachmentRow.name.is_(None))
        .cte("detached")
        .prefix_with("MATERIALIZED")  # few rows or none: only for them is it asked who else gives the volume
    )
    other, still = aliased(GrantedMountRow), aliased(DataAttachmentRow)
    elsewhere = (
        select(other.grant)
        .join(still, _gives(other, still, volumes))
        .where(other.grant == detached.c.grant, other.path == detached.c.path)
        .correlate(detached)
    )
    lost = select(*_columns(literal("lost ") + detached.c.path)).join(detached, detached.c.grant == GrantRow.id)
    return lost.where(~elsewhere.exists())


def _public(storage: Storage) -> Select[Any]:
    """Return the grants that write in the public area though no project of the person gives them that any more."""
    slugs = sorted(storage.public_editors) if storage.public else []
    other = aliased(GrantedMountRow)
    gives = (
        select(other.grant)
        .join(ProjectRow, ProjectRow.slug == other.project)
        .where(other.grant == GrantedMountRow.grant, other.path == GrantedMountRow.path, other.project.in_(slugs))
        .where(ProjectRow.deleted_at.is_(None), ProjectRow.state == ProjectState.ACTIVE, _may(_WRITER.rank, other))
        .correlate(GrantedMountRow)
    )
    return _lost().where(GrantedMountRow.kind == VolumeKind.PUBLIC, ~gives.exists())


def _gone() -> Select[Any]:
    """Return the servers of persons who were removed, also where somebody else has the name meanwhile."""
    before = or_(PersonRow.gone_at.is_not(None), PersonRow.first_seen > GrantRow.granted_at)
    holder = and_(PersonRow.name == GrantRow.person, REMOVED, before)
    return select(*_columns(literal("the person was removed"))).join(PersonRow, holder).where(_OPEN)


def _stopped() -> Select[Any]:
    """Return the project servers that a lead wants to end."""
    stop = and_(ServerStopRow.project == GrantRow.project, ServerStopRow.person == GrantRow.person)
    return (
        select(*_columns(literal("stopped by a lead")))
        .join(ServerStopRow, stop)
        .where(_OPEN, GrantRow.id <= ServerStopRow.up_to_grant)
    )


def _over_limit(column: Any, amount: Any, limit: float, reason: str) -> Select[Any]:
    """Return the newest of the servers with which one person, or one project, passes a limit."""
    bound = limit + ROUNDING
    passed = select(column).where(_OPEN, column.is_not(None)).group_by(column).having(func.sum(amount) > bound)
    total = func.sum(amount).over(partition_by=column, order_by=GrantRow.id)
    added = (
        select(GrantRow.id, GrantRow.person, GrantRow.server_name, total.label("total"))
        .where(_OPEN, column.in_(passed))
        .subquery()
    )
    columns = (added.c.id, added.c.person, added.c.server_name, literal(reason).label("reason"))
    return select(*columns).where(added.c.total > bound)


def _over_limits(limits: Limits) -> list[Select[Any]]:
    """Return the servers beyond each limit that there is."""
    person, project = "over the limit of the person", "over the limit of the project"
    found = [
        (GrantRow.person, literal(1), limits.servers_per_person, person),
        (GrantRow.project, literal(1), limits.servers_per_project, project),
        (GrantRow.person, GrantRow.cpu, limits.cpu_per_person, f"{person}: CPU"),
        (GrantRow.person, GrantRow.memory, limits.memory_per_person, f"{person}: memory"),
        (GrantRow.project, GrantRow.cpu, limits.cpu_per_project, f"{project}: CPU"),
        (GrantRow.project, GrantRow.memory, limits.memory_per_project, f"{project}: memory"),
    ]
    return [_over_limit(column, amount, limit, reason) for column, amount, limit, reason in found if limit is not None]


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
    query = union_all(*(found.where(GrantedMountRow.project == slug) for found in (_folders(), _closed())))
    return frozenset(row.person for row in await session.execute(query))


def _write_out(parameter: BindParameter[Any]) -> None:
    parameter.literal_execute = True


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
        found = union_all(
            _gone(),
            _folders(),
            _closed(),
            _data(settings.data),
            _public(settings.storage),
            _stopped(),
            *_over_limits(settings.limits),
            *gates,
        )
        # All values are the settings': written out, PostgreSQL plans the query once and not at every look
        self._query = visitors.cloned_traverse(found, {}, {"bindparam": _write_out})

    async def run(self, session: AsyncSession) -> list[Excess]:
        """Return each server that holds too much once, with the first reason."""
        found: dict[int, Excess] = {}
        for grant, person, server_name, reason in await session.execute(self._query):
            found.setdefault(grant, Excess(grant_id=grant, person=person, server_name=server_name, reason=reason))
        return list(found.values())
