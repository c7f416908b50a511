"""Tables of persons and identity groups."""

from __future__ import annotations

from datetime import datetime
from typing import Final

from sqlalchemy import ForeignKey, Index, String, Text, text
from sqlalchemy.orm import Mapped, mapped_column

from jupyterhub_collab.tables import Table, UtcDateTime, Word, key

from .models import Kind

REMOVED: Final = text("(gone_at IS NOT NULL OR holder > 1)")


class PersonRow(Table):
    """A person. The account name is the key: it stands in paths, pages and events."""

    __tablename__ = "persons"

    name: Mapped[str] = mapped_column(key(255), primary_key=True)
    display_name: Mapped[str] = mapped_column(String(255), default="")
    # Lower-case copies that people search looks at
    search_name: Mapped[str] = mapped_column(key(255))
    search_display_name: Mapped[str] = mapped_column(key(255), default="")
    kind: Mapped[Kind] = mapped_column(Word(Kind))
    first_seen: Mapped[datetime] = mapped_column(UtcDateTime)
    last_seen: Mapped[datetime] = mapped_column(UtcDateTime)
    # Once removed, the row stays for what names the person; a later holder of the account name is another one
    gone_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    holder: Mapped[int] = mapped_column(default=1)

    __table_args__ = (
        Index(None, "search_name", "name"),
        Index(None, "search_display_name", "name"),
        # The few who were removed, and whose name somebody has after them
        Index("ix_persons_removed", "name", postgresql_where=REMOVED, sqlite_where=REMOVED),
    )


class PersonGroupRow(Table):
    """A person in an identity group."""

    __tablename__ = "person_groups"

    group: Mapped[str] = mapped_column("group_name", key(255), primary_key=True)
    person: Mapped[str] = mapped_column(ForeignKey("persons.name", ondelete="CASCADE"), primary_key=True)

    __table_args__ = (Index(None, "person", "group_name"),)


class GroupLossRow(Table):
    """A person who left a group at a login or refresh, kept for an hour: many at once mean a broken claim."""

    __tablename__ = "group_losses"

    group: Mapped[str] = mapped_column("group_name", key(255), primary_key=True)
    person: Mapped[str] = mapped_column(key(255), primary_key=True)
    at: Mapped[datetime] = mapped_column(UtcDateTime)


class GroupPauseRow(Table):
    """A group whose losses are not applied until the operator says that they are meant."""

    __tablename__ = "group_pauses"

    group: Mapped[str] = mapped_column("group_name", key(255), primary_key=True)
    since: Mapped[datetime] = mapped_column(UtcDateTime)
    reason: Mapped[str] = mapped_column(Text)
    meant_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
