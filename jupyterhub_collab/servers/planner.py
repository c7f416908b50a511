"""The plan of a server: from what a person may do to what their server mounts."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any

from sqlalchemy import Select, bindparam, select
from sqlalchemy.ext.asyncio import AsyncSession

from jupyterhub_collab.access.models import Actor, Permission, Role, Visibility, permissions
from jupyterhub_collab.access.service import Authorizer
from jupyterhub_collab.access.store import roles_of
from jupyterhub_collab.environments.service import Catalogue
from jupyterhub_collab.errors import (
    CollabError,
    LoginRequiredError,
    PlanRefusedError,
    ProjectArchivedPlanError,
    UnknownServerNameError,
)
from jupyterhub_collab.names import PUBLIC_VOLUME, data_volume, home_volume, project_volume, scratch_volume
from jupyterhub_collab.projects.models import ProjectState
from jupyterhub_collab.projects.schema import DataAttachmentRow, PinRow, ProjectRow
from jupyterhub_collab.settings import Limits, Storage
from jupyterhub_collab.tables import plain
from jupyterhub_collab.volumes.models import DataAttachment, Mode, Mount, VolumeKind

from .models import MountChange, ServerPlan

HOME = "~"
PROJECTS = "~/projects"
SCRATCH = "~/scratch"
PUBLIC = "~/public"
_FOR_ALL = frozenset({VolumeKind.SCRATCH, VolumeKind.PUBLIC})


@dataclass(frozen=True, kw_only=True, slots=True)
class _Place:
    """What a plan needs of a project and the person's role in it; its README would be a lot for nothing."""

    slug: str
    state: ProjectState
    visibility: Visibility
    environment: str
    resource_class: str
    volume_size: int | None
    role: Role

    @property
    def writes(self) -> bool:
        """Whether the role may write in the project as it is now; nobody writes in an archived one."""
        may = Permission.WRITE_FILES in permissions(Actor(name=""), self.role, self.visibility)
        return may and self.state is ProjectState.ACTIVE


# Made once: to put a statement together takes longer than to run it
_ROLES = roles_of(bindparam("person")).subquery()
_PROJECTS, _PINS, _ATTACHED = plain(ProjectRow).c, plain(PinRow).c, plain(DataAttachmentRow)
_PLACES = (
    select(*(_PROJECTS[part.name] for part in fields(_Place) if part.name != "role"), _ROLES.c.role)
    .join(_ROLES, _ROLES.c.project == _PROJECTS.slug)
    .where(_PROJECTS.deleted_at.is_(None))
    .order_by(_PROJECTS.slug)
)
_ONE = _PLACES.where(_PROJECTS.slug == bindparam("slug"))
_PINNED = _PLACES.where(_PINS.project == _PROJECTS.slug, _PINS.person == bindparam("person"))
_SOME = _PLACES.where(_PROJECTS.slug.in_(bindparam("slugs", expanding=True)))
_DATA = select(_ATTACHED).where(_ATTACHED.c.project.in_(bindparam("slugs", expanding=True)))


class Planner:
    """Computes plans from the database, in the session of whoever asks."""

    def __init__(self, authorizer: Authorizer, catalogue: Catalogue, limits: Limits, storage: Storage) -> None:
        self._authorizer = authorizer
        self._catalogue = catalogue
        self._limits = limits
        self._storage = storage

    async def plan(
        self,
        session: AsyncSession,
        person: str,
        server_name: str,
        options: Mapping[str, object] | None = None,
        *,
        lock: bool = False,
    ) -> ServerPlan:
        """Return what a start of this server is allowed now; with ``lock`` the person's row is held from here on.

        ``options`` may choose the ``environment`` and ``resource_class`` of a workspace server; a project says its own.

        Raises
        ------
        PlanRefusedError
            With the sentence for the spawn page.
        """
        try:
            actor = await self._authorizer.actor(session, person, lock=lock)
        except LoginRequiredError as error:
            msg = "This Hub does not know you yet. Log out, log in again and start the server once more."
            raise PlanRefusedError(msg) from error
        projects = await self._projects(session, actor, server_name)
        project = projects[0] if server_name else None
        mounts = [_home(actor), *map(_folder, projects)]
        mounts += await self._data(session, projects)
        mounts += await self._shared_places(session, actor)
        return self._assemble(actor, server_name, project, tuple(mounts), options or {})

    async def _projects(self, session: AsyncSession, actor: Actor, server_name: str) -> list[_Place]:
        query, wanted = (_ONE, {"slug": server_name}) if server_name else (_PINNED, {})
        found = await _places(session, query, person=actor.name, **wanted)
        if server_name and not found:
            raise UnknownServerNameError(server_name)
        if server_name and found[0].state is ProjectState.ARCHIVED:
            raise ProjectArchivedPlanError(server_name)
        return found

    async def _data(self, session: AsyncSession, projects: list[_Place]) -> list[Mount]:
        """Return the data mounts of some projects; where several attach one volume, the highest mode counts."""
        if not projects or not self._catalogue.offers_data:
            return []
        by_slug = {project.slug: project for project in projects}
        offered: dict[str, dict[str, Mode]] = {}
        described: dict[str, DataAttachment] = {}
        for row in await session.execute(_DATA, {"slugs": list(by_slug)}):
            (attachment,) = self._catalogue.describe([DataAttachment.model_validate(row, from_attributes=True)])
            if attachment.path:
                described[attachment.name] = attachment
                writes = attachment.mode is Mode.READ_WRITE and by_slug[row.project].writes
                offered.setdefault(attachment.name, {})[row.project] = Mode.READ_WRITE if writes else Mode.READ_ONLY
        return [self._data_mount(described[name], modes) for name, modes in sorted(offered.items())]

    def _data_mount(self, attachment: DataAttachment, modes: dict[str, Mode]) -> Mount:
        mode = Mode.READ_WRITE if Mode.READ_WRITE in modes.values() else Mode.READ_ONLY
        return Mount(
            kind=VolumeKind.DATA,
            volume=data_volume(attachment.name),
            data=attachment.name,
            source=self._catalogue.source(attachment.name),
            path=attachment.path,
            mode=mode,
            projects=tuple(sorted(slug for slug, m in modes.items() if m is mode)),
        )

    async def _shared_places(self, session: AsyncSession, actor: Actor) -> list[Mount]:
        """Return the scratch space and the public area, which every person has; throw-away accounts have neither."""
        if not actor.is_person:
            return []
        found = [_scratch(actor)] if self._storage.scratch_days else []
        return [*found, await self._public(session, actor)] if self._storage.public else found

    async def _public(self, session: AsyncSession, actor: Actor) -> Mount:
        slugs = sorted(self._storage.public_editors)
        found = await _places(session, _SOME, person=actor.name, slugs=slugs) if slugs else []
        through = tuple(project.slug for project in found if project.writes)
        mode = Mode.READ_WRITE if through else Mode.READ_ONLY
        return Mount(kind=VolumeKind.PUBLIC, volume=PUBLIC_VOLUME, path=PUBLIC, mode=mode, projects=through)

    def _assemble(
        self,
        actor: Actor,
        server_name: str,
        project: _Place | None,
        mounts: tuple[Mount, ...],
        options: Mapping[str, object],
    ) -> ServerPlan:
        slug = project.slug if project else None
        environment, resource_class = self._runtime(actor, project, options)
        try:
            return ServerPlan(
                person=actor.name,
                server_name=server_name,
                project=slug,
                mounts=mounts,
                environment_name=environment,
                environment=self._catalogue.check_environment(environment, actor.name, actor.groups, slug),
                resource_class_name=resource_class,
                resource_class=self._catalogue.check_resource_class(resource_class, actor.name, actor.groups, slug),
                idle_minutes=self._limits.idle_minutes,
                working_directory=f"{PROJECTS}/{slug}" if slug else HOME,
            )
        except CollabError as error:
            raise PlanRefusedError(error.detail) from error

    def _runtime(self, actor: Actor, project: _Place | None, options: Mapping[str, object]) -> tuple[str, str]:
        if project is not None:
            return project.environment, project.resource_class
        environment = options.get("environment") or self._catalogue.default_environment(actor.name, actor.groups)
        resource_class = options.get("resource_class") or self._catalogue.default_resource_class(
            actor.name, actor.groups
        )
        return str(environment), str(resource_class)


def _home(actor: Actor) -> Mount:
    return Mount(kind=VolumeKind.HOME, volume=home_volume(actor.name, actor.holder), path=HOME, mode=Mode.READ_WRITE)


def _scratch(actor: Actor) -> Mount:
    return Mount(
        kind=VolumeKind.SCRATCH, volume=scratch_volume(actor.name, actor.holder), path=SCRATCH, mode=Mode.READ_WRITE
    )


async def _places(session: AsyncSession, query: Select[Any], **wanted: Any) -> list[_Place]:
    return [_Place(**row._mapping) for row in await session.execute(query, wanted)]  # noqa: SLF001 - its public name


def _folder(project: _Place) -> Mount:
    return Mount(
        kind=VolumeKind.PROJECT,
        volume=project_volume(project.slug),
        path=f"{PROJECTS}/{project.slug}",
        mode=Mode.READ_WRITE if project.writes else Mode.READ_ONLY,
        size=project.volume_size,
        projects=(project.slug,),
    )


def compare(granted: ServerPlan, now: ServerPlan | None) -> tuple[MountChange, ...]:
    """Return how the mounts of a running server differ from those of a start now.

    But scratch space and the public area: they are nobody's reason for a restart, and come with the next start.
    """
    has = {mount.path: mount.mode for mount in granted.mounts if mount.kind not in _FOR_ALL}
    would = {mount.path: mount.mode for mount in now.mounts if mount.kind not in _FOR_ALL} if now else {}
    return tuple(
        MountChange(path=path, granted=has.get(path), allowed=would.get(path))
        for path in sorted(has | would)
        if has.get(path) != would.get(path)
    )
