"""Translates between projects and their tables."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, cast

from sqlalchemy import ColumnElement, Select, and_, delete, func, insert, intersect, or_, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from jupyterhub_collab.access.models import Role, Visibility
from jupyterhub_collab.access.store import roles_of
from jupyterhub_collab.people.schema import PersonRow
from jupyterhub_collab.tables import insert_or, starts_with

from .models import Project, ProjectState, ProjectSummary
from .schema import PinRow, ProjectRow, ProjectWordRow, SlugRow
from .words import words_of

_SUMMARY = (
    ProjectRow.slug,
    ProjectRow.title,
    ProjectRow.description,
    ProjectRow.visibility,
    ProjectRow.state,
    ProjectRow.last_activity,
    ProjectRow.size,
)
# Counting stops here; past it a page says "more than", since the count would cost more with each row
COUNTED = 100


@dataclass(frozen=True, kw_only=True, slots=True)
class DirectoryFilter:
    """Which projects a person looks for in the directory."""

    roles: Mapping[str, Role]
    """The person's roles, by project: few, so that the query need not find them for each project that it passes."""
    visibility: frozenset[Visibility]
    mine: bool | None
    active_since: datetime | None
    search: str


class ProjectStore:
    """Projects in one session."""

    def __init__(self, session: AsyncSession) -> None:
        self._session = session

    async def add(self, project: Project) -> None:
        """Write a new project; its slug is given for ever.

        Raises
        ------
        sqlalchemy.exc.IntegrityError
            The slug was given before.
        """
        await self._session.execute(insert(SlugRow).values(slug=project.slug, given=project.created_at))
        await self._session.execute(insert(ProjectRow).values(project.model_dump(exclude={"my_role"})))
        await self._index(project)

    async def save(self, slug: str, **changes: Any) -> None:
        """Change columns of a project; what people can see of it gets a new version."""
        await self._session.execute(
            update(ProjectRow).where(ProjectRow.slug == slug).values(version=ProjectRow.version + 1, **changes)
        )
        if changes.keys() & {"title", "description", "readme"}:
            row = await self._session.scalar(
                select(ProjectRow).where(ProjectRow.slug == slug).execution_options(populate_existing=True)
            )
            await self._index(Project.model_validate(row, from_attributes=True))

    async def set_size(self, slug: str, size: int) -> None:
        """Note how many bytes a project folder has; no change that people make, so no new version."""
        await self._session.execute(update(ProjectRow).where(ProjectRow.slug == slug).values(size=size))

    async def volume_sizes(self) -> dict[str, int]:
        """Return the sizes of volumes that an operator chose."""
        query = select(ProjectRow.slug, ProjectRow.volume_size)
        query = query.where(ProjectRow.deleted_at.is_(None), ProjectRow.volume_size.is_not(None))
        return {slug: size for slug, size in await self._session.execute(query) if size is not None}

    async def touch(self, slug: str, now: datetime) -> None:
        """Note that somebody works in a project."""
        await self._session.execute(update(ProjectRow).where(ProjectRow.slug == slug).values(last_activity=now))

    async def _index(self, project: Project) -> None:
        await self._session.execute(delete(ProjectWordRow).where(ProjectWordRow.project == project.slug))
        words = words_of(project.title, project.description, project.readme)
        if words:
            rows = [{"word": word, "project": project.slug} for word in sorted(words)]
            await self._session.execute(insert(ProjectWordRow), rows)

    async def purge(self, slug: str) -> None:
        """Remove a project and all rows that hang on it; the slug stays given."""
        await self._session.execute(delete(ProjectRow).where(ProjectRow.slug == slug))

    async def count_created_by(self, person: str) -> int:
        """Return how many projects a person made that are not deleted, without those of who had the name before."""
        since = select(PersonRow.first_seen).where(PersonRow.name == person).scalar_subquery()
        mine = (ProjectRow.created_by == person, ProjectRow.created_at >= since)
        return await self._session.scalar(select(func.count()).where(*mine, ProjectRow.deleted_at.is_(None))) or 0

    async def deleted_before(self, instant: datetime) -> list[str]:
        """Return the projects that were deleted before an instant."""
        query = select(ProjectRow.slug).where(ProjectRow.deleted_at.is_not(None), ProjectRow.deleted_at <= instant)
        return list(await self._session.scalars(query))

    async def changed_since(self, instant: datetime, limit: int) -> list[str]:
        """Return projects that were never measured, or in which something happened since an instant."""
        query = select(ProjectRow.slug).where(
            ProjectRow.deleted_at.is_(None), or_(ProjectRow.size.is_(None), ProjectRow.last_activity >= instant)
        )
        return list(await self._session.scalars(query.order_by(ProjectRow.last_activity.desc()).limit(limit)))

    async def mine(self, person: str, *, archived: bool) -> list[ProjectSummary]:
        """Return every project of a person, last active first."""
        roles = roles_of(person).subquery()
        state = ProjectState.ARCHIVED if archived else ProjectState.ACTIVE
        query = (
            select(*_SUMMARY, roles.c.role)
            .join(roles, roles.c.project == ProjectRow.slug)
            .where(ProjectRow.deleted_at.is_(None), ProjectRow.state == state)
            .order_by(ProjectRow.last_activity.desc(), ProjectRow.slug)
        )
        return [_summary(row, row.role) for row in await self._session.execute(query)]

    async def roles(self, person: str) -> dict[str, Role]:
        """Return the role that a person has in each of their projects."""
        return dict(row.tuple() for row in await self._session.execute(roles_of(person)))

    async def directory(
        self, wanted: DirectoryFilter, *, by_title: bool, after: tuple[str, str] | None, limit: int
    ) -> list[ProjectSummary]:
        """Return active projects that a person may find, with the person's role in them."""
        query = cast("Select[Any]", select(*_SUMMARY).where(*_conditions(wanted)))
        rows = await self._session.execute(_paged(query, by_title, after, limit))
        return [_summary(row, wanted.roles.get(row.slug)) for row in rows]

    async def count_directory(self, wanted: DirectoryFilter) -> int:
        """Return how many projects `directory` has in all, counted up to one more than `COUNTED`."""
        found = select(ProjectRow.slug).where(*_conditions(wanted)).limit(COUNTED + 1).subquery()
        return await self._session.scalar(select(func.count()).select_from(found)) or 0

    async def all(self, *, deleted: bool, after: str, search: str, limit: int) -> list[Project]:
        """Return all projects by slug, or all deleted ones, for the operator."""
        condition = ProjectRow.deleted_at.is_not(None) if deleted else ProjectRow.deleted_at.is_(None)
        wanted = (condition, ProjectRow.slug > after, starts_with(ProjectRow.slug, search.lower()))
        query = select(ProjectRow).where(*wanted).order_by(ProjectRow.slug).limit(limit)
        return [Project.model_validate(row, from_attributes=True) for row in await self._session.scalars(query)]

    async def pins(self, person: str) -> frozenset[str]:
        """Return the projects that a person pinned."""
        return frozenset(await self._session.scalars(select(PinRow.project).where(PinRow.person == person)))

    async def pin(self, person: str, slug: str) -> None:
        """Pin a project."""
        await self._session.execute(
            insert_or(self._session, PinRow).values(person=person, project=slug).on_conflict_do_nothing()
        )

    async def unpin(self, person: str, slug: str) -> None:
        """Take a project out of a person's workspace."""
        await self._session.execute(delete(PinRow).where(PinRow.person == person, PinRow.project == slug))


def _summary(row: Any, role: Role | None) -> ProjectSummary:
    columns = {column.key: getattr(row, column.key) for column in _SUMMARY}
    return ProjectSummary(my_role=role, **columns)


def _conditions(wanted: DirectoryFilter) -> list[ColumnElement[bool]]:
    seen = ProjectRow.visibility.in_(wanted.visibility)
    is_mine = ProjectRow.slug.in_(wanted.roles)
    found: list[ColumnElement[bool]] = [
        ProjectRow.deleted_at.is_(None),
        ProjectRow.state == ProjectState.ACTIVE,
        {True: is_mine, False: and_(seen, ~is_mine), None: or_(seen, is_mine)}[wanted.mine],
    ]
    if wanted.active_since is not None:
        found.append(ProjectRow.last_activity >= wanted.active_since)
    words = [select(ProjectWordRow.project).where(starts_with(ProjectWordRow.word, w)) for w in words_of(wanted.search)]
    if words:
        found.append(ProjectRow.slug.in_(intersect(*words) if len(words) > 1 else words[0]))
    return found


def _paged(query: Select[Any], by_title: bool, after: tuple[str, str] | None, limit: int) -> Select[Any]:  # noqa: FBT001
    """Order a query and cut it behind a cursor: the last row's value and slug."""
    if by_title:
        query = query.order_by(ProjectRow.title, ProjectRow.slug)
    else:
        query = query.order_by(ProjectRow.last_activity.desc(), ProjectRow.slug.desc())
    if after is None:
        return query.limit(limit)
    value, slug = after
    if by_title:
        beyond = or_(ProjectRow.title > value, and_(ProjectRow.title == value, ProjectRow.slug > slug))
    else:
        instant = datetime.fromisoformat(value)
        beyond = or_(
            ProjectRow.last_activity < instant, and_(ProjectRow.last_activity == instant, ProjectRow.slug < slug)
        )
    return query.where(beyond).limit(limit)
