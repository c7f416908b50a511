"""Two sites on PostgreSQL, one a hundredth of the other, filled by bulk statements and by real starts of servers."""

from __future__ import annotations

import asyncio
import contextlib
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from psycopg import sql
from pydantic import SecretStr

from jupyterhub_collab.database import Database
from jupyterhub_collab.errors import PlanRefusedError
from jupyterhub_collab.factory import Factory
from jupyterhub_collab.migrations import upgrade
from jupyterhub_collab.settings import (
    Allowed,
    DataVolume,
    Environment,
    Holders,
    Limits,
    ResourceClass,
    Rights,
    Settings,
)
from jupyterhub_collab.settings import Database as DatabaseSettings
from tests.support.postgres import PostgresCluster, running_cluster

_FILL: Final = Path(__file__).with_name("site.sql")
# As an operator would set it: the tests' own 64 MB would measure the kernel's cache
_OPTIONS: Final = {"shared_buffers": "1GB", "max_wal_size": "4GB", "maintenance_work_mem": "256MB"}


@dataclass(frozen=True, kw_only=True, slots=True)
class Size:
    """How large a site is."""

    name: str
    projects: int
    persons: int
    members: int
    servers: int

    @property
    def groups(self) -> int:
        """Identity groups, the largest of some thousand persons where the site is large."""
        return self.projects // 10


SMALL: Final = Size(name="small", projects=100, persons=1_000, members=10_000, servers=20)
LARGE: Final = Size(name="large", projects=10_000, persons=100_000, members=1_000_000, servers=2_000)


@dataclass(frozen=True, kw_only=True, slots=True)
class Site:
    """A filled database."""

    size: Size
    url: str

    @property
    def settings(self) -> Settings:
        """A catalogue in which something is gated, so that enforcement looks at that too."""
        gated = Allowed(groups=frozenset({"group-1", "group-2"}))
        return Settings(
            database=DatabaseSettings(url=SecretStr(self.url)),
            rights=Rights(operator=Holders(names=frozenset({"operator"}))),
            limits=Limits(servers_per_project=self.size.servers),
            environments={"default": Environment(title="Default"), "gpu": Environment(title="GPU", allowed=gated)},
            resource_classes={"small": ResourceClass(title="Small"), "large": ResourceClass(title="Large")},
            data={f"volume-{n}": DataVolume(source=f"/data/{n}", writable_by_leads=n == 1) for n in range(1, 21)},
        )

    async def rows(self, statement: str) -> list[tuple[str, ...]]:
        """Return what a statement finds."""
        factory = Factory.open(self.settings)
        async with factory.database.engine.begin() as connection:
            found = [tuple(row) for row in await connection.exec_driver_sql(statement)]
        await factory.close()
        return found


@contextmanager
def sites() -> Iterator[tuple[Site, Site]]:
    """Make both sites, on one server of their own, until the end of the block."""
    with running_cluster(**_OPTIONS) as cluster:
        yield _make(cluster, SMALL), _make(cluster, LARGE)


def _make(cluster: PostgresCluster, size: Size) -> Site:
    with cluster.connect() as connection:
        # ICU's order of words is what most sites have; the C locale's would flatter the indexes
        how = "CREATE DATABASE {} TEMPLATE template0 LOCALE_PROVIDER icu ICU_LOCALE 'en-US' LOCALE 'C.UTF-8'"
        connection.execute(sql.SQL(how).format(sql.Identifier(size.name)))
    site = Site(size=size, url=cluster.url(size.name))
    asyncio.run(_upgrade(site.url))
    wanted = ("projects", "persons", "members", "groups")
    numbers = [part for name in wanted for part in ("-v", f"{name}={getattr(size, name)}")]
    address = ["-h", str(cluster.folder), "-U", "collab", "-d", size.name]
    subprocess.run(["psql", "-q", *address, *numbers, "-f", str(_FILL)], check=True, stdout=subprocess.DEVNULL)
    asyncio.run(start_servers(site))
    with cluster.connect(size.name) as connection:
        connection.execute("VACUUM ANALYZE")
    return site


async def _upgrade(url: str) -> None:
    database = Database(url)
    await upgrade(database)
    await database.close()


async def start_servers(site: Site) -> None:
    """Let members start servers until as many run as wanted: their project's and their own, by turns."""
    drawn = await site.rows("SELECT person, project FROM members ORDER BY md5(person || project) LIMIT 4000")
    factory = Factory.open(site.settings)
    running: set[tuple[str, str]] = set()
    for number, (person, project) in enumerate(drawn):
        server = (person, project if number % 2 else "")
        with contextlib.suppress(PlanRefusedError):  # archived, deleted, or its environment is not for them
            await factory.servers.grant(*server, running=frozenset())
            running.add(server)
        if len(running) == site.size.servers:
            break
    await factory.close()
