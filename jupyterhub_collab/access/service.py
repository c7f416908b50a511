"""The one place that decides who may do what. It reads only the database; the Hub says *who*, never *may*."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import Select, bindparam, select
from sqlalchemy.ext.asyncio import AsyncSession

from jupyterhub_collab.database import memory
from jupyterhub_collab.errors import (
    ArchivedError,
    ForbiddenError,
    LoginRequiredError,
    MissingPermissionError,
    NotFoundError,
    SiteRightError,
    UnknownAccountError,
)
from jupyterhub_collab.people.models import Kind
from jupyterhub_collab.people.schema import PersonGroupRow, PersonRow
from jupyterhub_collab.projects.models import Project, ProjectState
from jupyterhub_collab.projects.schema import ProjectRow
from jupyterhub_collab.settings import Rights
from jupyterhub_collab.tables import plain

from .models import PERMISSIONS, Actor, Permission, Role, SiteRight, Standing, lowest_role_with, permissions
from .store import roles_of

_PERSONS, _GROUPS = plain(PersonRow), plain(PersonGroupRow)
_ACTOR: Final = (
    select(_PERSONS.c.kind, _PERSONS.c.holder, _GROUPS.c.group_name)
    .outerjoin(_GROUPS, _GROUPS.c.person == _PERSONS.c.name)
    .where(_PERSONS.c.name == bindparam("who"), _PERSONS.c.gone_at.is_(None))
)
_LOCKED_ACTOR: Final = _ACTOR.with_for_update(of=_PERSONS)
# What may be done in an archived project: everything else has to wait until it is restored.
_WHILE_ARCHIVED = frozenset(
    {
        Permission.FIND,
        Permission.READ_FILES,
        Permission.READ_MEMBERS,
        Permission.READ_ACTIVITY,
        Permission.LEAVE,
        Permission.MANAGE_MEMBERS,
        Permission.STOP_SERVERS,
        Permission.ARCHIVE,
        Permission.DELETE,
        Permission.RESTORE,
    }
)


@dataclass(frozen=True, kw_only=True, slots=True)
class Access:
    """What one actor may do with one project, as of this transaction."""

    project: Project
    actor: Actor | None
    role: Role | None
    allowed: frozenset[Permission]

    @property
    def name(self) -> str:
        """The actor's name. Only for actors who need an account for what they do.

        Raises
        ------
        LoginRequiredError
            A visitor has no name.
        """
        if self.actor is None:
            raise LoginRequiredError
        return self.actor.name

    def may(self, permission: Permission) -> bool:
        """Tell whether the actor has a permission."""
        return permission in self.allowed


def missing(permission: Permission) -> ForbiddenError:
    """Return the error for someone who lacks a permission, with whom to ask."""
    if not any(permission in PERMISSIONS[held] for held in Standing if held is not Standing.OPERATOR):
        return SiteRightError(SiteRight.OPERATOR.value)
    return MissingPermissionError(permission.value, lowest_role_with(permission).value)


class Authorizer:
    """Decides from the database and the settings."""

    def __init__(self, rights: Rights) -> None:
        self._rights = rights

    async def actor(self, session: AsyncSession, who: str, *, lock: bool = False) -> Actor:
        """Return the actor with this account name; with ``lock`` their row is held until the transaction ends.

        Raises
        ------
        UnknownAccountError
            The account never logged in, or its person was removed.
        """
        known = memory(session)
        if lock or ("actor", who) not in known:
            known["actor", who] = await self._actor(session, who, _LOCKED_ACTOR if lock else _ACTOR)
        actor: Actor = known["actor", who]
        return actor

    async def _actor(self, session: AsyncSession, who: str, query: Select[Any]) -> Actor:
        rows = (await session.execute(query, {"who": who})).all()
        if not rows:
            raise UnknownAccountError
        groups = frozenset(row.group_name for row in rows if row.group_name is not None)
        is_person = rows[0].kind is Kind.PERSON
        rights = self._rights.of(who, groups) if is_person else frozenset()
        return Actor(name=who, holder=rows[0].holder, is_person=is_person, groups=groups, rights=rights)

    async def site(self, session: AsyncSession, who: str | None, right: SiteRight) -> Actor:
        """Return the actor if they hold a site-wide right.

        Raises
        ------
        LoginRequiredError, SiteRightError
            They are a visitor, or do not hold it.
        """
        if who is None:
            raise LoginRequiredError
        actor = await self.actor(session, who)
        if right not in actor.rights:
            raise SiteRightError(right.value)
        return actor

    async def site_account(self, session: AsyncSession, who: str | None) -> Actor:
        """Return the actor if they have any account here, a throw-away one included.

        Raises
        ------
        LoginRequiredError
            They are a visitor.
        """
        if who is None:
            raise LoginRequiredError
        return await self.actor(session, who)

    async def site_person(self, session: AsyncSession, who: str | None) -> Actor:
        """Return the actor if they have a real account here.

        Raises
        ------
        LoginRequiredError
            They are a visitor, or a throw-away account.
        """
        actor = await self.actor(session, who) if who is not None else None
        if actor is None or not actor.is_person:
            raise LoginRequiredError
        return actor

    async def role(self, session: AsyncSession, person: str, slug: str) -> Role | None:
        """Return the highest of a person's own and group roles in a project."""
        roles = roles_of(person).subquery()
        return await session.scalar(select(roles.c.role).where(roles.c.project == slug))

    async def look(self, session: AsyncSession, who: str | None, slug: str, *, lock: bool = False) -> Access:
        """Return what someone may do with a project that they may find.

        With ``lock`` the project's row is held until the transaction ends.

        Raises
        ------
        NotFoundError
            There is none, it is deleted, or they may not know of it.
        """
        if lock:
            return await self._look(session, who, slug, lock=True)
        known = memory(session)
        if ("access", who, slug) not in known:
            known["access", who, slug] = await self._look(session, who, slug, lock=False)
        access: Access = known["access", who, slug]
        return access

    async def _look(self, session: AsyncSession, who: str | None, slug: str, *, lock: bool) -> Access:
        query = select(ProjectRow).where(ProjectRow.slug == slug)
        row = await session.scalar(query.with_for_update() if lock else query)
        actor = await self.actor(session, who) if who is not None else None
        if row is None:
            raise NotFoundError("project")
        role = await self.role(session, actor.name, slug) if actor else None
        allowed = permissions(actor, role, row.visibility)
        seen = {"my_role": role} | ({} if Permission.READ_MEMBERS in allowed else {"created_by": None})
        project = Project.model_validate(row, from_attributes=True).model_copy(update=seen)
        access = Access(project=project, actor=actor, role=role, allowed=allowed)
        if not access.may(Permission.FIND) or (row.deleted_at and not access.may(Permission.RESTORE)):
            raise NotFoundError("project")
        if project.state is ProjectState.ARCHIVED and role is None and not (actor and actor.is_operator):
            raise NotFoundError("project")
        return access

    async def project(
        self, session: AsyncSession, who: str | None, slug: str, permission: Permission, *, lock: bool = False
    ) -> Access:
        """Return the access of someone who has a permission in a project.

        Raises
        ------
        NotFoundError
            They may not know of it, or it is deleted.
        LoginRequiredError, MissingPermissionError, ArchivedError
            They may know of it, but not do this.
        """
        access = await self.look(session, who, slug, lock=lock)
        if not access.may(permission):
            if access.actor is None:
                raise LoginRequiredError
            raise missing(permission)
        if access.project.deleted_at is not None and permission is not Permission.RESTORE:
            raise NotFoundError("project")
        if access.project.state is ProjectState.ARCHIVED and permission not in _WHILE_ARCHIVED:
            raise ArchivedError(slug)
        return access
