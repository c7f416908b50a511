"""A whole project as plain data: for an operator at the command line, and for moving to another site."""

from __future__ import annotations

from datetime import datetime
from typing import Final

from pydantic import BaseModel
from sqlalchemy.ext.asyncio import AsyncSession

from jupyterhub_collab.errors import NotFoundError
from jupyterhub_collab.volumes.models import DataAttachment
from jupyterhub_collab.volumes.store import DataStore

from .invitation_store import InvitationStore, JoinRequestStore
from .member_store import MemberStore
from .models import GroupGrant, Invitation, JoinRequest, Member, Project
from .store import ProjectStore

_PAGE: Final = 500


class ProjectExport(BaseModel):
    """All that the database holds of a project, without its events and its files."""

    project: Project
    members: list[Member]
    groups: list[GroupGrant]
    invitations: list[Invitation]
    join_requests: list[JoinRequest]
    data: list[DataAttachment]


async def export(session: AsyncSession, slug: str, now: datetime) -> ProjectExport:
    """Return a project, deleted or not, without asking who wants it: for the command line on the server.

    Raises
    ------
    NotFoundError
        There is no such project.
    """
    return ProjectExport(
        project=await _project(session, slug),
        members=await _members(session, slug),
        groups=await MemberStore(session).group_grants(slug),
        invitations=await InvitationStore(session).of_project(slug, now),
        join_requests=await JoinRequestStore(session).of_project(slug),
        data=await DataStore(session).attached(slug),
    )


async def _project(session: AsyncSession, slug: str) -> Project:
    for deleted in (False, True):
        for project in await ProjectStore(session).all(deleted=deleted, after="", search=slug, limit=1):
            if project.slug == slug:  # the first of those that begin so
                return project
    raise NotFoundError("project")


async def _members(session: AsyncSession, slug: str) -> list[Member]:
    members: list[Member] = []
    while page := await MemberStore(session).page(slug, members[-1].user if members else "", _PAGE):
        members += page
    return members
