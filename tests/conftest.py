from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from jupyterhub_collab.database import Database
from jupyterhub_collab.factory import Factory
from jupyterhub_collab.settings import Settings
from tests.support.databases import PostgresDatabases, SqliteDatabases
from tests.support.postgres import PostgresCluster, running_cluster
from tests.support.world import Clock, World, fill, make_settings

BACKENDS = ("sqlite", "postgresql")


@pytest.fixture(scope="session")
def postgres() -> Iterator[PostgresCluster]:
    """One PostgreSQL for the whole run."""
    with running_cluster() as cluster:
        yield cluster


@pytest.fixture(scope="session")
def sqlite_databases(tmp_path_factory: pytest.TempPathFactory) -> SqliteDatabases:
    return SqliteDatabases(tmp_path_factory.mktemp("sqlite"), fill)


@pytest.fixture(scope="session")
def postgresql_databases(postgres: PostgresCluster) -> Iterator[PostgresDatabases]:
    databases = PostgresDatabases(postgres, fill)
    yield databases
    databases.close()


@pytest.fixture(params=BACKENDS)
def backend(request: pytest.FixtureRequest) -> str:
    """Both databases, always."""
    return str(request.param)


@pytest.fixture
def database_url(backend: str, request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """The address of a migrated database, filled where the test asks for `world`."""
    databases: SqliteDatabases | PostgresDatabases = request.getfixturevalue(f"{backend}_databases")
    with databases.lend(tmp_path, filled="world" in request.fixturenames) as url:
        yield url


@pytest.fixture
async def database(database_url: str) -> AsyncIterator[Database]:
    made = Database(database_url, pool_size=3)
    yield made
    await made.close()


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def settings(database_url: str) -> Settings:
    return make_settings(database_url)


@pytest.fixture
def factory(settings: Settings, database: Database, clock: Clock) -> Factory:
    return Factory(settings, database, clock)


@pytest.fixture
def with_settings(database_url: str, database: Database, clock: Clock) -> Callable[..., Factory]:
    """Services on the same database under other settings, as after an operator's change and a restart."""

    def make(**changes: Any) -> Factory:
        return Factory(make_settings(database_url, **changes), database, clock)

    return make


@pytest.fixture
def world(factory: Factory, clock: Clock) -> World:
    """The people of the permission table and the private project ``co2``."""
    return World(factory, clock)
