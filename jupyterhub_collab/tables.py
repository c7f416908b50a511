"""What all tables share: the metadata with its naming rule, and the column types that the two databases differ in."""

from __future__ import annotations

from datetime import UTC, datetime
from enum import StrEnum
from typing import Any, TypeVar

import sqlalchemy
from sqlalchemy import ColumnElement, DateTime, Dialect, MetaData, SmallInteger, String, TypeDecorator, and_
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import DeclarativeBase

from .access.models import Role


class Table(DeclarativeBase):
    """Base of every table."""

    metadata = MetaData(
        naming_convention={
            "ix": "ix_%(table_name)s_%(column_0_N_name)s",
            "uq": "uq_%(table_name)s_%(column_0_N_name)s",
            "fk": "fk_%(table_name)s_%(column_0_N_name)s",
            "pk": "pk_%(table_name)s",
        }
    )


def plain(table: type[Table]) -> sqlalchemy.Table:
    """Return a table without its class: through that, each statement of a start costs the Hub twice the time."""
    return table.metadata.tables[table.__tablename__]


def key(length: int) -> String:
    """Return the type of a text that rows are found by: it compares by its bytes and not by a language.

    PostgreSQL then finds the beginning of a name in an ordinary index, takes half the time to compare, and needs no new
    index when the machine's language data changes. SQLite compares so anyway.
    """
    return String(length).with_variant(String(length, collation="C"), "postgresql")


def starts_with(column: Any, text: str) -> ColumnElement[bool]:
    """Return whether a `key` column starts with a text, in the way that an index answers whatever the text."""
    return and_(column >= text, column < text + "\U0010ffff")


class UtcDateTime(TypeDecorator[datetime]):
    """An instant. Stored with its zone on PostgreSQL and as naive UTC on SQLite; always aware in Python."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """Refuse naive values: they have no instant."""
        if value is None:
            return None
        if value.tzinfo is None:
            msg = "a naive datetime has no instant"
            raise ValueError(msg)
        value = value.astimezone(UTC)
        return value.replace(tzinfo=None) if dialect.name == "sqlite" else value

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:  # noqa: ARG002
        """Return an aware value in UTC."""
        if value is None:
            return None
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


class RankedRole(TypeDecorator[Role]):
    """A role, stored as its rank so that the database can tell the higher of two."""

    impl = SmallInteger
    cache_ok = True

    def process_bind_param(self, value: Role | None, dialect: Dialect) -> int | None:  # noqa: ARG002
        """Return the rank."""
        return None if value is None else Role(value).rank

    def process_result_value(self, value: int | None, dialect: Dialect) -> Role | None:  # noqa: ARG002
        """Return the role."""
        return None if value is None else Role.from_rank(value)


E = TypeVar("E", bound=StrEnum)


class Word(TypeDecorator[E]):
    """A member of an enumeration, stored as its word, so that a new member needs no migration."""

    impl = String(20)
    cache_ok = True

    def __init__(self, enumeration: type[E]) -> None:
        super().__init__()
        self.enumeration = enumeration

    def process_bind_param(self, value: E | None, dialect: Dialect) -> str | None:  # noqa: ARG002
        """Return the word."""
        return None if value is None else self.enumeration(value).value

    def process_result_value(self, value: Any, dialect: Dialect) -> E | None:  # noqa: ARG002
        """Return the member."""
        return None if value is None else self.enumeration(value)


def insert_or(session: AsyncSession, table: type[Table]) -> Any:
    """Return an INSERT that can say what happens where the row is there already (``on_conflict_do_…``)."""
    make = sqlite.insert if session.get_bind().dialect.name == "sqlite" else postgresql.insert
    return make(table)
