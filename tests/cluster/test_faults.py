"""Whatever fails, on a real node: afterwards nothing is lost or left over, and servers start again without anyone."""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress

import httpx
import pytest

from .cluster import Cluster
from .faults import EDITOR, PATIENCE, SLUG, Group, ended
from .release import NAME, Release

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(900)]


@pytest.fixture(scope="module")
def group(release: Release) -> Iterator[Group]:
    made = Group(release)
    yield made
    for project in made.lead.api("GET", "/projects?mine=true")["items"]:
        made.lead.api("DELETE", f"/projects/{project['slug']}")


@contextmanager
def killed(cluster: Cluster, *programs: str) -> Iterator[None]:
    """Kill programs of the cluster for the length of the block."""
    for name in programs:
        cluster.processes.stop(name, signal.SIGKILL)
    try:
        yield
    finally:
        cluster.up()


def kill_in_pod(release: Release, component: str) -> None:
    """Kill everything in a pod of ours but what stands in for init, which ends with it."""
    with suppress(Exception):  # what carries the command is killed as well
        release.kubectl("exec", f"deployment/{NAME}-{component}", "--", "sh", "-c", "kill -9 -1")


def test_the_hub_is_killed_while_a_server_starts(group: Group) -> None:
    group.ask_for(group.editor)
    kill_in_pod(group.release, "hub")
    group.check()


def test_the_projects_service_is_killed_while_members_change(group: Group) -> None:
    group.start(group.editor)

    def remove() -> None:
        with suppress(httpx.HTTPError):
            group.lead.request("DELETE", f"/services/projects/api/v1{EDITOR}")

    removing = threading.Thread(target=remove)
    removing.start()
    kill_in_pod(group.release, "projects")
    removing.join()
    group.release.wait_until(group.release.serves, PATIENCE)
    if "editor" not in group.members():
        group.release.wait_until(lambda: not group.runs(group.editor), PATIENCE)
    group.stop(group.editor)
    group.join()
    group.check()


def test_the_api_server_is_away_for_20_seconds(group: Group, cluster: Cluster) -> None:
    group.start(group.lead)
    with killed(cluster, "api"):
        group.ask_for(group.editor)
        time.sleep(20)
        assert group.lead.ask(SLUG, "GET", "api/contents").status_code == httpx.codes.OK
    assert group.runs(group.lead)
    group.stop(group.lead)
    group.check()


def test_the_cluster_forgets_its_database_for_a_moment(group: Group, cluster: Cluster) -> None:
    group.ask_for(group.editor)
    with killed(cluster, "etcd"):
        time.sleep(2)
    group.check()


def test_someone_deletes_the_pod_of_a_server(group: Group) -> None:
    group.start(group.editor)
    for pod in group.release.servers():
        group.release.kubectl("delete", "pod", pod["metadata"]["name"], "--force", "--grace-period=0")
    group.release.wait_until(lambda: SLUG not in group.editor.servers(), PATIENCE)
    group.check()


def test_the_kubelet_restarts(group: Group, cluster: Cluster) -> None:
    group.start(group.lead)
    with killed(cluster, "kubelet"):
        group.ask_for(group.editor)
        time.sleep(2)
    assert group.lead.ask(SLUG, "GET", "api/contents").status_code == httpx.codes.OK
    group.stop(group.lead)
    group.check()


def test_the_databases_are_away_for_30_seconds(group: Group) -> None:
    group.start(group.lead)
    assert group.lead.ask(SLUG, "GET", "api/contents").is_success
    group.release.postgres.stop()
    try:
        time.sleep(30)
        assert group.lead.ask(SLUG, "GET", "api/contents").is_success
    finally:
        group.release.postgres.start()
    group.release.wait_until(group.release.serves, PATIENCE)
    group.stop(group.lead)
    group.check()


def test_a_claim_stays_pending(group: Group, cluster: Cluster) -> None:
    group.start(group.lead)  # the home is ready then
    group.stop(group.lead)
    with killed(cluster, "provisioner"):
        group.lead.api("POST", "/projects", 201, json={"title": "Stuck"})
        group.lead.hub("POST", "/users/lead/servers/stuck", json={"user_options": {}})
        group.release.wait_until(lambda: "stuck" not in group.lead.servers(), 400)
        assert "the folder of “stuck”" in group.failure(group.lead, "stuck")
    group.check()
    group.lead.start("stuck")
    group.lead.stop("stuck")


def test_an_image_does_not_exist(group: Group) -> None:
    group.start(group.editor)  # its folders are ready then
    group.stop(group.editor)
    image = group.release.values["singleuser"]["image"]
    group.release.install(singleuser={"image": {"name": "localhost/jupyterhub-collab/none"}})
    try:
        group.ask_for(group.editor)
        group.release.wait_until(lambda: SLUG not in group.editor.servers(), PATIENCE)
        assert "localhost/jupyterhub-collab/none" in group.failure(group.editor)
    finally:
        group.release.install(singleuser={"image": image})
    group.check()


def test_the_node_is_out_of_memory(group: Group, cluster: Cluster) -> None:
    group.start(group.editor)
    cluster.processes.stop("kubelet", signal.SIGKILL)
    cluster.start_kubelet("--eviction-soft=memory.available<99%", "--eviction-soft-grace-period=memory.available=1s")
    try:
        group.release.wait_until(lambda: all(map(ended, group.release.servers())), PATIENCE)
    finally:
        cluster.processes.stop("kubelet", signal.SIGKILL)
        cluster.up()
    group.check()
