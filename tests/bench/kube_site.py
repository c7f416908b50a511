"""A site on Kubernetes without kubelets: a real API server and scheduler, PostgreSQL for the core, a real Hub."""

from __future__ import annotations

import asyncio
import functools
import os
import shutil
import tempfile
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import kubernetes_asyncio
from kubernetes_asyncio.client import CoreV1Api

from jupyterhub_collab.factory import Factory
from jupyterhub_collab.migrations import upgrade
from jupyterhub_collab.names import home_volume, project_volume
from jupyterhub_collab.projects.service import NewProject
from jupyterhub_collab.settings import Storage
from jupyterhub_collab.volumes.models import VolumeKind
from jupyterhub_collab_spawner.builders import claims, pods
from jupyterhub_collab_spawner.builders.claims import Volume
from jupyterhub_collab_spawner.kube_api import Cluster as Namespace
from tests.cluster.cluster import Cluster
from tests.support.kube_hub import KubeHub, kube_hub
from tests.support.postgres import PostgresCluster, running_cluster

_SETTINGS: Final = """
[database]
url = "{url}"
[storage]
storage_class = "shared"
project_size = "1MiB"
home_size = "1MiB"
[limits]
projects_per_person = 1000
[environments.default]
image = "localhost/never-run:1"
"""
_AT_ONCE: Final = 20
_STORAGE: Final = Storage(storage_class="shared")


class KubeSite:
    """Persons who have each pinned all projects, and a Hub that is not started yet."""

    def __init__(self, hub: KubeHub, postgres: PostgresCluster, database: str, size: tuple[int, int]) -> None:
        self.hub = hub
        self.persons = [f"user{number:04}" for number in range(size[0])]
        self.projects = [f"project-{number}" for number in range(size[1])]
        self._postgres = postgres
        self._database = database

    def sql(self, statement: str, *values: Any) -> None:
        """Change the core's database in one transaction."""
        with self._postgres.connect(self._database) as connection:
            connection.execute(statement.encode(), values)

    async def fill(self, factory: Factory) -> None:
        """Make persons and projects."""
        await upgrade(factory.database)
        for name in self.persons:
            await factory.people.sign_in(name, display_name="", groups=None)
        for slug in self.projects:
            await factory.projects.create(self.persons[0], NewProject(slug=slug, title=slug))

    def let_everybody_in(self) -> None:
        """Make everybody an editor of all projects, pinned."""
        others = "FROM persons, projects WHERE name <> created_by"
        self.sql(f"INSERT INTO members (project, person, role, via, since) SELECT slug, name, 2, '', now() {others}")
        self.sql("INSERT INTO pins (person, project) SELECT name, slug FROM persons, projects ON CONFLICT DO NOTHING")

    def volumes(self) -> list[Volume]:
        """Return all that servers of this site mount."""
        homes = [_volume(home_volume(name), VolumeKind.HOME, pods.USERS_GROUP) for name in self.persons]
        folders = [_volume(project_volume(slug), VolumeKind.PROJECT, pods.group_id(slug)) for slug in self.projects]
        return homes + folders

    def make_claims(self) -> None:
        """Make all claims, prepared: no kubelet is there to run what prepares them."""

        async def make(volume: Volume, namespace: Namespace) -> None:
            claim = claims.claim(volume, _STORAGE)
            claim["metadata"]["annotations"] = claims.as_ours(volume)["metadata"]["annotations"]
            await namespace.create_claim(claim)

        self.in_namespace([functools.partial(make, volume) for volume in self.volumes()])
        self.hub.until(lambda: all(c["status"]["phase"] == "Bound" for c in self.hub.objects("pvc").values()), 300)

    def in_namespace(self, work: list[Callable[[Namespace], Awaitable[Any]]]) -> None:
        """Do many things in the namespace, some at a time."""

        async def run() -> None:
            configuration = kubernetes_asyncio.client.Configuration()
            await kubernetes_asyncio.config.load_kube_config(
                str(self.hub.cluster.kubeconfig), client_configuration=configuration
            )
            slots = asyncio.Semaphore(_AT_ONCE)

            async def one(doing: Callable[[Namespace], Awaitable[Any]]) -> None:
                async with slots:
                    await doing(namespace)

            async with kubernetes_asyncio.client.ApiClient(configuration) as client:
                namespace = Namespace(CoreV1Api(client), self.hub.namespace)
                await asyncio.gather(*map(one, work))

        asyncio.run(run())

    @contextmanager
    def beside(self) -> Iterator[KubeSite]:
        """Lend another Hub with the same persons and projects, in a namespace of its own."""
        folder = self.hub.state.parent / "beside"
        folder.mkdir()
        with kube_hub(self.hub.cluster, folder, self.hub.settings_file.read_text(encoding="utf-8")) as hub:
            yield KubeSite(hub, self._postgres, self._database, (len(self.persons), len(self.projects)))

    def cpu(self) -> float:
        """Return the seconds of CPU that the Hub has used."""
        assert self.hub.process is not None
        fields = Path(f"/proc/{self.hub.process.pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def _volume(name: str, kind: VolumeKind, group: int) -> Volume:
    return Volume(name=name, kind=kind, claim=name, folder=pods.OWN_FOLDER, group=group, size=1024**2)


@contextmanager
def kube_site(persons: int, projects: int) -> Iterator[KubeSite]:
    """Lend such a site, and end all of it."""
    folder = Path(tempfile.mkdtemp(prefix="collab-kube-"))
    cluster = Cluster(folder / "cluster", full=False)
    try:
        cluster.up()
        with running_cluster() as postgres:
            (folder / "hub").mkdir()
            database = postgres.create()
            with kube_hub(cluster, folder / "hub", _SETTINGS.format(url=postgres.url(database))) as hub:
                site = KubeSite(hub, postgres, database, (persons, projects))
                hub.core(site.fill)
                site.let_everybody_in()
                yield site
    finally:
        cluster.down()
        shutil.rmtree(folder, ignore_errors=True)
