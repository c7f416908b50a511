"""CollabKubeSpawner on a fake cluster, with a core that grants one plan."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from jupyterhub_collab.errors import UnknownServerNameError
from jupyterhub_collab.servers.models import ServerPlan
from jupyterhub_collab.settings import Environment, Settings
from jupyterhub_collab_spawner import core
from jupyterhub_collab_spawner.enforcement import Enforcement
from jupyterhub_collab_spawner.housekeeping import Housekeeping
from jupyterhub_collab_spawner.kube import CollabKubeSpawner
from tests.support.kubernetes_api import FakeApi, running_api

KUBECONFIG = """
apiVersion: v1
kind: Config
clusters: [{name: none, cluster: {server: "http://127.0.0.1:1"}}]
contexts: [{name: none, context: {cluster: none, user: none}}]
users: [{name: none, user: {}}]
current-context: none
"""
SETTINGS = Settings(environments={"default": Environment(image="registry.example/notebook:1")})


class Servers:
    """The core's service, which grants one plan or refuses, and notes which grants have ended."""

    def __init__(self) -> None:
        self.plan: ServerPlan | None = None
        self.ended_ones: list[int] = []

    async def grant(self, person: str, server_name: str, **_asked: Any) -> Any:
        if self.plan is None:
            raise UnknownServerNameError(server_name)
        assert self.plan.person == person
        return SimpleNamespace(id=1, plan=self.plan)

    async def ended(self, person: str, server_name: str, *, grant: int) -> None:
        self.ended_ones.append(grant)


class World:
    """A fake cluster and a fake core."""

    def __init__(self, api: FakeApi, monkeypatch: pytest.MonkeyPatch) -> None:
        self.api = api
        self.servers = Servers()
        self._monkeypatch = monkeypatch

    def settings(self, settings: Settings) -> None:
        self._monkeypatch.setattr(core, "settings", lambda: settings)

    def new(self, plan: ServerPlan, **options: Any) -> Any:
        """Return a spawner for a plan. The fake API itself stands for the server: it listens."""
        self.servers.plan = plan
        user = SimpleNamespace(
            name=plan.person, id=1, url=f"/user/{plan.person}/", escaped_name=plan.person, spawners={}
        )
        orm = SimpleNamespace(name=plan.server_name, server=None, user_options={})
        address = {"k8s_api_host": self.api.url, "get_pod_url": lambda _spawner, _pod: self.api.url}
        return CollabKubeSpawner(_mock=True, user=user, orm_spawner=orm, namespace="hub", **address | options)

    async def until(self, holds: Any, seconds: float = 5) -> None:
        """Wait until something holds."""
        async with asyncio.timeout(seconds):
            while not holds():  # noqa: ASYNC110 - whatever it is, nobody tells
                await asyncio.sleep(0.02)


@asynccontextmanager
async def world_of(folder: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[World]:
    """Lend such a world; whatever watches its cluster ends with it."""
    (folder / "config").write_text(KUBECONFIG, encoding="utf-8")
    monkeypatch.setenv("KUBECONFIG", str(folder / "config"))
    monkeypatch.setattr("kubernetes_asyncio.config.kube_config.KUBE_CONFIG_DEFAULT_LOCATION", str(folder / "config"))
    monkeypatch.setattr(Enforcement, "watch", lambda _spawner: None)
    monkeypatch.setattr(Housekeeping, "begin", lambda *_options: None)
    monkeypatch.setattr(CollabKubeSpawner, "_volumes_of", {})
    async with running_api() as api:
        world = World(api, monkeypatch)
        world.settings(SETTINGS)
        core.use(world.servers)  # type: ignore[arg-type]
        yield world
        core.use(None)
        await CollabKubeSpawner._stop_all_reflectors()
