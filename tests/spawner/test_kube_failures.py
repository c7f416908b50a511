"""What clusters say, as sentences."""

from __future__ import annotations

import json
from typing import Any

import pytest
from kubernetes_asyncio.client.rest import ApiException

from jupyterhub_collab_spawner import kube_failures

Object = dict[str, Any]
SPEC = {"containers": [{"name": "notebook", "resources": {"limits": {"memory": "2147483648"}}}], "nodeName": "n1"}


def pod(**status: Any) -> Object:
    return {"metadata": {"name": "jupyter-ada"}, "spec": SPEC, "status": {"phase": "Pending"} | status}


def container(state: Object, last: Object | None = None) -> Object:
    entry = {"name": "notebook", "image": "images.example/lab:1", "state": state, "lastState": last or {}}
    return pod(containerStatuses=[{"name": "sidecar", "image": "", "state": {"running": {}}}, entry])


def unscheduled(message: str) -> Object:
    return pod(conditions=[{"type": "PodScheduled", "status": "False", "message": message}])


def waiting(reason: str) -> Object:
    return container({"waiting": {"reason": reason}})


KILLED = {"terminated": {"exitCode": 137, "reason": "OOMKilled"}}
ENDED = {"terminated": {"exitCode": 1, "reason": "Error"}}
MOUNT = {"reason": "FailedMount", "message": 'Unable to attach or mount volume "claim-project-co2": timed out'}
NODE = {"reason": "NodeNotReady", "message": "Node is not ready"}
NO_NODE = (
    "0/3 nodes are available: 1 node(s) had untolerated taint, 2 node(s) didn't match Pod's node affinity/selector."
)
NO_CLAIM = '0/1 nodes are available: persistentvolumeclaim "noaa" not found. not found'
CASES = [
    pytest.param(waiting("InvalidImageName"), (), "image-pull", 0, "images.example/lab:1", id="image name"),
    pytest.param(waiting("ErrImagePull"), (), "image-pull", 20, "images.example/lab:1", id="first failed pull"),
    pytest.param(waiting("ImagePullBackOff"), (), "image-pull", 20, "images.example/lab:1", id="later failed pull"),
    pytest.param(
        pod(
            initContainerStatuses=[{"name": "first", "image": "none", "state": {"waiting": {"reason": "ErrImagePull"}}}]
        ),
        (),
        "image-pull",
        20,
        "“none”",
        id="image of an init container",
    ),
    pytest.param(waiting("CreateContainerConfigError"), (), "server-died", 5, "", id="container not made"),
    pytest.param(container(KILLED), (), "out-of-memory", 0, "2 GiB", id="out of memory"),
    pytest.param(container({"running": {}}, KILLED), (), "out-of-memory", 0, "2 GiB", id="again out of memory"),
    pytest.param(container(ENDED), (), "server-died", 0, "", id="ended by itself"),
    pytest.param(unscheduled("2 Insufficient cpu, 1 Insufficient memory."), (), "unschedulable", None, "CPU", id="cpu"),
    pytest.param(unscheduled("1 Insufficient nvidia.com/gpu."), (), "unschedulable", None, "nvidia.com/gpu", id="gpu"),
    pytest.param(unscheduled(NO_NODE), (), "unschedulable", None, "what its size", id="selector"),
    pytest.param(
        unscheduled("pod has unbound immediate PersistentVolumeClaims"), (), "volume-attach", None, "", id="pvc"
    ),
    pytest.param(unscheduled(NO_CLAIM), (), "volume-missing", 5, "“noaa”", id="no such claim"),
    pytest.param(waiting("ContainerCreating"), (MOUNT,), "volume-attach", None, "“project-co2”", id="mount"),
    pytest.param(waiting("ContainerCreating"), (NODE,), "node-lost", 10, "", id="node lost"),
    pytest.param(pod(phase="Failed", reason="NodeLost"), (), "node-lost", 0, "", id="node lost for good"),
    pytest.param(pod(phase="Failed", reason="Evicted"), (), "node-refused", 0, "", id="evicted"),
    pytest.param(pod(phase="Failed", reason="OutOfmemory"), (), "node-refused", 0, "", id="node full"),
]


@pytest.mark.parametrize(("state", "events", "code", "patience", "names"), CASES)
def test_what_keeps_a_pod_from_running_is_named(
    state: Object, events: tuple[Object, ...], code: str, patience: float | None, names: str
) -> None:
    found = kube_failures.find(state, lambda: events)
    assert found is not None
    assert (found.error.code, found.patience) == (code, patience)
    assert names in found.error.detail


@pytest.mark.parametrize("state", [None, pod(), waiting("ContainerCreating"), container({"running": {}})])
def test_a_pod_on_its_way_has_no_trouble(state: Object | None) -> None:
    assert kube_failures.find(state, lambda: [{"reason": "Pulling", "message": "Pulling image"}]) is None


@pytest.mark.parametrize(
    ("said", "code", "names"),
    [
        (
            "exceeded quota: q, requested: pods=1,cpu=1, used: pods=10,cpu=2, limited: pods=10,cpu=8",
            "quota-exceeded",
            "more pods (10 of 10",
        ),
        (
            "exceeded quota: q, requested: memory=1, used: memory=536870912, limited: memory=600Mi",
            "quota-exceeded",
            "(512 MiB of 600Mi",
        ),
        ("exceeded quota: in words of another release", "quota-exceeded", "more resources."),
        ('violates PodSecurity "restricted:latest"', "cluster-refused", "operator"),
        ("", "cluster-refused", "operator"),
    ],
)
def test_what_the_api_refuses_is_named(said: str, code: str, names: str) -> None:
    error = ApiException(status=403, reason="Forbidden")
    error.body = json.dumps({"message": said}).encode() if said else b"no JSON"
    found = kube_failures.refused(error)
    assert found.code == code
    assert names in found.detail


def test_the_operators_log_holds_conditions_and_events_but_no_secrets() -> None:
    state = unscheduled("0/3 nodes are available")
    state["spec"] = {"containers": [{"name": "notebook", "env": [{"name": "JUPYTERHUB_API_TOKEN", "value": "s3cret"}]}]}
    told = kube_failures.told(state, [MOUNT])
    assert "0/3 nodes are available" in told
    assert "FailedMount" in told
    assert "s3cret" not in told
    assert kube_failures.told(None, []) == "The cluster says nothing of it."
