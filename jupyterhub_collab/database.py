"""The core's database: one engine, and two kinds of session.

A *read* sees one state and changes nothing. A *write* holds the lock from its first statement (``BEGIN IMMEDIATE`` on
SQLite; on PostgreSQL the caller locks the project's row), checks its rules under it, awaits only the database, and
is retried as a whole. Read-then-write without the lock loses rules silently: two leads who demote each other at once
both see the other as lead.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import random
import select
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from contextlib import asynccontextmanager
from contextvars import ContextVar
from typing import Any, Concatenate, Final, ParamSpec, Protocol, TypeVar, cast

from sqlalchemy import Connection, event, make_url
from sqlalchemy.exc import DBAPIError, DisconnectionError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncSession, create_async_engine

from . import metrics
from .errors import BusyError

TRIES: Final = 5
_WRITE: Final = "jupyterhub_collab_write"
_MEMORY: Final = "jupyterhub_collab_memory"
_SNAPSHOT: Final[dict[str, Any]] = {"isolation_level": "REPEATABLE READ", "postgresql_readonly": True}
# https://www.postgresql.org/docs/current/errcodes-appendix.html: serialization_failure, deadlock_detected
_RETRY_STATES: Final = frozenset({"40001", "40P01"})

P = ParamSpec("P")
T = TypeVar("T")


class UsesDatabase(Protocol):
    """What `reads` and `writes` need of a service."""

    _database: Database


S = TypeVar("S", bound=UsesDatabase)


_one_state: ContextVar[tuple[Database | None, AsyncSession | None]] = ContextVar("one_state", default=(None, None))


def memory(session: AsyncSession) -> dict[Any, Any]:
    """Return a place for what was found out in a block of `Database.one_state`; outside of one nothing is kept."""
    kept: dict[Any, Any] = session.info.get(_MEMORY, {})
    return kept


def _prepare_sqlite(connection: Any, _record: object) -> None:
    connection.isolation_level = None  # we say BEGIN ourselves; the driver would say it too late
    cursor = connection.cursor()
    for pragma in ("journal_mode=WAL", "synchronous=NORMAL", "foreign_keys=ON", "busy_timeout=5000"):
        cursor.execute(f"PRAGMA {pragma}")
    cursor.close()


def _begin_sqlite(connection: Connection) -> None:
    write = connection.get_execution_options().get(_WRITE, False)
    connection.exec_driver_sql("BEGIN IMMEDIATE" if write else "BEGIN")


def _prepare_postgresql(connection: Any, _record: object) -> None:
    connection.autocommit = True
    with contextlib.closing(connection.cursor()) as cursor:
        cursor.execute("SET jit = off")  # to compile a query of ours takes longer than to run it
    connection.autocommit = False


def _refuse_ended(connection: Any, _record: object, _proxy: object) -> None:
    """Have the pool replace a connection that the server has ended: it holds the news unread.

    To ask the server itself, as the pool's own check does, takes each session a round trip more.
    """
    driver = connection.driver_connection
    if driver.closed or _has_something_to_read(driver):
        raise DisconnectionError


def _has_something_to_read(driver: Any) -> bool:
    poll = select.poll()  # `select.select` takes no descriptor above 1023
    poll.register(driver, select.POLLIN)
    return bool(poll.poll(0))


def _may_retry(error: DBAPIError) -> bool:
    return getattr(error.orig, "sqlstate", None) in _RETRY_STATES or "database is locked" in str(error.orig)


class Database:
    """The core's database."""

    def __init__(self, url: str, *, pool_size: int = 5) -> None:
        self.url = make_url(url)
        self.is_sqlite = self.url.get_backend_name() == "sqlite"
        options: dict[str, Any] = {} if self.is_sqlite else {"pool_size": pool_size}
        self.engine = create_async_engine(self.url, **options)
        if self.is_sqlite:
            event.listen(self.engine.sync_engine, "connect", _prepare_sqlite)
            event.listen(self.engine.sync_engine, "begin", _begin_sqlite)
        else:
            event.listen(self.engine.sync_engine, "connect", _prepare_postgresql)
            event.listen(self.engine.sync_engine, "checkout", _refuse_ended)
        self._writer = self.engine.execution_options(**{_WRITE: True})
        # A page asks several queries and puts their answers together; PostgreSQL lets each see another state by default
        self._reader = self.engine if self.is_sqlite else self.engine.execution_options(**_SNAPSHOT)

    async def close(self) -> None:
        """Close all connections."""
        await self.engine.dispose()

    @asynccontextmanager
    async def writing(self) -> AsyncIterator[AsyncConnection]:
        """Hold one connection in a transaction that has the write lock; for migrations."""
        async with self._writer.begin() as connection:
            yield connection

    async def read(self, work: Callable[[AsyncSession], Awaitable[T]]) -> T:
        """Run work in a session whose changes are thrown away."""
        database, shared = _one_state.get()
        if shared is not None and database is self:
            return await work(shared)
        async with self._reading() as session:
            return await work(session)

    @asynccontextmanager
    async def _reading(self) -> AsyncIterator[AsyncSession]:
        async with AsyncSession(self._reader, expire_on_commit=False, autoflush=False) as session:
            yield session
            if not self.is_sqlite:  # read-only there; and at a rollback the driver forgets all that it has prepared
                await session.commit()

    @asynccontextmanager
    async def one_state(self) -> AsyncIterator[None]:
        """Let all reads in this block see one state, through one connection; who may do what is asked only once.

        For pages, which put many answers together. It holds its connection, so nothing else is awaited in it.
        """
        if _one_state.get()[0] is self:
            yield
            return
        async with self._reading() as session:
            session.info[_MEMORY] = {}
            token = _one_state.set((self, session))
            try:
                yield
            finally:
                _one_state.reset(token)

    async def write(self, work: Callable[[AsyncSession], Awaitable[T]]) -> T:
        """Run work in one transaction and commit it; run it again as a whole where the database asks for that.

        Raises
        ------
        BusyError
            After five tries. Nothing was saved.
        """
        for attempt in range(1, TRIES + 1):
            try:
                async with AsyncSession(self._writer, expire_on_commit=False) as session, session.begin():
                    return await work(session)
            except DBAPIError as error:
                if not _may_retry(error):
                    raise
                if attempt == TRIES:
                    metrics.GIVEN_UP.inc()
                    raise BusyError from error
                metrics.RETRIES.inc()
            await asyncio.sleep(random.uniform(0.005, 0.02) * 2**attempt)  # noqa: S311 - jitter, not a secret
        raise AssertionError


def reads(
    method: Callable[Concatenate[S, AsyncSession, P], Awaitable[T]],
) -> Callable[Concatenate[S, P], Coroutine[Any, Any, T]]:
    """Give a service's method a read session as its first argument."""

    @functools.wraps(method)
    async def wrapper(self: S, *args: P.args, **kwargs: P.kwargs) -> T:
        return await self._database.read(lambda session: method(self, session, *args, **kwargs))

    return cast("Callable[Concatenate[S, P], Coroutine[Any, Any, T]]", wrapper)


def writes(
    method: Callable[Concatenate[S, AsyncSession, P], Awaitable[T]],
) -> Callable[Concatenate[S, P], Coroutine[Any, Any, T]]:
    """Give a service's method a write session as its first argument; the method may run more than once."""

    @functools.wraps(method)
    async def wrapper(self: S, *args: P.args, **kwargs: P.kwargs) -> T:
        return await self._database.write(lambda session: method(self, session, *args, **kwargs))

    return cast("Callable[Concatenate[S, P], Coroutine[Any, Any, T]]", wrapper)
