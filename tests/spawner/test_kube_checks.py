"""What `doctor` says of a cluster, with an API that answers as it is told."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from kubernetes_asyncio.client import ApiClient, Configuration

from jupyterhub_collab import doctor
from jupyterhub_collab.settings import DataVolume, Settings, Storage
from jupyterhub_collab.state import StateFolder
from jupyterhub_collab_spawner import kube_checks
from jupyterhub_collab_spawner.checks import Check

NAMESPACE = "hub"
DEFAULT = {"storageclass.kubernetes.io/is-default-class": "true"}


@dataclass
class Api:
    """A cluster's API: what the account may not, which storage classes and claims there are."""

    forbidden: set[tuple[str, str]] = field(default_factory=set)
    classes: list[dict[str, Any]] | None = None
    claims: dict[str, dict[str, Any]] = field(default_factory=dict)
    client: ApiClient | None = None

    async def review(self, request: web.Request) -> web.Response:
        asked = json.loads(await request.text())["spec"]["resourceAttributes"]
        assert asked["namespace"] == NAMESPACE
        allowed = (asked["verb"], asked["resource"]) not in self.forbidden
        return web.json_response({"spec": {"resourceAttributes": asked}, "status": {"allowed": allowed}})

    async def storage_classes(self, _request: web.Request) -> web.Response:
        if self.classes is None:
            return web.json_response({"message": "forbidden"}, status=403)
        return web.json_response({"items": self.classes})

    async def claim(self, request: web.Request) -> web.Response:
        found = self.claims.get(request.match_info["name"])
        return web.json_response(found or {"message": "not found"}, status=200 if found else 404)

    async def ask(self, look: kube_checks.Look, **settings: Any) -> Check:
        assert self.client is not None
        return await look(self.client, NAMESPACE, Settings(**settings))


@pytest.fixture
async def api() -> AsyncIterator[Api]:
    made, application = Api(), web.Application()
    application.router.add_post("/apis/authorization.k8s.io/v1/selfsubjectaccessreviews", made.review)
    application.router.add_get("/apis/storage.k8s.io/v1/storageclasses", made.storage_classes)
    application.router.add_get(f"/api/v1/namespaces/{NAMESPACE}/persistentvolumeclaims/{{name}}", made.claim)
    runner = web.AppRunner(application)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    port = runner.addresses[0][1]
    async with ApiClient(Configuration(host=f"http://127.0.0.1:{port}")) as client:
        made.client = client
        yield made
    await runner.cleanup()


def storage_class(name: str, provisioner: str, **more: Any) -> dict[str, Any]:
    annotations = more.pop("annotations", {})
    return {"metadata": {"name": name, "annotations": annotations}, "provisioner": provisioner, **more}


def claim(phase: str = "Bound", mode: str = "ReadWriteMany") -> dict[str, Any]:
    return {"metadata": {"name": "x"}, "spec": {"accessModes": [mode]}, "status": {"phase": phase}}


async def test_an_account_with_all_rights_is_in_order(api: Api) -> None:
    found = await api.ask(kube_checks.rights)
    assert (found.ok, found.sentence) == (True, "The Hub's account has the 13 rights that it needs.")


async def test_each_right_that_is_missing_is_named(api: Api) -> None:
    api.forbidden = {("delete", "pods"), ("watch", "events")}
    found = await api.ask(kube_checks.rights)
    assert not found.ok
    assert "may not delete pods, watch events in hub" in found.sentence


async def test_a_class_of_a_file_system_is_in_order(api: Api) -> None:
    api.classes = [storage_class("disks", "ebs.csi.aws.com"), storage_class("files", "nfs", allowVolumeExpansion=True)]
    found = await api.ask(kube_checks.storage_class, storage=Storage(storage_class="files"))
    assert (found.ok, found.sentence) == (True, "“files” by nfs; its claims can grow.")


async def test_a_class_of_disks_is_refused_for_servers_on_many_nodes(api: Api) -> None:
    api.classes = [storage_class("disks", "ebs.csi.aws.com", annotations=DEFAULT)]
    found = await api.ask(kube_checks.storage_class)
    assert not found.ok
    assert "which one node mounts at a time" in found.sentence
    one_node = Storage(access_mode="ReadWriteOnce", node="n1")
    assert (await api.ask(kube_checks.storage_class, storage=one_node)).ok


@pytest.mark.parametrize(("name", "words"), [("gone", "no storage class “gone”"), ("", "no default storage class")])
async def test_a_class_that_is_not_there_is_named(api: Api, name: str, words: str) -> None:
    api.classes = [storage_class("files", "nfs")]
    found = await api.ask(kube_checks.storage_class, storage=Storage(storage_class=name))
    assert not found.ok
    assert words in found.sentence


async def test_what_the_hub_may_not_look_at_is_said(api: Api) -> None:
    found = await api.ask(kube_checks.storage_class, storage=Storage(storage_class="files"))
    assert (found.ok, found.sentence) == (
        True,
        "Can't be told with the Hub's rights; look: kubectl get storageclass files",
    )
    shared = await api.ask(kube_checks.storage_class, storage=Storage(shared_claim="all"))
    assert (shared.ok, "shared claim" in shared.sentence) == (True, True)


async def test_claims_of_the_settings_are_looked_for(api: Api) -> None:
    api.claims = {"all": claim(), "noaa": claim(mode="ReadOnlyMany")}
    given: dict[str, Any] = {"storage": Storage(shared_claim="all"), "data": {"noaa-co2": DataVolume(source="noaa")}}
    assert (await api.ask(kube_checks.claims, **given)).sentence == "2 claims of the settings are there and bound."
    api.claims = {"all": claim(mode="ReadWriteOnce")}
    found = await api.ask(kube_checks.claims, **given)
    assert not found.ok
    assert "The shared claim all is not ReadWriteMany" in found.sentence
    assert "The claim noaa (data volume noaa-co2) is not there: make it in hub" in found.sentence
    api.claims["noaa"] = claim("Pending")
    assert "is Pending: kubectl describe" in (await api.ask(kube_checks.claims, **given)).sentence


async def test_outside_of_a_pod_the_way_in_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("KUBERNETES_SERVICE_HOST", raising=False)
    for check in (kube_checks.check_rights, kube_checks.check_storage_class, kube_checks.check_claims):
        found = await check()
        assert not found.ok
        assert "Run this in the Hub's container" in found.sentence


def test_doctor_looks_at_the_cluster_where_there_is_one(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def names() -> list[str]:
        return [name for name, _ in doctor.checks(StateFolder(tmp_path), "http://127.0.0.1:1")]

    monkeypatch.delenv("KUBERNETES_SERVICE_HOST", raising=False)
    assert {"sandbox", "proxy"} <= set(names())
    monkeypatch.setenv("KUBERNETES_SERVICE_HOST", "10.0.0.1")
    assert names() == ["settings", "database", "cluster", "Hub scopes"]
    account = tmp_path / "token"
    account.write_text("x")
    monkeypatch.setattr(doctor, "ACCOUNT", account)
    assert names() == ["settings", "database", "claims", "rights", "storage", "Hub scopes"]


def test_doctor_asks_the_hub_that_the_pod_knows(monkeypatch: pytest.MonkeyPatch) -> None:
    for variable in ("KUBERNETES_SERVICE_HOST", "JUPYTERHUB_API_URL", "JUPYTERHUB_COLLAB_HUB_URL"):
        monkeypatch.delenv(variable, raising=False)
    monkeypatch.setenv("PORT", "8123")
    assert doctor.default_address() == "http://127.0.0.1:8123"
    monkeypatch.setenv("KUBERNETES_SERVICE_HOST", "10.0.0.1")
    assert doctor.default_address() == "http://127.0.0.1:8081"
    monkeypatch.setenv("JUPYTERHUB_COLLAB_HUB_URL", "http://127.0.0.1:8081/jupyter")
    assert doctor.default_address() == "http://127.0.0.1:8081/jupyter"
    monkeypatch.setenv("JUPYTERHUB_API_URL", "http://hub:8081/jupyter/hub/api")
    assert doctor.default_address() == "http://hub:8081/jupyter"
