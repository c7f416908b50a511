from __future__ import annotations

import asyncio
import json
import multiprocessing
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from jupyterhub.orm import Base as HubBase
from sqlalchemy import Connection, inspect, text

from jupyterhub_collab.database import Database
from jupyterhub_collab.errors import DatabaseError
from jupyterhub_collab.migrations import VERSION_TABLE, config, revision, upgrade
from jupyterhub_collab.schema import metadata
from tests.support.databases import sqlite_url
from tests.support.postgres import PostgresCluster


@pytest.fixture
def empty_url(backend: str, tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[str]:
    """The address of a database in which there is nothing."""
    if backend == "sqlite":
        yield sqlite_url(tmp_path / "empty.sqlite")
        return
    cluster: PostgresCluster = request.getfixturevalue("postgres")
    with cluster.database() as url:
        yield url


async def on(url: str, work: Any) -> Any:
    """Run something on a connection of its own."""
    database = Database(url)
    try:
        async with database.writing() as connection:
            return await connection.run_sync(work)
    finally:
        await database.close()


async def upgraded(url: str) -> None:
    database = Database(url)
    try:
        await upgrade(database)
    finally:
        await database.close()


def tables(connection: Connection) -> set[str]:
    return set(inspect(connection).get_table_names())


async def test_an_empty_database_gets_every_table(empty_url: str) -> None:
    await upgraded(empty_url)
    assert await on(empty_url, tables) == {*metadata.tables, VERSION_TABLE}
    present, needed = await on(empty_url, revision)
    assert present == needed != ""
    await upgraded(empty_url)
    assert await on(empty_url, revision) == (present, needed)


async def test_migrations_make_what_the_models_say(empty_url: str) -> None:
    await upgraded(empty_url)

    def drift(connection: Connection) -> list[Any]:
        options = {"version_table": VERSION_TABLE, "compare_type": True}
        return list(compare_metadata(MigrationContext.configure(connection, opts=options), metadata))

    assert await on(empty_url, drift) == []


async def test_partial_indexes_are_the_same_as_in_the_models(empty_url: str) -> None:
    """The drift check does not look at their conditions, and two of them keep a rule."""
    await upgraded(empty_url)

    def unique(connection: Connection) -> dict[str, str]:
        inspector = inspect(connection)
        return {
            str(index["name"]): str(options[where])
            for table in metadata.tables
            for index in inspector.get_indexes(table)
            if index["unique"]
            for options in [index.get("dialect_options", {})]
            for where in options
            if where.endswith("_where")
        }

    found = await on(empty_url, unique)
    assert set(found) == {"uq_invitations_open_person", "uq_join_requests_open", "uq_granted_plans_open"}
    assert "open" in found["uq_join_requests_open"]


def _upgrade_when_told(url: str, start: Any, failed: Any) -> None:
    start.wait()
    try:
        asyncio.run(upgraded(url))
    except Exception as error:  # noqa: BLE001 - whatever it is, the test shall show it
        failed.put(repr(error))


def test_processes_that_start_at_once_agree(empty_url: str) -> None:
    context = multiprocessing.get_context("spawn")
    start, failed = context.Event(), context.Queue()
    processes = [context.Process(target=_upgrade_when_told, args=(empty_url, start, failed)) for _ in range(3)]
    for process in processes:
        process.start()
    start.set()
    for process in processes:
        process.join(60)
    assert failed.empty(), failed.get()
    assert [process.exitcode for process in processes] == [0, 0, 0]
    assert asyncio.run(on(empty_url, tables)) == {*metadata.tables, VERSION_TABLE}


async def test_the_hubs_own_database_is_refused_and_left_alone(empty_url: str) -> None:
    await on(empty_url, HubBase.metadata.create_all)
    before = await on(empty_url, tables)
    with pytest.raises(DatabaseError, match=r"JupyterHub's own database.*database\.url"):
        await upgraded(empty_url)
    assert await on(empty_url, tables) == before


async def test_a_database_of_a_newer_release_is_refused_and_left_alone(empty_url: str) -> None:
    await upgraded(empty_url)

    def forge(connection: Connection) -> None:
        connection.execute(text(f"UPDATE {VERSION_TABLE} SET version_num = 'from_the_future'"))  # noqa: S608 - a constant

    await on(empty_url, forge)
    with pytest.raises(DatabaseError, match=r"from_the_future.*newer release"):
        await upgraded(empty_url)
    assert (await on(empty_url, revision))[0] == "from_the_future"


async def test_a_failed_migration_leaves_nothing(empty_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(*_: object, **__: object) -> None:
        raise RuntimeError

    monkeypatch.setattr("alembic.runtime.migration.MigrationContext._ensure_version_table", fails)
    with pytest.raises(RuntimeError):
        await upgraded(empty_url)
    assert await on(empty_url, tables) == set()


async def test_the_version_table_is_not_the_hubs(empty_url: str) -> None:
    """Both use Alembic; with its default table the Hub would refuse to start."""
    await upgraded(empty_url)
    assert "alembic_version" not in await on(empty_url, tables)


_ROWS_OF_THE_FIRST_RELEASE = """
    INSERT INTO persons VALUES ('ada', 'Ada', 'ada', 'ada', 'person', :now, :now);
    INSERT INTO granted_plans (id, person, server_name, environment, resource_class, plan, granted_at, ended_at)
        VALUES (1, 'ada', '', 'default', 'small', :plan, :now, NULL),
               (2, 'ada', 'co2', 'default', 'small', :plan, :now, :now);
    INSERT INTO granted_mounts (grant_id, person, path, project, data, mode)
        VALUES (1, 'ada', '~/projects/co2', 'co2', NULL, 'read-write'),
               (1, 'ada', '/data/noaa', 'co2', 'noaa', 'read-only')
"""


def _first_release(connection: Connection) -> None:
    """Bring an empty database to the first release, with a server that runs and one that ended."""
    made = config()
    made.attributes["connection"] = connection
    command.upgrade(made, "0001")
    plan = json.dumps({"resource_class": {"cpu": 1.5, "memory": 16 * 1024**3}})
    for statement in _ROWS_OF_THE_FIRST_RELEASE.split(";"):
        connection.execute(text(statement), {"now": "2026-11-01 00:00:00", "plan": plan})


async def test_what_runs_through_the_upgrade_from_the_first_release_is_known_after_it(empty_url: str) -> None:
    await on(empty_url, _first_release)
    await upgraded(empty_url)

    def found(connection: Connection) -> list[Any]:
        queries = (
            "SELECT id, cpu, memory FROM granted_plans ORDER BY id",
            "SELECT path, kind FROM granted_mounts ORDER BY path",
            "SELECT name, gone_at, holder FROM persons",
        )
        return [[tuple(row) for row in connection.execute(text(query))] for query in queries]

    grants, mounts, persons = await on(empty_url, found)
    assert grants == [(1, 1.5, 16 * 1024**3), (2, 0, 0)]
    assert mounts == [("/data/noaa", "data"), ("~/projects/co2", "project")]
    assert persons == [("ada", None, 1)]
