"""Tables of projects, members, group grants, invitations and join requests."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import BigInteger, ForeignKey, Index, Integer, String, Text, text
from sqlalchemy.orm import Mapped, mapped_column

from jupyterhub_collab.access.models import Role, Visibility
from jupyterhub_collab.tables import RankedRole, Table, UtcDateTime, Word, key
from jupyterhub_collab.volumes.models import Mode

from .models import InvitationState, JoinRequestState, ProjectState

_ID = BigInteger().with_variant(Integer, "sqlite")


class SlugRow(Table):
    """Every slug that was ever given. Rows stay when their project goes: a slug is never reused."""

    __tablename__ = "slugs"

    slug: Mapped[str] = mapped_column(key(30), primary_key=True)
    given: Mapped[datetime] = mapped_column(UtcDateTime)


class ProjectRow(Table):
    """A project. The slug is permanent, so it is the key."""

    __tablename__ = "projects"

    slug: Mapped[str] = mapped_column(ForeignKey("slugs.slug"), primary_key=True)
    title: Mapped[str] = mapped_column(String(120))
    description: Mapped[str] = mapped_column(String(300), default="")
    readme: Mapped[str] = mapped_column(Text, default="")
    visibility: Mapped[Visibility] = mapped_column(Word(Visibility))
    state: Mapped[ProjectState] = mapped_column(Word(ProjectState), default=ProjectState.ACTIVE)
    environment: Mapped[str] = mapped_column(String(63))
    resource_class: Mapped[str] = mapped_column(String(63))
    version: Mapped[int] = mapped_column(default=1)
    created_by: Mapped[str] = mapped_column(ForeignKey("persons.name"))
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)
    last_activity: Mapped[datetime] = mapped_column(UtcDateTime)
    deleted_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    deleted_by: Mapped[str | None] = mapped_column(String(255))
    size: Mapped[int | None] = mapped_column(BigInteger)
    volume_size: Mapped[int | None] = mapped_column(BigInteger)

    __table_args__ = (
        Index(
            "ix_projects_directory",
            "last_activity",
            "slug",
            postgresql_where=text("deleted_at IS NULL AND state = 'active'"),
            sqlite_where=text("deleted_at IS NULL AND state = 'active'"),
        ),
        Index(None, "title", "slug"),
        Index(None, "created_by"),
        Index(None, "deleted_at", postgresql_where=text("deleted_at IS NOT NULL")),
        Index(
            "ix_projects_closed",
            "slug",
            postgresql_include=["deleted_at", "state"],
            postgresql_where=text("deleted_at IS NOT NULL OR state = 'archived'"),
            sqlite_where=text("deleted_at IS NOT NULL OR state = 'archived'"),
        ),
    )


class ProjectWordRow(Table):
    """A word of a project's title, description or README, for the directory's search."""

    __tablename__ = "project_words"

    word: Mapped[str] = mapped_column(key(40), primary_key=True)
    project: Mapped[str] = mapped_column(ForeignKey("projects.slug", ondelete="CASCADE"), primary_key=True)

    __table_args__ = (Index(None, "project", "word"),)


class MemberRow(Table):
    """A person with a role of their own in a project."""

    __tablename__ = "members"

    project: Mapped[str] = mapped_column(ForeignKey("projects.slug", ondelete="CASCADE"), primary_key=True)
    person: Mapped[str] = mapped_column(ForeignKey("persons.name", ondelete="CASCADE"), primary_key=True)
    role: Mapped[Role] = mapped_column(RankedRole)
    via: Mapped[str] = mapped_column(String(300))
    since: Mapped[datetime] = mapped_column(UtcDateTime)

    __table_args__ = (Index(None, "person", "project", postgresql_include=["role"]), Index(None, "project", "role"))


class GroupGrantRow(Table):
    """An identity group with a role in a project."""

    __tablename__ = "group_grants"

    project: Mapped[str] = mapped_column(ForeignKey("projects.slug", ondelete="CASCADE"), primary_key=True)
    group: Mapped[str] = mapped_column("group_name", key(255), primary_key=True)
    role: Mapped[Role] = mapped_column(RankedRole)
    granted_by: Mapped[str] = mapped_column(String(255))
    since: Mapped[datetime] = mapped_column(UtcDateTime)

    __table_args__ = (Index(None, "group_name", "project", postgresql_include=["role"]),)


class PinRow(Table):
    """A project that a person wants in their workspace server."""

    __tablename__ = "pins"

    person: Mapped[str] = mapped_column(ForeignKey("persons.name", ondelete="CASCADE"), primary_key=True)
    project: Mapped[str] = mapped_column(ForeignKey("projects.slug", ondelete="CASCADE"), primary_key=True)

    __table_args__ = (Index(None, "project"),)


class InvitationRow(Table):
    """An offer of a role, to a person or by a link."""

    __tablename__ = "invitations"

    id: Mapped[int] = mapped_column(_ID, primary_key=True, autoincrement=True)
    project: Mapped[str] = mapped_column(ForeignKey("projects.slug", ondelete="CASCADE"))
    role: Mapped[Role] = mapped_column(RankedRole)
    person: Mapped[str | None] = mapped_column(ForeignKey("persons.name", ondelete="CASCADE"))
    code_hash: Mapped[str | None] = mapped_column(key(64), unique=True)
    code_hint: Mapped[str | None] = mapped_column(String(8))
    invited_by: Mapped[str] = mapped_column(String(255))
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)
    expires_at: Mapped[datetime] = mapped_column(UtcDateTime)
    uses: Mapped[int] = mapped_column(default=1)
    uses_left: Mapped[int] = mapped_column(default=1)
    state: Mapped[InvitationState] = mapped_column(Word(InvitationState), default=InvitationState.OPEN)

    __table_args__ = (
        Index(None, "project", "id"),
        Index(None, "person", "id"),
        Index(
            "uq_invitations_open_person",
            "project",
            "person",
            unique=True,
            postgresql_where=text("state = 'open' AND person IS NOT NULL"),
            sqlite_where=text("state = 'open' AND person IS NOT NULL"),
        ),
    )


class ReservationRow(Table):
    """A use of a link that an account was let in by and has not answered yet; so one use lets in one account.

    The account may not have logged in, so that the core does not know it.
    """

    __tablename__ = "invitation_reservations"

    invitation: Mapped[int] = mapped_column(ForeignKey("invitations.id", ondelete="CASCADE"), primary_key=True)
    name: Mapped[str] = mapped_column(key(255), primary_key=True)
    at: Mapped[datetime] = mapped_column(UtcDateTime)

    __table_args__ = (Index(None, "name"),)


class JoinRequestRow(Table):
    """A person who asks to join a project."""

    __tablename__ = "join_requests"

    id: Mapped[int] = mapped_column(_ID, primary_key=True, autoincrement=True)
    project: Mapped[str] = mapped_column(ForeignKey("projects.slug", ondelete="CASCADE"))
    person: Mapped[str] = mapped_column(ForeignKey("persons.name", ondelete="CASCADE"))
    message: Mapped[str] = mapped_column(String(500), default="")
    state: Mapped[JoinRequestState] = mapped_column(Word(JoinRequestState), default=JoinRequestState.OPEN)
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)
    decided_by: Mapped[str | None] = mapped_column(String(255))
    decided_at: Mapped[datetime | None] = mapped_column(UtcDateTime)

    __table_args__ = (
        Index(None, "project", "state", "id"),
        Index(None, "person", "state", "id"),
        Index(
            "uq_join_requests_open",
            "project",
            "person",
            unique=True,
            postgresql_where=text("state = 'open'"),
            sqlite_where=text("state = 'open'"),
        ),
    )


class DataAttachmentRow(Table):
    """A curated data volume attached to a project."""

    __tablename__ = "data_attachments"

    project: Mapped[str] = mapped_column(ForeignKey("projects.slug", ondelete="CASCADE"), primary_key=True)
    name: Mapped[str] = mapped_column(key(63), primary_key=True)
    mode: Mapped[Mode] = mapped_column(Word(Mode))
    attached_by: Mapped[str] = mapped_column(String(255))
    since: Mapped[datetime] = mapped_column(UtcDateTime)
