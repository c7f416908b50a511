"""Databases for tests, on SQLite and on PostgreSQL: migrated and filled once a run, as new for each test."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

from sqlalchemy import select, text
from sqlalchemy.ext.asyncio import AsyncSession

from jupyterhub_collab.database import Database
from jupyterhub_collab.migrations import upgrade
from jupyterhub_collab.schema import metadata

from .postgres import PostgresCluster

Fill = Callable[[Database], Awaitable[None]]
Snapshot = dict[str, list[tuple[Any, ...]]]
_SET_SEQUENCE: Final = (
    "SELECT setval(pg_get_serial_sequence('{name}', 'id'), (SELECT coalesce(max(id), 1) FROM {name}))"
)


def prepare(url: str, fill: Fill = upgrade) -> None:
    """Do something to the database at an address; bring it to the present schema, if nothing else is said."""

    async def run() -> None:
        database = Database(url)
        await fill(database)
        await database.close()

    asyncio.run(run())


def sqlite_url(path: Path) -> str:
    """Return the address of a database file."""
    return f"sqlite+aiosqlite:///{path}"


class SqliteDatabases:
    """Copies of one migrated file, or of one that is filled too."""

    def __init__(self, folder: Path, fill: Fill) -> None:
        self._empty, self._filled = folder / "empty.sqlite", folder / "filled.sqlite"
        prepare(sqlite_url(self._empty))
        shutil.copyfile(self._empty, self._filled)
        prepare(sqlite_url(self._filled), fill)

    @contextmanager
    def lend(self, folder: Path, *, filled: bool) -> Iterator[str]:
        """Lend a database that no one else has."""
        copy = folder / "collab.sqlite"
        for suffix in ("-wal", "-shm"):
            copy.with_name(copy.name + suffix).unlink(missing_ok=True)
        shutil.copyfile(self._filled if filled else self._empty, copy)
        yield sqlite_url(copy)


class PostgresDatabases:
    """One migrated database, emptied before each use, with a copy of what it is filled with beside it."""

    def __init__(self, cluster: PostgresCluster, fill: Fill) -> None:
        self._name = cluster.create()
        self._url = cluster.url(self._name)
        prepare(self._url)
        prepare(self._url, fill)
        self._connection = cluster.connect(self._name)
        names = [table.name for table in metadata.sorted_tables]
        counted = [table.name for table in metadata.sorted_tables if table.autoincrement_column is not None]
        self._run("CREATE SCHEMA seed", *(f"CREATE TABLE seed.{name} AS TABLE {name}" for name in names))
        self._empty = [f"DELETE FROM {name}" for name in reversed(names)]  # noqa: S608 - names of our own tables
        self._fill = [f"INSERT INTO {name} TABLE seed.{name}" for name in names]
        self._fill += [_SET_SEQUENCE.format(name=name) for name in counted]

    def _run(self, *statements: str) -> None:
        self._connection.execute("; ".join(statements).encode())

    @contextmanager
    def lend(self, folder: Path, *, filled: bool) -> Iterator[str]:
        """Lend the database to one test."""
        self._run(*self._empty, *(self._fill if filled else ()))
        yield self._url

    def close(self) -> None:
        """Close the connection that fills it."""
        self._connection.close()


async def snapshot(database: Database, *, without: frozenset[str] = frozenset()) -> Snapshot:
    """Return every row of every table, so that two moments can be compared."""

    async def look(session: AsyncSession) -> Snapshot:
        tables = [table for table in metadata.sorted_tables if table.name not in without]
        return {
            table.name: sorted((tuple(row) for row in await session.execute(select(table))), key=repr)
            for table in tables
        }

    return await database.read(look)


async def scalar(database: Database, query: str, **values: object) -> Any:
    """Return the first value of a query."""

    async def look(session: AsyncSession) -> Any:
        return await session.scalar(text(query), values)

    return await database.read(look)
