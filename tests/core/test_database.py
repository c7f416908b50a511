"""The two kinds of session: what a read may see, what a write holds, and when a write is tried again."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import nullcontext
from datetime import UTC, datetime, timedelta, timezone

import pytest
from sqlalchemy import select, text, update
from sqlalchemy.exc import IntegrityError, InternalError, OperationalError, StatementError
from sqlalchemy.ext.asyncio import AsyncSession

from jupyterhub_collab.access.models import Role
from jupyterhub_collab.database import TRIES, Database
from jupyterhub_collab.errors import BusyError
from jupyterhub_collab.projects.schema import MemberRow, ProjectRow
from tests.support.databases import scalar, snapshot
from tests.support.postgres import PostgresCluster
from tests.support.world import SLUG, World


async def rename(session: AsyncSession) -> None:
    await session.execute(update(ProjectRow).values(title="Renamed"))


async def title(database: Database) -> str:
    return str(await scalar(database, "SELECT title FROM projects"))


@pytest.fixture
async def other(database_url: str) -> AsyncIterator[Database]:
    """Another process's view of the same database."""
    made = Database(database_url, pool_size=2)
    yield made
    await made.close()


async def test_a_read_changes_nothing(world: World) -> None:
    database = world.factory.database
    before = await snapshot(database)
    with nullcontext() if database.is_sqlite else pytest.raises(InternalError, match="read-only"):
        await database.read(rename)
    assert await snapshot(database) == before


async def test_reads_keep_what_the_driver_has_prepared(postgres: PostgresCluster) -> None:
    database = Database(postgres.url(postgres.create()))
    for _ in range(10):
        await scalar(database, "SELECT 1")
    assert await scalar(database, "SELECT count(*) FROM pg_prepared_statements WHERE statement = 'SELECT 1'") == 1
    await database.close()


async def test_connections_that_the_server_has_ended_are_replaced(postgres: PostgresCluster) -> None:
    url = postgres.url(postgres.create())
    database, other = Database(url), Database(url)
    await asyncio.gather(*(scalar(database, "SELECT pg_sleep(0.1)") for _ in range(3)))
    end = "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE pid <> pg_backend_pid()"
    assert await scalar(other, end + " AND datname = current_database()") == 3
    for _ in range(6):
        assert await scalar(database, "SELECT 1") == 1
    await database.close()
    await other.close()


async def test_a_read_sees_one_state(world: World, other: Database) -> None:
    """Two queries of one read agree, whatever is saved between them."""

    async def twice(session: AsyncSession) -> tuple[str | None, str | None]:
        query = select(ProjectRow.title)
        first = await session.scalar(query)
        await other.write(rename)
        return first, await session.scalar(query)

    first, second = await world.factory.database.read(twice)
    assert first == second
    assert await title(world.factory.database) == "Renamed"


async def test_a_failed_write_leaves_nothing(world: World) -> None:
    async def half(session: AsyncSession) -> None:
        await rename(session)
        raise RuntimeError

    before = await snapshot(world.factory.database)
    with pytest.raises(RuntimeError):
        await world.factory.database.write(half)
    assert await snapshot(world.factory.database) == before


async def test_a_second_write_waits_for_the_first(world: World, other: Database) -> None:
    """Both count and then add: the second must count what the first added."""
    order: list[str] = []

    async def add(session: AsyncSession, name: str) -> None:
        await session.scalar(select(ProjectRow).where(ProjectRow.slug == SLUG).with_for_update())
        order.append(f"{name} holds")
        await asyncio.sleep(0.1)
        order.append(f"{name} lets go")

    await asyncio.gather(
        world.factory.database.write(lambda session: add(session, "one")),
        other.write(lambda session: add(session, "two")),
    )
    assert [step.split()[1] for step in order] == ["holds", "lets", "holds", "lets"]


async def test_what_the_database_refuses_for_a_moment_is_tried_again_as_a_whole(world: World) -> None:
    tries: list[int] = []

    async def unlucky(session: AsyncSession) -> str:
        await rename(session)
        tries.append(1)
        if len(tries) < TRIES:
            raise locked(world.factory.database)
        return "saved"

    assert await world.factory.database.write(unlucky) == "saved"
    assert len(tries) == TRIES
    assert await title(world.factory.database) == "Renamed"


async def test_after_five_tries_it_says_so(world: World) -> None:
    tries: list[int] = []

    async def hopeless(session: AsyncSession) -> None:
        await rename(session)
        tries.append(1)
        raise locked(world.factory.database)

    with pytest.raises(BusyError):
        await world.factory.database.write(hopeless)
    assert len(tries) == TRIES == 5
    assert await title(world.factory.database) != "Renamed"


def locked(database: Database) -> StatementError:
    """Return what the driver raises where another transaction was first."""
    original = Exception("database is locked") if database.is_sqlite else Exception("deadlock detected")
    original.sqlstate = "40P01"  # type: ignore[attr-defined]
    return OperationalError("UPDATE", {}, original)


async def test_other_faults_are_not_tried_again(world: World) -> None:
    tries: list[int] = []

    async def wrong(session: AsyncSession) -> None:
        tries.append(1)
        await session.execute(text("INSERT INTO pins (person, project) VALUES ('ghost', 'ghost')"))

    with pytest.raises(IntegrityError):
        await world.factory.database.write(wrong)
    assert len(tries) == 1


async def test_a_real_deadlock_is_survived(world: World, other: Database) -> None:
    """Two writes that take two projects in opposite order; the database ends one of them, which then runs again."""
    await world.create("other")
    met = asyncio.Barrier(2)

    async def both(session: AsyncSession, first: str, second: str, tries: list[int]) -> None:
        tries.append(1)
        for slug in (first, second):
            await session.scalar(select(ProjectRow.slug).where(ProjectRow.slug == slug).with_for_update())
            if len(tries) == 1 and not world.factory.database.is_sqlite and slug == first:
                await met.wait()

    one: list[int] = []
    two: list[int] = []
    await asyncio.gather(
        world.factory.database.write(lambda s: both(s, SLUG, "other", one)),
        other.write(lambda s: both(s, "other", SLUG, two)),
    )
    assert len(one) + len(two) == (2 if world.factory.database.is_sqlite else 3)


# Columns --------------------------------------------------------------------------------------------------


async def test_instants_come_back_with_their_zone(world: World) -> None:
    elsewhere = datetime(2026, 11, 21, 14, 30, tzinfo=timezone(timedelta(hours=2)))
    await world.factory.database.write(lambda s: s.execute(update(ProjectRow).values(created_at=elsewhere)))
    project = (await world.factory.projects.get("lead", SLUG)).project
    assert project.created_at == elsewhere
    assert project.created_at.tzinfo is UTC


async def test_an_instant_without_a_zone_is_refused(world: World) -> None:
    naive = datetime(2026, 11, 21)  # noqa: DTZ001 - that is what is refused
    with pytest.raises(StatementError, match="no instant"):
        await world.factory.database.write(lambda s: s.execute(update(ProjectRow).values(created_at=naive)))


async def test_roles_are_stored_in_their_order(world: World) -> None:
    query = select(MemberRow.person).where(MemberRow.role >= Role.EDITOR).order_by(MemberRow.role.desc())
    assert list(await world.factory.database.read(lambda s: s.scalars(query))) == ["lead", "editor"]


async def test_foreign_keys_hold(world: World) -> None:
    with pytest.raises(IntegrityError):
        await world.factory.database.write(
            lambda s: s.execute(text("INSERT INTO pins (person, project) VALUES ('lead', 'nowhere')"))
        )
