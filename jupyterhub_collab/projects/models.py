"""Projects, members, invitations and join requests as plain data."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from typing import Generic, TypeVar

from pydantic import BaseModel, ConfigDict

from jupyterhub_collab.access.models import Role, Visibility

M = TypeVar("M")


class ProjectState(StrEnum):
    """Whether a project is worked in."""

    ACTIVE = "active"
    ARCHIVED = "archived"


class InvitationState(StrEnum):
    """What became of an invitation."""

    OPEN = "open"
    ACCEPTED = "accepted"
    DECLINED = "declined"
    REVOKED = "revoked"


class JoinRequestState(StrEnum):
    """What became of a join request."""

    OPEN = "open"
    APPROVED = "approved"
    DECLINED = "declined"
    WITHDRAWN = "withdrawn"


class _Data(BaseModel):
    model_config = ConfigDict(frozen=True)


class Page(_Data, Generic[M]):
    """Some items of a list and the cursor of the next ones."""

    items: list[M]
    next: str | None = None


class Project(_Data):
    """A named place of a group."""

    slug: str
    title: str
    description: str
    readme: str
    visibility: Visibility
    state: ProjectState
    my_role: Role | None = None
    environment: str
    resource_class: str
    created_at: datetime
    created_by: str | None
    """Null for those who may not see who the members are."""
    last_activity: datetime
    deleted_at: datetime | None = None
    version: int
    size: int | None = None
    """Bytes in the project folder, as last measured."""
    volume_size: int | None = None
    """Bytes that its volume has room for, where an operator gave it more than projects usually have (Kubernetes)."""

    @property
    def etag(self) -> str:
        """The entity tag of this version (RFC 9110, section 8.8.3)."""
        return f'"{self.version}"'


class ProjectSummary(_Data):
    """What a list shows of a project."""

    slug: str
    title: str
    description: str
    visibility: Visibility
    state: ProjectState
    my_role: Role | None = None
    via: str | None = None
    """The group through which I am a member, where my role comes from one."""
    members: int | None = None
    last_activity: datetime
    size: int | None = None


class Member(_Data):
    """A person with a role in a project, or invited to one."""

    user: str
    display_name: str = ""
    role: Role
    via: str
    """Where the role comes from: ``made the project``, ``invitation from <name>``, ``group <name>`` and so on."""
    since: datetime
    last_seen: datetime | None = None
    server_started: datetime | None = None
    """Since when the person's server for this project runs; null where none does."""
    removal_pending: bool = False
    """The person's server still holds more than they may have now and is being stopped."""


class GroupGrant(_Data):
    """An identity group with a role in a project."""

    group: str
    role: Role
    granted_by: str
    since: datetime
    people: int


class Invitation(_Data):
    """An offer of a role."""

    id: int
    project: str
    title: str = ""
    role: Role
    user: str | None = None
    """The person invited; null for a link."""
    hint: str | None = None
    """First block of a link's code."""
    invited_by: str
    created_at: datetime
    expires_at: datetime
    uses: int
    uses_left: int
    state: InvitationState

    @property
    def target(self) -> str:
        """Who or what is invited, in the words of audit events."""
        return self.user or f"link {self.hint}…"


class NewInvitation(Invitation):
    """An invitation just made: the only time that a link's code is known."""

    code: str | None = None


class JoinRequest(_Data):
    """Someone who asks to join."""

    id: int
    project: str
    title: str = ""
    user: str
    message: str
    state: JoinRequestState
    created_at: datetime
