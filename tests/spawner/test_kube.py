"""The same plan as a pod, through KubeSpawner's own manifest."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from jupyterhub.spawner import SpawnException
from kubernetes_asyncio.client import ApiClient

from jupyterhub_collab.errors import UnknownServerNameError
from jupyterhub_collab.servers.models import ServerPlan
from jupyterhub_collab.settings import Settings, Storage
from jupyterhub_collab_spawner import core
from jupyterhub_collab_spawner.builders import pods
from jupyterhub_collab_spawner.enforcement import Enforcement
from jupyterhub_collab_spawner.kube import CollabKubeSpawner
from tests.spawner.support import plans

KUBECONFIG = """
apiVersion: v1
kind: Config
clusters: [{name: none, cluster: {server: "http://127.0.0.1:1"}}]
contexts: [{name: none, context: {cluster: none, user: none}}]
users: [{name: none, user: {}}]
current-context: none
"""


@pytest.fixture(autouse=True)
def cluster(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "config").write_text(KUBECONFIG, encoding="utf-8")
    monkeypatch.setenv("KUBECONFIG", str(tmp_path / "config"))
    monkeypatch.setattr("kubernetes_asyncio.config.kube_config.KUBE_CONFIG_DEFAULT_LOCATION", str(tmp_path / "config"))
    monkeypatch.setattr(Enforcement, "watch", lambda _spawner: None)
    monkeypatch.setattr(core, "settings", Settings)


class Servers:
    """The core's service, which grants one plan or refuses."""

    def __init__(self, plan: ServerPlan | None) -> None:
        self.plan = plan

    async def grant(self, person: str, server_name: str, **_asked: Any) -> Any:
        if self.plan is None:
            raise UnknownServerNameError(server_name)
        assert self.plan.person == person
        return SimpleNamespace(id=1, plan=self.plan)


async def manifest(plan: ServerPlan, **options: Any) -> dict[str, Any]:
    """Return the pod that a start would create."""
    core.use(Servers(plan))  # type: ignore[arg-type]
    spawner = new(plan.person, plan.server_name, **options)
    spawner._start = lambda: _after_profile(spawner)
    try:
        pod = await spawner.start()
    finally:
        core.use(None)
    async with ApiClient() as client:
        made: dict[str, Any] = client.sanitize_for_serialization(pod)
    for variable in made["spec"]["containers"][0]["env"]:
        if variable["value"].startswith("["):  # JupyterHub makes these from a set, in any order
            variable["value"] = sorted(json.loads(variable["value"]))
    return made


async def _after_profile(spawner: Any) -> Any:
    """Do what KubeSpawner's start does up to the request to the cluster."""
    await spawner.load_user_options()
    return await spawner.get_pod_manifest()


def new(person: str, server_name: str, **options: Any) -> Any:
    user = SimpleNamespace(name=person, id=1, url=f"/user/{person}/", escaped_name=person, spawners={})
    orm = SimpleNamespace(name=server_name, server=None, user_options={})
    return CollabKubeSpawner(_mock=True, user=user, orm_spawner=orm, namespace="hub", **options)


async def test_a_workspace_with_a_claim_for_each_volume() -> None:
    plans.compare("pod-workspace", await manifest(plans.workspace("noaa-claim")))


async def test_a_project_server_on_one_shared_claim(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(core, "settings", lambda: Settings(storage=Storage(shared_claim="collab-files")))
    plans.compare("pod-project-shared", await manifest(plans.project_server()))


async def test_what_the_operator_configures_beside_the_plan_stays() -> None:
    memory = {"name": "shm", "emptyDir": {"medium": "Memory"}}
    pod = await manifest(
        plans.workspace("noaa-claim"),
        volumes=[memory],
        volume_mounts={"shm": {"name": "shm", "mountPath": "/dev/shm"}},
        extra_labels={"site": "here"},
        node_selector={"disk": "fast"},
        supplemental_gids=[4242],
    )
    assert memory in pod["spec"]["volumes"]
    assert pod["metadata"]["labels"]["site"] == "here"
    assert pod["spec"]["nodeSelector"] == {"disk": "fast"}
    assert 4242 in pod["spec"]["securityContext"]["supplementalGroups"]


async def test_neither_profile_nor_option_widens_the_plan() -> None:
    greedy = {
        "volumes": {"other": {"name": "other", "persistentVolumeClaim": {"claimName": "project-secret"}}},
        "volume_mounts": {"other": {"name": "other", "mountPath": "/stolen"}},
        "mem_limit": "1T",
        "cpu_limit": 64,
        "supplemental_gids": [7],
        "extra_resource_limits": {"nvidia.com/gpu": "8"},
        "image": "registry.example/other:9",
    }
    profile = {"display_name": "Greedy", "slug": "greedy", "kubespawner_override": greedy}
    options = {"profile": "greedy"}
    pod = await manifest(plans.workspace("noaa-claim"), profile_list=[profile], user_options=options)
    plans.compare("pod-workspace", pod)


async def test_a_refused_plan_is_a_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    core.use(Servers(None))  # type: ignore[arg-type]
    try:
        with pytest.raises(SpawnException, match="you have no project “<b>") as refused:
            await new("ada", "<b>").start()
    finally:
        core.use(None)
    assert refused.value.status_code == 404
    assert refused.value.reason == "no-such-project-server"
    assert "<b>" not in refused.value.message_html
    monkeypatch.undo()


@settings(deadline=None)  # other work on the machine is no fault of the function
@given(st.text(st.sampled_from("abc-."), min_size=1, max_size=300), st.text(st.sampled_from("abc-."), min_size=1))
def test_the_name_of_a_volume_is_short_and_one_claims_own(one: str, other: str) -> None:
    assert len(pods.claim_name(one)) <= 63
    assert "." not in pods.claim_name(one)
    assert (pods.claim_name(one) == pods.claim_name(other)) == (one == other)


@settings(deadline=None)  # other work on the machine is no fault of the function
@given(st.text(min_size=1, max_size=30))
def test_a_projects_group_is_far_from_the_machines_own(slug: str) -> None:
    assert 1_000_000_000 <= pods.group_id(slug) < 2**31
