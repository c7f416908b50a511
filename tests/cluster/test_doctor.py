"""`doctor` on a real cluster: each right by the API server's own word, and the whole of it in the Hub's container."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
import yaml
from kubernetes_asyncio import config
from kubernetes_asyncio.client import ApiClient, Configuration

from jupyterhub_collab.settings import DataVolume, Settings, Storage
from jupyterhub_collab_spawner import kube_checks

from .chart import named, render
from .cluster import Cluster
from .release import Release

pytestmark = pytest.mark.cluster
NAMESPACE = "doctor"


def role() -> dict[str, Any]:
    found = named(render(), "Role", "hub")
    return {"apiVersion": found["apiVersion"], "kind": "Role", "metadata": {"name": "hub"}, "rules": found["rules"]}


def binding() -> dict[str, Any]:
    return {
        "apiVersion": "rbac.authorization.k8s.io/v1",
        "kind": "RoleBinding",
        "metadata": {"name": "hub"},
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": "hub"},
        "subjects": [{"kind": "ServiceAccount", "name": "hub", "namespace": NAMESPACE}],
    }


def apply(cluster: Cluster, *things: dict[str, Any]) -> None:
    cluster.kubectl("--namespace", NAMESPACE, "apply", "--filename=-", input=yaml.safe_dump_all(things))


@pytest.fixture(scope="module")
def account(control_plane: Cluster) -> Iterator[dict[str, Any]]:
    """The Hub's account with the Role of the chart, as its pod would use it."""
    control_plane.kubectl("create", "namespace", NAMESPACE)
    control_plane.kubectl("--namespace", NAMESPACE, "create", "serviceaccount", "hub")
    apply(control_plane, role(), binding())
    token = control_plane.kubectl("--namespace", NAMESPACE, "create", "token", "hub").strip()
    given = yaml.safe_load(control_plane.kubeconfig.read_text(encoding="utf-8"))
    given["users"] = [{"name": given["users"][0]["name"], "user": {"token": token}}]
    yield given
    control_plane.kubectl("delete", "namespace", NAMESPACE, "--wait=false")


async def ask(account: dict[str, Any], look: kube_checks.Look, **settings: Any) -> tuple[bool, str]:
    made = Configuration()
    await config.load_kube_config_from_dict(account, client_configuration=made)
    async with ApiClient(made) as api:
        found = await look(api, NAMESPACE, Settings(**settings))
    return found.ok, found.sentence


async def test_the_role_of_the_chart_is_enough(account: dict[str, Any]) -> None:
    assert await ask(account, kube_checks.rights) == (True, "The Hub's account has the 13 rights that it needs.")


def test_the_role_of_the_chart_gives_no_more_than_is_checked() -> None:
    given = {resource: set(rule["verbs"]) for rule in role()["rules"] for resource in rule["resources"]}
    assert given == {resource: set(verbs) for resource, verbs in kube_checks.NEEDED.items()}
    assert {group for rule in role()["rules"] for group in rule["apiGroups"]} == {""}


async def test_a_verb_that_is_taken_away_is_named(control_plane: Cluster, account: dict[str, Any]) -> None:
    less = json.loads(json.dumps(role()))
    for rule in less["rules"]:
        rule["verbs"] = [verb for verb in rule["verbs"] if (rule["resources"][0], verb) != ("pods", "delete")]
    apply(control_plane, less)
    try:
        ok, sentence = await ask(account, kube_checks.rights)
    finally:
        apply(control_plane, role())
    assert not ok
    assert "may not delete pods in doctor" in sentence


async def test_storage_classes_need_no_right_of_the_hub(account: dict[str, Any]) -> None:
    ok, sentence = await ask(account, kube_checks.storage_class, storage=Storage(storage_class="shared"))
    assert (ok, "kubectl get storageclass shared" in sentence) == (True, True)


async def test_a_claim_that_is_missing_is_named(account: dict[str, Any]) -> None:
    ok, sentence = await ask(account, kube_checks.claims, data={"sea": DataVolume(source="sea-levels")})
    assert not ok
    assert "The claim sea-levels (data volume sea) is not there" in sentence


def test_the_chart_says_where_the_hub_is_asked() -> None:
    pod = named(render(hub__baseUrl="/jupyter/"), "Deployment", "hub")["spec"]["template"]["spec"]
    (hub,) = pod["containers"]
    environment = {variable["name"]: variable.get("value") for variable in hub["env"]}
    assert environment["JUPYTERHUB_COLLAB_HUB_URL"] == "http://127.0.0.1:8081/jupyter/"


def test_all_is_in_order_in_the_container_of_the_hub(release: Release) -> None:
    said = release.kubectl("exec", "deployment/collab-hub", "--container=hub", "--", "jupyterhub-collab", "doctor")
    lines = said.strip().splitlines()
    assert [line for line in lines if not line.startswith("ok ")] == []
    names = {line[8:].partition(":")[0] for line in lines}
    assert names == {"settings", "database", "claims", "rights", "storage", "Hub scopes"}


def test_a_request_can_be_followed_through_the_logs_of_both_pods(release: Release) -> None:
    viewer = release.person("viewer")
    viewer.request("GET", "/services/projects/api/v1/me", headers={"X-Request-ID": "followed-in-a-cluster"})

    def named(pod: str) -> list[dict[str, Any]]:
        said = release.kubectl("logs", f"deployment/collab-{pod}", f"--container={pod}", "--tail=500")
        lines = [json.loads(line) for line in said.splitlines() if line.startswith('{"')]
        return [line for line in lines if line.get("request_id") == "followed-in-a-cluster"]

    release.wait_until(lambda: bool(named("projects")))
    assert [line["route"] for line in named("projects")] == ["/api/v1/me"]
    assert any("/hub/api/user" in line["message"] for line in named("hub"))
