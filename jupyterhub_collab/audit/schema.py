"""Table of audit events."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import JSON, BigInteger, Index, Integer
from sqlalchemy.orm import Mapped, mapped_column

from jupyterhub_collab.tables import Table, UtcDateTime, key


class EventRow(Table):
    """One change. No foreign keys: an event outlives what it speaks of."""

    __tablename__ = "audit_events"

    id: Mapped[int] = mapped_column(BigInteger().with_variant(Integer, "sqlite"), primary_key=True, autoincrement=True)
    at: Mapped[datetime] = mapped_column(UtcDateTime)
    actor: Mapped[str] = mapped_column(key(255))
    action: Mapped[str] = mapped_column(key(40))
    target: Mapped[str] = mapped_column(key(300))
    project: Mapped[str | None] = mapped_column(key(30))
    detail: Mapped[dict[str, Any]] = mapped_column(JSON, default=dict)

    __table_args__ = (
        Index(None, "project", "id"),
        Index(None, "actor", "id"),
        Index(None, "action", "id"),
        Index(None, "target", "id"),
    )
