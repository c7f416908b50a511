"""The clusters of the tests themselves: up, down, up again after a kill, volumes, images, policies."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Final

import pytest

from .archives import write_archive
from .cluster import Cluster
from .conftest import assert_nothing_left
from .errors import ClusterError
from .layout import CHECKOUT

pytestmark = pytest.mark.cluster
CLAIM: Final = """
apiVersion: v1
kind: PersistentVolumeClaim
metadata: { name: data }
spec: { accessModes: [ReadWriteMany], storageClassName: shared, resources: { requests: { storage: 1Gi } } }
"""
POD: Final = """
apiVersion: v1
kind: Pod
metadata: {{ name: {name}, labels: {{ app: {name} }} }}
spec:
  restartPolicy: Never
  terminationGracePeriodSeconds: 0
  securityContext: {{ runAsUser: 1000, runAsGroup: 1000, fsGroup: 7000 }}
  containers:
    - {{ name: main, image: "{image}", command: ["sh", "-c", "{script}"], volumeMounts: {mounts} }}
  volumes: {volumes}
"""
POLICIES: Final = """
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: { name: nothing }
spec: { podSelector: {}, policyTypes: [Ingress, Egress] }
---
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: { name: asks }
spec:
  podSelector: { matchLabels: { app: asks } }
  policyTypes: [Egress]
  egress: [{ to: [{ podSelector: { matchLabels: { app: serves } } }], ports: [{ port: 8080 }] }]
---
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: { name: serves }
spec:
  podSelector: { matchLabels: { app: serves } }
  ingress: [{ from: [{ podSelector: { matchLabels: { app: asks } } }] }]
"""
# One that takes no notice of being asked to end is waited for half a minute
SLEEPER: Final = "trap exit TERM; while sleep 1; do :; done"
MOUNTED: Final = {
    "mounts": "[{ name: data, mountPath: /data }]",
    "volumes": "[{ name: data, persistentVolumeClaim: { claimName: data } }]",
}


def pod(name: str, script: str, image: str = "localhost/busybox:1", mounts: str = "[]", volumes: str = "[]") -> str:
    return POD.format(name=name, script=script, image=image, mounts=mounts, volumes=volumes)


@contextlib.contextmanager
def namespace(cluster: Cluster, name: str) -> Iterator[Callable[..., str]]:
    """Lend kubectl in a namespace of its own."""

    def kubectl(*arguments: str, **options: Any) -> str:
        return cluster.kubectl(f"--namespace={name}", *arguments, **options)

    cluster.kubectl("create", "namespace", name)
    wait(lambda: "default" in kubectl("get", "serviceaccounts", "--output=name"))
    try:
        yield kubectl
    finally:
        cluster.kubectl("delete", "namespace", name)


def wait(holds: Callable[[], bool], seconds: float = 30) -> None:
    end = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < end
        time.sleep(0.1)


def phase(kubectl: Callable[..., str], thing: str) -> str:
    return kubectl("get", thing, "--output=jsonpath={.status.phase}")


def script(state: Path, *verb: str) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-m", "tests.cluster", "--state", str(state), *verb]
    return subprocess.Popen(command, cwd=CHECKOUT)


def pids(cluster: Cluster) -> dict[str, int | None]:
    return {name: cluster.processes.pid(name) for name in cluster.processes.names()}


def test_the_script_brings_a_control_plane_up_and_down_twice(tmp_path: Path) -> None:
    for _ in range(2):
        assert script(tmp_path / "state", "up", "--control-plane").wait() == 0
        made = Cluster.found(tmp_path / "state")
        running = pids(made)
        assert script(tmp_path / "state", "up", "--control-plane").wait() == 0
        assert pids(made) == running
        assert len(json.loads(made.kubectl("get", "nodes", "--output=json"))["items"]) == 2
        for _ in range(2):
            assert script(tmp_path / "state", "down").wait() == 0
            assert_nothing_left(made)


@pytest.mark.parametrize("last", ["etcd", "api", "kwok"])
def test_a_script_that_was_killed_is_repeated(tmp_path: Path, last: str) -> None:
    made = Cluster(tmp_path / "state", full=False)
    try:
        first = script(made.state, "up", "--control-plane")
        wait(lambda: made.processes.pid(last) is not None)
        first.send_signal(signal.SIGKILL)
        first.wait()
        kept = made.processes.pid("etcd")
        made.up()
        assert made.processes.pid("etcd") == kept
        assert made.kubectl("get", "nodes", "--output=name").split() == ["node/fake-1", "node/fake-2"]
    finally:
        made.down()
    assert_nothing_left(made)


def test_clusters_stand_beside_each_other(control_plane: Cluster, tmp_path: Path) -> None:
    other = Cluster(tmp_path / "state", full=False)
    try:
        other.up()
        other.kubectl("create", "namespace", "only-here")
        assert "only-here" not in control_plane.kubectl("get", "namespaces")
    finally:
        other.down()


def test_a_folder_holds_one_kind_of_cluster(control_plane: Cluster) -> None:
    with pytest.raises(ClusterError, match="other kind"):
        Cluster(control_plane.state, full=True)._keep_kind()
    with pytest.raises(ClusterError, match="takes no images"):
        control_plane.load(Path("none.tar"))


def test_a_folder_without_a_cluster_says_so(tmp_path: Path) -> None:
    with pytest.raises(ClusterError, match="Bring one up"):
        Cluster.found(tmp_path)


def test_fake_nodes_run_pods_and_end_tasks(control_plane: Cluster) -> None:
    with namespace(control_plane, "fake") as kubectl:
        kubectl("apply", "--filename=-", input=pod("task", "true"))
        kubectl("apply", "--filename=-", input=pod("server", "true").replace("Never", "OnFailure"))
        wait(lambda: phase(kubectl, "pod/task") == "Succeeded")
        wait(lambda: phase(kubectl, "pod/server") == "Running")
        kubectl("delete", "pod/server", "--wait=true")


def test_a_claim_is_bound_grows_and_takes_its_folder_along(control_plane: Cluster) -> None:
    with namespace(control_plane, "claims") as kubectl:
        kubectl("apply", "--filename=-", input=CLAIM)
        wait(lambda: phase(kubectl, "pvc/data") == "Bound")
        volume = kubectl("get", "pvc/data", "--output=jsonpath={.spec.volumeName}")
        folder = control_plane.state / "volumes" / volume
        assert folder.stat().st_mode & 0o7777 == 0o755
        kubectl("patch", "pvc/data", "--patch", '{"spec": {"resources": {"requests": {"storage": "2Gi"}}}}')
        wait(lambda: kubectl("get", "pvc/data", "--output=jsonpath={.status.capacity.storage}") == "2Gi")
        kubectl("delete", "pvc/data")
        wait(lambda: not folder.exists())
        wait(lambda: volume not in kubectl("get", "pv"))


def test_a_pod_writes_to_its_claim_with_the_group_it_was_given(cluster: Cluster) -> None:
    with namespace(cluster, "writes") as kubectl:
        kubectl("apply", "--filename=-", input=CLAIM)
        kubectl(
            "apply", "--filename=-", input=pod("writer", "id; umask 2; touch /data/here; mkdir /data/below", **MOUNTED)
        )
        wait(lambda: phase(kubectl, "pod/writer") == "Succeeded", 60)
        folder = cluster.state / "volumes" / kubectl("get", "pvc/data", "--output=jsonpath={.spec.volumeName}")
        assert (folder.stat().st_uid, folder.stat().st_gid, folder.stat().st_mode & 0o7777) == (0, 7000, 0o2775)
        assert ((folder / "here").stat().st_uid, (folder / "here").stat().st_gid) == (1000, 7000)
        assert (folder / "below").stat().st_mode & 0o2000
        assert "groups=" in kubectl("logs", "writer")


def test_an_image_is_loaded_from_an_archive(cluster: Cluster, tmp_path: Path) -> None:
    write_archive(tmp_path / "own.tar", "localhost/own:1", Path("/bin/busybox"), other_names=["sh"])
    cluster.load(tmp_path / "own.tar")
    with namespace(cluster, "images") as kubectl:
        kubectl("apply", "--filename=-", input=pod("own", "echo loaded", "localhost/own:1"))
        wait(lambda: phase(kubectl, "pod/own") == "Succeeded", 60)
        assert kubectl("logs", "own") == "loaded\n"
    with pytest.raises(ClusterError, match="no archive of images"):
        cluster.load(tmp_path / "none.tar")


def test_names_of_services_are_known(cluster: Cluster) -> None:
    with namespace(cluster, "names") as kubectl:
        kubectl("apply", "--filename=-", input=pod("asks", "nslookup kubernetes.default.svc.cluster.local"))
        wait(lambda: phase(kubectl, "pod/asks") == "Succeeded", 60)
        assert "10.96.0.1" in kubectl("logs", "asks")


def test_there_is_one_full_cluster_on_a_machine(cluster: Cluster, tmp_path: Path) -> None:
    with pytest.raises(ClusterError, match=str(cluster.state)):
        Cluster(tmp_path / "state").up()
    assert cluster.processes.pid("node") is not None


def test_up_again_changes_nothing(cluster: Cluster) -> None:
    running = pids(cluster)
    cluster.up()
    assert pids(cluster) == running


@pytest.mark.parametrize("killed", [["kubelet"], ["etcd", "api"], ["containerd", "enforcer", "provisioner"], ["node"]])
def test_what_was_killed_comes_up_again(cluster: Cluster, killed: list[str]) -> None:
    with namespace(cluster, "lives-on") as kubectl:
        kubectl("create", "deployment", "sleeper", "--image=localhost/busybox:1", "--", "sh", "-c", SLEEPER)
        kubectl("rollout", "status", "deployment/sleeper", "--timeout=60s")
        for name in killed:
            os.kill(cluster.processes.pid(name) or 0, signal.SIGKILL)
        wait(lambda: not any(cluster.processes.pid(name) for name in killed))
        cluster.up()
        kubectl("rollout", "status", "deployment/sleeper", "--timeout=60s")
        kubectl("apply", "--filename=-", input=pod("after", "true"))
        wait(lambda: phase(kubectl, "pod/after") == "Succeeded", 60)


def test_policies_bite(cluster: Cluster) -> None:
    with namespace(cluster, "policies") as kubectl:
        kubectl("apply", "--filename=-", input=pod("serves", "httpd -p 8080; httpd -p 8081; sleep 1d"))
        for name in ("asks", "other"):
            kubectl("apply", "--filename=-", input=pod(name, "sleep 1d"))
        kubectl("expose", "pod", "serves", "--port=80", "--target-port=8080")
        kubectl("wait", "--for=condition=Ready", "pod", "--all", "--timeout=60s")
        there = kubectl("get", "pod/serves", "--output=jsonpath={.status.podIP}")
        service = kubectl("get", "service/serves", "--output=jsonpath={.spec.clusterIP}")

        def reaches(who: str, host: str, port: int) -> bool:
            script = f"nc -w 2 {host} {port} </dev/null && echo yes || true"
            return "yes" in kubectl("exec", who, "--", "sh", "-c", script)

        wait(lambda: reaches("other", service, 80))
        assert reaches("asks", there, 8081)
        assert reaches("other", cluster.address, 10250)
        kubectl("apply", "--filename=-", input=POLICIES)
        wait(lambda: not reaches("other", there, 8080))
        assert reaches("asks", there, 8080)
        assert reaches("asks", service, 80)
        assert not reaches("asks", there, 8081)
        assert not reaches("other", service, 80)
        assert not reaches("other", cluster.address, 10250)
        assert not reaches("asks", "10.96.0.1", 443)
        kubectl("delete", "networkpolicy", "--all")
        wait(lambda: reaches("other", there, 8081))
