"""Servers on a fake cluster: what the pod is, how it starts and ends, and what is said when it does not."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from jupyterhub.spawner import SpawnException
from jupyterhub.utils import format_exception
from traitlets import TraitError
from traitlets.config import Config

from jupyterhub_collab.servers.models import ServerPlan
from jupyterhub_collab.settings import Settings, Storage
from jupyterhub_collab_spawner import kube_reflectors
from jupyterhub_collab_spawner.builders import claims, pods
from tests.spawner.support import plans
from tests.spawner.support.cluster import SETTINGS, World, world_of
from tests.support.kubernetes_api import running, waiting

ONE_NODE = Storage(access_mode="ReadWriteOnce", node="worker-3")


@pytest.fixture
async def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[World]:
    async with world_of(tmp_path, monkeypatch) as made:
        yield made


async def manifest(world: World, plan: ServerPlan, **options: Any) -> dict[str, Any]:
    """Return the pod that a start creates, as it was sent."""
    spawner = world.new(plan, **options)
    await spawner.start()
    made = world.api.pods[spawner.pod_name]
    for name in ("resourceVersion", "uid", "creationTimestamp", "namespace"):
        del made["metadata"][name]
    del made["status"], made["spec"]["nodeName"]
    for variable in made["spec"]["containers"][0]["env"]:
        if variable["value"].startswith("["):  # JupyterHub makes these from a set, in any order
            variable["value"] = sorted(json.loads(variable["value"]))
    return made


async def refused(spawner: Any) -> SpawnException:
    """Return the sentence of a start that must fail, having left nothing."""
    with pytest.raises(SpawnException) as failed:
        await spawner.start()
    return failed.value


async def test_a_workspace_with_a_claim_for_each_volume(world: World) -> None:
    plans.compare("pod-workspace", await manifest(world, plans.workspace("noaa-claim")))


async def test_a_project_server_on_one_shared_claim(world: World) -> None:
    world.settings(Settings(storage=Storage(shared_claim="collab-files")))
    plans.compare("pod-project-shared", await manifest(world, plans.project_server()))


async def test_what_the_operator_configures_beside_the_plan_stays(world: World) -> None:
    memory = {"name": "shm", "emptyDir": {"medium": "Memory"}}
    pod = await manifest(
        world,
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


async def test_neither_profile_nor_option_widens_the_plan(world: World) -> None:
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
    pod = await manifest(world, plans.workspace("noaa-claim"), profile_list=[profile], user_options=options)
    plans.compare("pod-workspace", pod)


async def test_claims_that_one_node_can_mount_keep_all_pods_on_it(world: World) -> None:
    world.settings(SETTINGS.model_copy(update={"storage": ONE_NODE}))
    kept = world.api.kubelet
    tasks = []

    def kubelet(pod: dict[str, Any]) -> dict[str, Any] | None:
        tasks.append(pod["spec"]["nodeSelector"])
        return kept(pod)

    world.api.kubelet = kubelet
    pod = await manifest(world, plans.project_server())
    assert pod["spec"]["nodeSelector"] == {"kubernetes.io/hostname": "worker-3", "pool": "gpu"}
    assert {"kubernetes.io/hostname": "worker-3"} in tasks
    assert world.api.claims["project-co2"]["spec"]["accessModes"] == ["ReadWriteOnce"]


async def test_a_namespace_for_each_person_is_refused(world: World) -> None:
    with pytest.raises(TraitError, match="claim"):
        world.new(plans.plan(), enable_user_namespaces=True)


async def test_a_refused_plan_is_a_sentence(world: World) -> None:
    spawner = world.new(plans.plan(server_name="<b>"))
    world.servers.plan = None
    error = await refused(spawner)
    assert "you have no project “<b>" in error.message
    assert (error.status_code, error.reason) == (404, "no-such-project-server")
    assert "<b>" not in error.message_html


async def test_a_start_whose_claims_are_prepared_asks_what_stock_asks(world: World) -> None:
    first = world.new(plans.workspace("noaa-claim"))
    await first.start()
    await first.stop()
    world.api.calls.clear()
    await world.new(plans.workspace("noaa-claim")).start()
    asked = {call: count for call, count in world.api.calls.items() if not call.startswith("watch")}
    assert asked == {"create pods": 1}


async def test_a_stop_is_over_when_the_node_has_confirmed_the_end(world: World) -> None:
    spawner = world.new(plans.plan())
    await spawner.start()
    world.api.confirms = False
    stopping = asyncio.ensure_future(spawner.stop(now=True))
    await world.until(lambda: "deletionTimestamp" in world.api.pods["jupyter-ada"]["metadata"])
    await asyncio.sleep(0.3)
    assert not stopping.done()
    assert world.servers.ended_ones == []
    await world.api.put("pods", world.api.pods["jupyter-ada"], "DELETED")
    await asyncio.wait_for(stopping, 2)
    assert world.servers.ended_ones == [1]


async def test_a_node_that_is_lost_does_not_keep_its_pods_for_ever(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    spawner = world.new(plans.plan(), lost_node_patience=1)
    await spawner.start()
    world.api.confirms = False
    await asyncio.wait_for(spawner.stop(now=True), 10)
    assert "jupyter-ada" not in world.api.pods
    assert "node1 does not confirm" in caplog.text
    assert world.servers.ended_ones == [1]


async def test_a_pod_that_somebody_else_deletes_is_noticed(world: World) -> None:
    spawner = world.new(plans.plan())
    await spawner.start()
    assert await spawner.poll() is None
    await world.api.put("pods", world.api.pods["jupyter-ada"], "DELETED")
    await world.until(lambda: spawner._pod is None)
    assert await spawner.poll() == 1
    assert world.servers.ended_ones == [1]


async def test_a_pod_that_its_node_evicted_leaves_nothing(world: World) -> None:
    spawner = world.new(plans.plan())
    await spawner.start()
    await world.api.set_status("jupyter-ada", {"phase": "Failed", "reason": "Evicted"})
    await world.until(lambda: spawner._pod["status"]["phase"] == "Failed")
    assert await spawner.poll() == 1
    assert "jupyter-ada" not in world.api.pods


async def test_the_next_hub_finds_the_pod(world: World) -> None:
    spawner = world.new(plans.plan())
    await spawner.start()
    again = world.new(plans.plan())
    again.load_state(json.loads(json.dumps(spawner.get_state())))
    assert await again.poll() is None
    assert again.grant_id == 1


async def test_a_hub_restored_elsewhere_looks_in_its_own_namespace(world: World) -> None:
    spawner = world.new(plans.plan())
    elsewhere = {"namespace": "before", "dns_name": "jupyter-ada.before", "pod_name": "jupyter-ada", "grant": 1}
    spawner.load_state(elsewhere)
    assert spawner.namespace == world.new(plans.plan()).namespace
    assert await spawner.poll() == 1
    assert spawner.grant_id is None


async def test_a_pod_without_a_grant_is_ended(world: World) -> None:
    await world.new(plans.plan()).start()
    assert await world.new(plans.plan()).poll() == 1
    assert world.api.pods == {}


async def test_an_older_pod_of_the_name_gives_way(world: World) -> None:
    await world.new(plans.plan()).start()
    older = world.api.pods["jupyter-ada"]["metadata"]["uid"]
    await world.new(plans.plan()).start()
    assert world.api.pods["jupyter-ada"]["metadata"]["uid"] != older


async def test_a_cluster_that_is_away_has_ended_nothing(world: World) -> None:
    world.api.away = True
    spawner = world.new(plans.plan(), k8s_api_request_retry_timeout=1)
    assert await spawner.poll() is None
    assert await world.new(plans.plan()).poll() is None  # nor does the second one believe that there is no pod
    assert (await refused(spawner)).reason == "cluster-unavailable"
    assert spawner.grant_id is None


async def test_a_cluster_that_has_too_much_to_do_is_asked_again(world: World) -> None:
    world.api.refuse["create", "pods"] = [(429, "too many requests"), (500, "etcd leader changed")]
    await world.new(plans.plan()).start()


async def test_a_watch_that_is_told_410_lists_again(world: World) -> None:
    spawner = world.new(plans.plan())
    await spawner.start()
    world.api.compact()
    await world.api.put("pods", world.api.pods["jupyter-ada"], "DELETED")
    await world.until(lambda: spawner._pod is None, 15)


@pytest.mark.parametrize("forgotten", [False, True])
async def test_a_start_is_told_that_its_pod_runs(
    world: World, monkeypatch: pytest.MonkeyPatch, *, forgotten: bool
) -> None:
    monkeypatch.setattr(kube_reflectors, "_WITHOUT_NEWS", 3600)
    world.api.kubelet = lambda pod: running(pod) if _is_task(pod) else None
    spawner = world.new(plans.plan())
    starting = asyncio.ensure_future(spawner.start())
    await world.until(lambda: spawner.pod_reflector and spawner._pod is not None)
    assert not starting.done()
    if forgotten:  # then the next list tells it
        world.api.compact()
    status = running(world.api.pods["jupyter-ada"])
    assert status is not None
    await world.api.set_status("jupyter-ada", status)
    await asyncio.wait_for(starting, 15)


@pytest.mark.parametrize(("list_seconds", "lists"), [(60, 2), (0, 5)])  # two of them at the start
async def test_a_watch_goes_on_where_the_last_one_ended(
    world: World, monkeypatch: pytest.MonkeyPatch, list_seconds: float, lists: int
) -> None:
    monkeypatch.setattr(kube_reflectors.EventReflector, "list_seconds", list_seconds)
    spawner = world.new(plans.plan(), config=Config({"EventReflector": {"timeout_seconds": 1}}))
    await spawner.start()
    for watch in range(1, 5):
        await world.until(lambda watch=watch: world.api.calls["watch events"] == watch)
        await world.api.tell("jupyter-ada", "Pulled", str(watch))
    await world.until(lambda: len(spawner.events) == 4)
    assert world.api.calls["list events"] == lists


async def test_a_used_up_quota_is_a_sentence(world: World) -> None:
    said = (
        'pods "jupyter-ada" is forbidden: exceeded quota: servers, requested: limits.memory=2Gi,'
        " used: limits.memory=15Gi, limited: limits.memory=16Gi"
    )
    spawner = world.new(plans.plan())
    await spawner.claim_volumes.ensure(claims.needed(plans.plan(), SETTINGS.storage))
    world.api.refuse["create", "pods"] = [(403, said)]
    error = await refused(spawner)
    assert error.reason == "quota-exceeded"
    assert "limits.memory (15Gi of 16Gi are in use)" in error.message
    assert world.servers.ended_ones == [1]


async def test_what_the_cluster_refuses_is_told_to_the_operator_without_secrets(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    spawner = world.new(plans.plan(), environment={"PASSWORD": "only-the-server-knows"})
    await spawner.claim_volumes.ensure(claims.needed(plans.plan(), SETTINGS.storage))
    world.api.refuse["create", "pods"] = [(403, 'violates PodSecurity "restricted:latest"')]
    assert (await refused(spawner)).reason == "cluster-refused"
    assert "violates PodSecurity" in caplog.text
    assert "only-the-server-knows" not in caplog.text


@pytest.mark.parametrize("reason", ["InvalidImageName", "ErrImageNeverPull"])
async def test_an_image_that_can_not_be_had_ends_the_start_at_once(world: World, reason: str) -> None:
    world.api.kubelet = lambda pod: running(pod) if _is_task(pod) else waiting(pod, reason)
    error = await asyncio.wait_for(refused(world.new(plans.plan())), 10)
    assert error.reason == "image-pull"
    assert "registry.example/notebook:1" in error.message
    for shown in format_exception(error, only_jupyterhub=True):  # so the page of a failed start finds what it shows
        assert "registry.example/notebook:1" in shown
    assert world.api.pods == {}


async def test_a_server_without_a_node_waits_for_one_until_its_time_is_over(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    said = "0/2 nodes are available: 2 Insufficient nvidia.com/gpu, 1 Insufficient memory."
    condition = {"type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": said}
    nowhere = {"phase": "Pending", "conditions": [condition]}
    world.api.kubelet = lambda pod: running(pod) if _is_task(pod) else nowhere
    error = await refused(world.new(plans.plan(), start_timeout=6))
    assert error.reason == "unschedulable"
    assert "enough nvidia.com/gpu and enough memory" in error.message
    assert said in caplog.text
    assert world.api.pods == {}


async def test_a_claim_that_outlasts_the_start_is_named(world: World) -> None:
    def kubelet(pod: dict[str, Any]) -> dict[str, Any] | None:
        return {"phase": "Pending"} if "project-co2" in str(pod["spec"]["volumes"]) else running(pod)

    world.api.kubelet = kubelet
    error = await refused(world.new(plans.plan(plans.project("co2")), start_timeout=6))
    assert error.reason == "volume-not-ready"
    assert "the folder of “co2” within 6 seconds" in error.message


async def test_a_server_that_is_taken_away_while_it_starts_says_so(world: World) -> None:
    world.api.kubelet = lambda pod: running(pod) if _is_task(pod) else {"phase": "Pending"}
    spawner = world.new(plans.plan())
    starting = asyncio.ensure_future(refused(spawner))
    await world.until(lambda: "jupyter-ada" in world.api.pods)
    await spawner.take_away()
    assert (await starting).reason == "access-changed"
    assert world.api.pods == {}


async def test_homes_stay_unless_the_operator_wants_otherwise(world: World) -> None:
    for delete, left in ((False, {"home-ada", "project-co2"}), (True, {"project-co2"})):
        spawner = world.new(plans.plan(plans.project("co2")), delete_home=delete)
        await spawner.start()
        await spawner.stop()
        again = world.new(plans.plan(), delete_home=delete)
        again.load_state(spawner.get_state())
        await again.delete_forever()
        assert set(world.api.claims) == left


def _is_task(pod: dict[str, Any]) -> bool:
    return bool(pod["spec"]["restartPolicy"] == "Never")


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
