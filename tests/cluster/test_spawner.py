"""CollabKubeSpawner in a real Hub on a real API server and scheduler; KWOK plays the nodes."""

from __future__ import annotations

import contextlib
import json
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
from pydantic import ByteSize

from jupyterhub_collab.access.models import Role
from jupyterhub_collab.factory import Factory
from jupyterhub_collab.migrations import upgrade
from jupyterhub_collab.projects.service import NewProject, ProjectChanges
from jupyterhub_collab_spawner.builders import claims, pods
from tests.support.kube_hub import KubeHub, kube_hub

from .cluster import Cluster

pytestmark = pytest.mark.cluster
SETTINGS = """
[database]
url = "sqlite+aiosqlite:///{state}/collab.sqlite"
[storage]
storage_class = "shared"
project_size = "1GiB"
home_size = "1GiB"
scratch_days = 30
scratch_size = "1GiB"
{storage}
[people]
consent = false
[rights.operator]
names = ["ada"]
[limits]
undo_days = 0
[environments.default]
image = "localhost/notebook:test"
[resource_classes.small]
memory = "512MiB"
[resource_classes.huge]
memory = "900GiB"
gpu = 2
allowed = {{names = ["eve"]}}
[resource_classes.elsewhere]
node_selector = {{pool = "none"}}
allowed = {{names = ["eve"]}}
"""
MakeHub = Callable[..., AbstractContextManager[KubeHub]]


@pytest.fixture
def make_hub(control_plane: Cluster, tmp_path: Path) -> MakeHub:
    @contextmanager
    def make(storage: str = "", **options: Any) -> Iterator[KubeHub]:
        settings = SETTINGS.format(state=tmp_path, storage=storage)
        with kube_hub(control_plane, tmp_path, settings) as made:
            made.core(fill)
            made.start(**{"interval": 0.5} | options)
            yield made

    return make


async def fill(factory: Factory) -> None:
    await upgrade(factory.database)
    for name in ("ada", "ben", "eve"):
        await factory.people.sign_in(name, display_name="", groups=None)
    for slug in ("co2", "ocean"):
        await factory.projects.create("ada", NewProject(slug=slug, title=slug))
    await factory.members.put("ada", "co2", "ben", Role.EDITOR)
    await factory.members.put("ada", "ocean", "ben", Role.VIEWER)


def open_grants(hub: KubeHub) -> set[tuple[str, str]]:
    async def read(factory: Factory) -> set[tuple[str, str]]:
        return {(grant.person, grant.server_name) for grant in await factory.servers.open_grants()}

    return hub.core(read)


def assert_nothing_left(hub: KubeHub) -> None:
    """Check that a failed start left neither a pod nor a grant; housekeeping is another matter."""
    hub.until(lambda: hub.objects("pods", "-l", "collab.jupyter.org/work notin (clean,measure)") == {})
    assert open_grants(hub) == set()


def test_a_server_from_start_to_stop(make_hub: MakeHub) -> None:
    with make_hub() as hub:
        assert hub.start_server("ben").status_code == 201, hub.log[-6000:]
        pod = hub.objects("pods")["jupyter-ben"]
        mounts = {mount["mountPath"]: mount for mount in pod["spec"]["containers"][0]["volumeMounts"]}
        assert "readOnly" not in mounts["/home/jovyan/projects/co2"]
        assert mounts["/home/jovyan/projects/ocean"]["readOnly"]
        assert set(pod["spec"]["securityContext"]["supplementalGroups"]) == {
            100,
            pods.group_id("co2"),
            pods.group_id("ocean"),
        }
        made = hub.objects("pvc")
        assert set(made) == {"home-ben", "project-co2", "project-ocean", "scratch-ben"}
        assert all(claims.is_prepared(claim) for claim in made.values())
        assert made["project-co2"]["spec"]["accessModes"] == ["ReadWriteMany"]
        hub.stop_server("ben")
        assert_nothing_left(hub)
        assert set(hub.objects("pvc")) == set(made)
        hub.api("DELETE", "/users/ben")
        assert set(hub.objects("pvc")) == set(made)


@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGKILL])
def test_servers_outlive_the_hub_and_what_nobody_claims_does_not(make_hub: MakeHub, how: signal.Signals) -> None:
    with make_hub() as hub:
        for name in ("ada", "ben"):
            assert hub.start_server(name).status_code == 201
        before = hub.objects("pods")
        hub.stop(how)
        stray = {key: value for key, value in before["jupyter-ada"].items() if key != "status"}
        stray["metadata"] = {key: stray["metadata"][key] for key in ("labels", "annotations")} | {
            "name": "jupyter-gone"
        }
        stray["metadata"]["annotations"]["hub.jupyter.org/username"] = "gone"
        hub.kubectl("create", "-f", "-", given=stray)
        hub.kubectl("delete", "pod", "jupyter-ben", "--grace-period=0", "--force")
        hub.start(interval=0.5)
        hub.until(lambda: set(hub.objects("pods")) == {"jupyter-ada"})
        assert hub.objects("pods")["jupyter-ada"]["metadata"]["uid"] == before["jupyter-ada"]["metadata"]["uid"]
        assert hub.servers("ada")[""]["ready"]
        hub.until(lambda: hub.servers("ben") == {})
        hub.until(lambda: open_grants(hub) == {("ada", "")})


def test_a_hub_that_is_killed_in_the_middle_of_a_start_leaves_nothing(make_hub: MakeHub) -> None:
    with make_hub() as hub:
        unscheduled(hub, "huge")
        starting = threading.Thread(target=start_and_lose, args=(hub, "eve"))
        starting.start()
        hub.until(lambda: "jupyter-eve" in hub.objects("pods"))
        hub.stop(signal.SIGKILL)
        starting.join()
        hub.start(interval=0.5)
        hub.until(lambda: hub.servers("eve") == {})
        hub.until(lambda: hub.objects("pods") == {} and open_grants(hub) == set())
        usual(hub)
        assert hub.start_server("eve").status_code == 201


def test_who_loses_access_loses_the_pod(make_hub: MakeHub) -> None:
    with make_hub() as hub:
        for name in ("ada", "ben"):
            assert hub.start_server(name).status_code == 201
        hub.core(lambda factory: factory.members.put("ada", "co2", "ben", Role.VIEWER))
        assert hub.until(lambda: "jupyter-ben" not in hub.objects("pods")) < 5
        hub.until(lambda: hub.servers("ben") == {})
        assert set(hub.objects("pods")) == {"jupyter-ada"}


def test_a_used_up_quota_is_a_sentence(make_hub: MakeHub) -> None:
    with make_hub() as hub:
        assert hub.start_server("ada").status_code == 201
        quota = {"apiVersion": "v1", "kind": "ResourceQuota", "metadata": {"name": "servers"}}
        hub.kubectl("create", "-f", "-", given=quota | {"spec": {"hard": {"limits.memory": "600Mi"}}})
        hub.until(lambda: "used" in hub.objects("resourcequota")["servers"].get("status", {}))
        answer = hub.start_server("ben")
        assert answer.status_code == 503
        assert "quota is used up" in answer.json()["message"]
        assert "limits.memory (512 MiB of 600Mi are in use)" in answer.json()["message"]
        hub.until(lambda: set(hub.objects("pods")) == {"jupyter-ada"})
        assert open_grants(hub) == {("ada", "")}


def test_a_server_for_which_there_is_no_room_is_a_sentence(make_hub: MakeHub) -> None:
    with make_hub(start_timeout=12) as hub:
        unscheduled(hub, "huge")
        answer = hub.start_server("eve")
        assert answer.status_code == 503
        assert "enough nvidia.com/gpu" in answer.json()["message"]
        assert "nodes are available" in hub.log
        assert_nothing_left(hub)


def test_an_image_that_can_not_be_had_is_a_sentence(make_hub: MakeHub) -> None:
    with make_hub() as hub:
        unscheduled(hub, "elsewhere")
        answers: list[Any] = []
        starting = threading.Thread(target=lambda: answers.append(hub.start_server("eve")))
        starting.start()
        hub.until(lambda: "jupyter-eve" in hub.objects("pods"))
        waiting = {"waiting": {"reason": "InvalidImageName", "message": "couldn't parse image name"}}
        entry = {
            "name": "notebook",
            "image": "localhost/notebook:test",
            "imageID": "",
            "ready": False,
            "restartCount": 0,
        }
        status = {"status": {"containerStatuses": [entry | {"state": waiting}]}}
        hub.kubectl("patch", "pod", "jupyter-eve", "--subresource=status", "--type=merge", "-p", json.dumps(status))
        starting.join(20)
        assert answers[0].status_code == 503
        assert "can't get the image “localhost/notebook:test”" in answers[0].json()["message"]
        assert_nothing_left(hub)


def test_a_claim_that_is_never_bound_is_a_sentence(make_hub: MakeHub) -> None:
    with make_hub("shared_claim = 'not-there'", volume_timeout=5) as hub:
        answer = hub.start_server("ada")
        assert answer.status_code == 503
        assert "The cluster has not provided the home folder within 5 seconds" in answer.json()["message"]
        assert 'persistentvolumeclaim "not-there" not found' in hub.log
        assert_nothing_left(hub)


def test_projects_grow_and_go_with_their_claims(make_hub: MakeHub) -> None:
    with make_hub(housekeeping_interval=1) as hub:
        assert hub.start_server("ada", "co2").status_code == 201
        larger = ProjectChanges(volume_size=ByteSize(3 * 1024**3))
        hub.core(lambda factory: factory.projects.change("ada", "co2", larger, etag=None))
        hub.until(lambda: claims.requested(hub.objects("pvc")["project-co2"]) == 3 * 1024**3)
        hub.core(lambda factory: factory.projects.delete("ada", "co2"))
        hub.until(lambda: "project-co2" not in hub.objects("pvc"))
        hub.until(lambda: hub.objects("pods") == {})
        assert {"home-ada", "scratch-ada"} <= set(hub.objects("pvc"))


def start_and_lose(hub: KubeHub, person: str) -> None:
    with contextlib.suppress(httpx.HTTPError):
        hub.start_server(person)


def test_claims_of_one_node_keep_everything_on_it(make_hub: MakeHub) -> None:
    with make_hub("access_mode = 'ReadWriteOnce'\nnode = 'fake-2'") as hub:
        for name in ("ada", "ben"):
            assert hub.start_server(name).status_code == 201
        assert {pod["spec"]["nodeName"] for pod in hub.objects("pods").values()} == {"fake-2"}
        assert {claim["spec"]["accessModes"][0] for claim in hub.objects("pvc").values()} == {"ReadWriteOnce"}


def test_folders_of_one_shared_claim(make_hub: MakeHub) -> None:
    with make_hub("shared_claim = 'collab-files'") as hub:
        spec = {
            "accessModes": ["ReadWriteMany"],
            "storageClassName": "shared",
            "resources": {"requests": {"storage": "1Gi"}},
        }
        metadata = {"name": "collab-files"}
        claim = {"apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": metadata, "spec": spec}
        hub.kubectl("create", "-f", "-", given=claim)
        assert hub.start_server("ada", "co2").status_code == 201
        pod = hub.objects("pods")["jupyter-ada--co2"]
        folders = {mount["subPath"] for mount in pod["spec"]["containers"][0]["volumeMounts"]}
        assert folders == {"home-ada", "project-co2", "scratch-ada"}
        assert set(hub.objects("pvc")) == {"collab-files"}


def unscheduled(hub: KubeHub, size: str) -> None:
    """Let eve's workspace have a size that no node can give."""
    text = hub.settings_file.read_text(encoding="utf-8")
    hub.settings_file.with_suffix(".usual").write_text(text, encoding="utf-8")
    first, _, rest = text.partition("[resource_classes.small]")
    block = rest[rest.index(f"[resource_classes.{size}]") :].split("\n[", 1)[0]
    block = block.replace('allowed = {names = ["eve"]}\n', "").replace(size, "first")
    hub.settings_file.write_text(first + block + "\n[resource_classes.small]" + rest, encoding="utf-8")
    hub.stop()
    hub.start(interval=0.5, start_timeout=12)


def usual(hub: KubeHub) -> None:
    """Let all sizes be as they were."""
    hub.settings_file.write_text(hub.settings_file.with_suffix(".usual").read_text(encoding="utf-8"), encoding="utf-8")
    hub.stop()
    hub.start(interval=0.5)
