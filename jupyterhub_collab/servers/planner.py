"""The plan of a server: from what a person may do to what their server mounts."""

from __future__ import annotations

from collections.abc import Mapping

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from jupyterhub_collab.access.models import Actor, Permission, Role, permissions
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
from jupyterhub_collab.projects.models import Project, ProjectState
from jupyterhub_collab.projects.schema import DataAttachmentRow, PinRow, ProjectRow
from jupyterhub_collab.settings import Limits, Storage
from jupyterhub_collab.volumes.models import DataAttachment, Mode, Mount, VolumeKind

from .models import MountChange, ServerPlan

HOME = "~"
PROJECTS = "~/projects"
SCRATCH = "~/scratch"
PUBLIC = "~/public"
_FOR_ALL = frozenset({VolumeKind.SCRATCH, VolumeKind.PUBLIC})


class Planner:
    """Computes plans from the database, in the session of whoever asks."""

    def __init__(self, authorizer: Authorizer, catalogue: Catalogue, limits: Limits, storage: Storage) -> None:
        self._authorizer = authorizer
        self._catalogue = catalogue
        self._limits = limits
        self._storage = storage

    async def plan(
        self, session: AsyncSession, person: str, server_name: str, options: Mapping[str, object] | None = None
    ) -> ServerPlan:
        """Return what a start of this server is allowed now.

        ``options`` may choose the ``environment`` and ``resource_class`` of a workspace server; a project says its own.

        Raises
        ------
        PlanRefusedError
            With the sentence for the spawn page.
        """
        try:
            actor = await self._authorizer.actor(session, person)
        except LoginRequiredError as error:
            msg = "This Hub does not know you yet. Log out, log in again and start the server once more."
            raise PlanRefusedError(msg) from error
        projects = await self._projects(session, actor, server_name)
        project = projects[0][0] if server_name else None
        mounts = [_home(actor), *(_folder(p, role) for p, role in projects)]
        mounts += await self._data(session, projects)
        mounts += await self._shared_places(session, actor)
        return self._assemble(actor, server_name, project, tuple(mounts), options or {})

    async def _projects(self, session: AsyncSession, actor: Actor, server_name: str) -> list[tuple[Project, Role]]:
        roles = roles_of(actor.name).subquery()
        query = (
            select(ProjectRow, roles.c.role)
            .join(roles, roles.c.project == ProjectRow.slug)
            .where(ProjectRow.deleted_at.is_(None))
            .order_by(ProjectRow.slug)
        )
        if server_name:
            query = query.where(ProjectRow.slug == server_name)
        else:
            query = query.join(PinRow, PinRow.project == ProjectRow.slug).where(PinRow.person == actor.name)
        found = [(Project.model_validate(p, from_attributes=True), role) for p, role in await session.execute(query)]
        if server_name and not found:
            raise UnknownServerNameError(server_name)
        if server_name and found[0][0].state is ProjectState.ARCHIVED:
            raise ProjectArchivedPlanError(server_name)
        return found

    async def _data(self, session: AsyncSession, projects: list[tuple[Project, Role]]) -> list[Mount]:
        """Return the data mounts of some projects; where several attach one volume, the highest mode counts."""
        query = select(DataAttachmentRow).where(DataAttachmentRow.project.in_([p.slug for p, _ in projects]))
        by_slug = {project.slug: (project, role) for project, role in projects}
        offered: dict[str, dict[str, Mode]] = {}
        described: dict[str, DataAttachment] = {}
        for row in await session.scalars(query):
            (attachment,) = self._catalogue.describe([DataAttachment.model_validate(row, from_attributes=True)])
            if attachment.path:
                described[attachment.name] = attachment
                writes = attachment.mode is Mode.READ_WRITE and _writes(*by_slug[row.project])
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
        roles = roles_of(actor.name).subquery()
        query = (
            select(ProjectRow, roles.c.role)
            .join(roles, roles.c.project == ProjectRow.slug)
            .where(ProjectRow.deleted_at.is_(None), ProjectRow.slug.in_(sorted(self._storage.public_editors)))
            .order_by(ProjectRow.slug)
        )
        found = [(Project.model_validate(p, from_attributes=True), role) for p, role in await session.execute(query)]
        through = tuple(project.slug for project, role in found if _writes(project, role))
        mode = Mode.READ_WRITE if through else Mode.READ_ONLY
        return Mount(kind=VolumeKind.PUBLIC, volume=PUBLIC_VOLUME, path=PUBLIC, mode=mode, projects=through)

    def _assemble(
        self,
        actor: Actor,
        server_name: str,
        project: Project | None,
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

    def _runtime(self, actor: Actor, project: Project | None, options: Mapping[str, object]) -> tuple[str, str]:
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


def _writes(project: Project, role: Role) -> bool:
    """Tell whether a role may write in a project as it is now; nobody writes in an archived one."""
    actor = Actor(name="")
    may = Permission.WRITE_FILES in permissions(actor, role, project.visibility)
    return may and project.state is ProjectState.ACTIVE


def _folder(project: Project, role: Role) -> Mount:
    return Mount(
        kind=VolumeKind.PROJECT,
        volume=project_volume(project.slug),
        path=f"{PROJECTS}/{project.slug}",
        mode=Mode.READ_WRITE if _writes(project, role) else Mode.READ_ONLY,
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
