"""Tables of what running servers were granted."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import JSON, BigInteger, Float, ForeignKey, Index, Integer, String, text
from sqlalchemy.orm import Mapped, mapped_column

from jupyterhub_collab.tables import Table, UtcDateTime, Word, key
from jupyterhub_collab.volumes.models import Mode, VolumeKind


class GrantRow(Table):
    """A plan that was granted; open while its server may run."""

    __tablename__ = "granted_plans"

    id: Mapped[int] = mapped_column(BigInteger().with_variant(Integer, "sqlite"), primary_key=True, autoincrement=True)
    person: Mapped[str] = mapped_column(ForeignKey("persons.name", ondelete="CASCADE"))
    server_name: Mapped[str] = mapped_column(key(30))
    project: Mapped[str | None] = mapped_column(key(30))
    environment: Mapped[str] = mapped_column(String(63))
    resource_class: Mapped[str] = mapped_column(String(63))
    cpu: Mapped[float] = mapped_column(Float)
    memory: Mapped[int] = mapped_column(BigInteger)
    plan: Mapped[dict[str, Any]] = mapped_column(JSON)
    granted_at: Mapped[datetime] = mapped_column(UtcDateTime)
    ended_at: Mapped[datetime | None] = mapped_column(UtcDateTime)

    __table_args__ = (
        Index(
            "uq_granted_plans_open",
            "person",
            "server_name",
            unique=True,
            postgresql_where=text("ended_at IS NULL"),
            sqlite_where=text("ended_at IS NULL"),
        ),
        Index(
            "ix_granted_plans_open_project",
            "project",
            postgresql_where=text("ended_at IS NULL"),
            sqlite_where=text("ended_at IS NULL"),
        ),
        Index(None, "person", "id"),
        Index(None, "project", "person", "id"),
    )


class GrantedMountRow(Table):
    """One reason for one mount within reach of a running server: a path may be there through several projects.

    Within reach is also what the person's other servers had while it ran; see `ServerStore.add`.
    Gone when the grant is closed, so that enforcement reads what runs and not what ever ran.
    """

    __tablename__ = "granted_mounts"

    grant: Mapped[int] = mapped_column("grant_id", ForeignKey("granted_plans.id", ondelete="CASCADE"), primary_key=True)
    path: Mapped[str] = mapped_column(key(300), primary_key=True)
    project: Mapped[str] = mapped_column(key(30), primary_key=True)
    # As in the grant: enforcement looks up roles without reading the grant
    person: Mapped[str] = mapped_column(key(255))
    kind: Mapped[VolumeKind] = mapped_column(Word(VolumeKind))
    data: Mapped[str | None] = mapped_column(key(63))
    mode: Mapped[Mode] = mapped_column(Word(Mode))

    __table_args__ = (
        Index(None, "project"),
        Index(
            "ix_granted_mounts_public",
            "grant_id",
            postgresql_where=text("kind = 'public'"),
            sqlite_where=text("kind = 'public'"),
        ),
    )


class ServerStopRow(Table):
    """A lead's wish that a project server which was granted before an instant ends."""

    __tablename__ = "server_stops"

    project: Mapped[str] = mapped_column(ForeignKey("projects.slug", ondelete="CASCADE"), primary_key=True)
    person: Mapped[str] = mapped_column(ForeignKey("persons.name", ondelete="CASCADE"), primary_key=True)
    up_to_grant: Mapped[int] = mapped_column(BigInteger)
    asked_by: Mapped[str] = mapped_column(String(255))
    at: Mapped[datetime] = mapped_column(UtcDateTime)
