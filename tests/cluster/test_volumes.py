"""Volumes on a real node: whose files are, who writes and who only reads, and what is measured and removed."""

from __future__ import annotations

import asyncio
import json
import secrets
from collections.abc import Awaitable, Callable, Iterator
from typing import Any, Final

import kubernetes_asyncio
import pytest
from kubernetes_asyncio.client import CoreV1Api

from jupyterhub_collab.servers.models import ServerPlan
from jupyterhub_collab.settings import Storage
from jupyterhub_collab.volumes.models import Mode
from jupyterhub_collab_spawner.builders import claims, pods
from jupyterhub_collab_spawner.kube_api import Cluster as Namespace
from jupyterhub_collab_spawner.kube_volumes import ClaimVolumes
from tests.spawner.support import plans

from .cluster import Cluster
from .errors import ClusterError
from .images import built

pytestmark = pytest.mark.cluster
_IMAGE: Final = "localhost/jupyterhub-collab/notebook:test"
_OWN: Final = Storage.model_validate({"storage_class": "shared", "home_size": "1GiB", "project_size": "1GiB"})
_SHARED: Final = _OWN.model_copy(update={"shared_claim": "collab-files"})
_WRITER: Final = plans.plan(plans.project("co2"))
_READER: Final = plans.plan(plans.project("co2", Mode.READ_ONLY), person="ben")


class Place:
    """A namespace on a real node, and pods as plans make them."""

    def __init__(self, cluster: Cluster, name: str) -> None:
        self.cluster = cluster
        self.name = name

    def work(self, storage: Storage, doing: Callable[[ClaimVolumes], Awaitable[Any]]) -> Any:
        """Do something with the volumes, as the Hub would."""

        async def run() -> Any:
            configuration = kubernetes_asyncio.client.Configuration()
            await kubernetes_asyncio.config.load_kube_config(
                str(self.cluster.kubeconfig), client_configuration=configuration
            )
            look = claims.TaskLook(image=_IMAGE, image_pull_policy="Never", process="test")
            async with kubernetes_asyncio.client.ApiClient(configuration) as client:
                namespace = Namespace(CoreV1Api(client), self.name)
                return await doing(ClaimVolumes(namespace, self._claims, storage, look, seconds=90))

        return asyncio.run(run())

    async def _claims(self) -> dict[str, Any]:
        found = json.loads(
            self.kubectl("get", "pvc", "-l", "app.kubernetes.io/managed-by=jupyterhub-collab", "-o", "json")
        )
        return {f"{self.name}/{claim['metadata']['name']}": claim for claim in found["items"]}

    def start(self, plan: ServerPlan, storage: Storage) -> None:
        """Provide the volumes of a plan, and run a pod that mounts them."""
        self.work(storage, lambda volumes: volumes.ensure(claims.needed(plan, storage)))
        self.run_pod(plan.person, **pod_of(plan, storage))

    def run_pod(self, name: str, *, mounts: list[Any], volumes: list[Any], **context: Any) -> None:
        """Run a pod that does nothing."""
        container = {
            "name": "notebook",
            "image": _IMAGE,
            "imagePullPolicy": "Never",
            "command": ["sleep", "3600"],
            "securityContext": {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}},
            "volumeMounts": mounts,
        }
        security = {"runAsNonRoot": True, "runAsUser": 1000, "runAsGroup": 100} | context
        spec = {
            "containers": [container],
            "volumes": volumes,
            "securityContext": security | {"seccompProfile": {"type": "RuntimeDefault"}},
            "terminationGracePeriodSeconds": 1,
        }
        pod = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name}, "spec": spec}
        self.kubectl("create", "-f", "-", given=pod)
        self.kubectl("wait", "--for=condition=Ready", f"pod/{name}", "--timeout=90s")

    def say(self, person: str, command: str) -> str:
        """Return what a command in somebody's pod says."""
        return self.kubectl("exec", person, "--", "sh", "-c", command).strip()

    def kubectl(self, *arguments: str, given: Any = None) -> str:
        """Do something in the namespace."""
        return self.cluster.kubectl("-n", self.name, *arguments, input=json.dumps(given) if given else None)


def pod_of(plan: ServerPlan, storage: Storage) -> dict[str, Any]:
    """Return what a plan gives a pod."""
    parts = pods.build(plan, home="/home/jovyan", storage=storage)
    mounts = [parts.volume_mounts[key] for key in sorted(parts.volume_mounts)]
    return {
        "mounts": mounts,
        "volumes": list(parts.volumes.values()),
        "supplementalGroups": parts.supplemental_gids,
    }


@pytest.fixture
def place(cluster: Cluster) -> Iterator[Place]:
    cluster.load(built("notebook"))
    made = Place(cluster, f"volumes-{secrets.token_hex(4)}")
    labels = {"pod-security.kubernetes.io/enforce": "restricted"}
    metadata = {"name": made.name, "labels": labels}
    cluster.kubectl(
        "create", "-f", "-", input=json.dumps({"apiVersion": "v1", "kind": "Namespace", "metadata": metadata})
    )
    yield made
    cluster.kubectl("delete", "namespace", made.name, "--wait=false")


def check_files(place: Place) -> None:
    """Check what the owner of a project writes and a viewer may do with it."""
    group = pods.group_id("co2")
    folder = "/home/jovyan/projects/co2"
    assert place.say("ada", f"stat -c '%u %g %a' {folder} /home/jovyan") == f"1000 {group} 2770\n1000 100 2770"
    place.say("ada", f"head -c 3000000 /dev/zero > {folder}/data && mkdir {folder}/deep && touch {folder}/deep/file")
    assert place.say("ada", f"stat -c '%u %g' {folder}/deep/file") == f"1000 {group}"
    assert place.say("ben", f"wc -c < {folder}/data") == "3000000"
    with pytest.raises(ClusterError, match="Read-only file system"):
        place.say("ben", f"touch {folder}/mine")
    place.say("ben", "touch /home/jovyan/mine")
    assert place.say("ada", "ls /home/jovyan") == "projects"


def test_each_volume_has_a_claim(place: Place) -> None:
    for plan in (_WRITER, _READER):
        place.start(plan, _OWN)
    check_files(place)
    assert 2_900_000 < place.work(_OWN, lambda volumes: volumes.measure("project-co2")) < 3_200_000
    place.kubectl("delete", "pod", "ada", "ben")
    place.work(_OWN, lambda volumes: volumes.remove("project-co2"))
    place.kubectl("wait", "--for=delete", "pvc/project-co2", "--timeout=60s")


def test_all_volumes_are_folders_of_one_claim(place: Place) -> None:
    spec = {
        "accessModes": ["ReadWriteMany"],
        "storageClassName": "shared",
        "resources": {"requests": {"storage": "1Gi"}},
    }
    claim = {"apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": {"name": "collab-files"}, "spec": spec}
    place.kubectl("create", "-f", "-", given=claim)
    whole = {"name": "all", "persistentVolumeClaim": {"claimName": "collab-files"}}
    # The operator lets group 100 write at its top, once
    place.run_pod("operator", mounts=[{"name": "all", "mountPath": "/all"}], volumes=[whole], fsGroup=100)
    for plan in (_WRITER, _READER):
        place.start(plan, _SHARED)
    check_files(place)
    assert 2_900_000 < place.work(_SHARED, lambda volumes: volumes.measure("project-co2")) < 3_200_000
    place.kubectl("delete", "pod", "ada", "ben")
    place.work(_SHARED, lambda volumes: volumes.remove("project-co2"))
    assert place.say("operator", "ls /all") == "home-ada\nhome-ben"
