"""Claims on a fake cluster: made, prepared once, grown, measured, cleaned and deleted."""

from __future__ import annotations

import asyncio
import os
import subprocess
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from jupyterhub_collab.errors import PlanRefusedError
from jupyterhub_collab.settings import Settings, Storage
from jupyterhub_collab.volumes.models import Mode, Mount, ScratchUse, VolumeKind
from jupyterhub_collab_spawner import core, kube_failures
from jupyterhub_collab_spawner.builders import claims, pods
from jupyterhub_collab_spawner.kube_strays import PodStrays
from jupyterhub_collab_spawner.kube_tasks import TaskFailedError
from jupyterhub_collab_spawner.kube_volumes import ClaimVolumes
from tests.spawner.support import plans
from tests.spawner.support.cluster import SETTINGS, World, world_of
from tests.support.kubernetes_api import running, waiting

Object = dict[str, Any]
SCRATCH = Mount(kind=VolumeKind.SCRATCH, volume="scratch-ada", path="~/scratch", mode=Mode.READ_WRITE)
PLAN = plans.plan(
    plans.project("co2"), plans.project("ocean", Mode.READ_ONLY), plans.data("noaa", "noaa-claim"), SCRATCH
)
SHARED = Settings(storage=Storage(shared_claim="collab-files"))


@pytest.fixture
async def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[World]:
    async with world_of(tmp_path, monkeypatch) as made:
        yield made


@pytest.fixture
def tasks(world: World) -> list[Object]:
    """Collect the pods of tasks."""
    seen: list[Object] = []

    def kubelet(pod: Object) -> Object | None:
        seen.append(pod)
        return running(pod)

    world.api.kubelet = kubelet
    return seen


def volumes_of(world: World, **options: Any) -> ClaimVolumes:
    found: ClaimVolumes = world.new(PLAN, **options).claim_volumes
    return found


def needed(settings: Settings = SETTINGS) -> list[claims.Volume]:
    return claims.needed(PLAN, settings.storage)


def said(pod: Object, message: str) -> Object:
    status = running(pod)
    assert status is not None
    status["containerStatuses"][0]["state"]["terminated"]["message"] = message
    return status


async def test_claims_and_tasks_are_as_expected(world: World, tasks: list[Object]) -> None:
    await volumes_of(world).ensure(needed())
    plans.compare("claims", {name: _bare(claim) for name, claim in sorted(world.api.claims.items())})
    plans.compare("task", _bare(next(pod for pod in tasks if "project-co2" in str(pod))))
    await world.until(lambda: world.api.pods == {})


async def test_what_is_prepared_is_not_prepared_again(world: World, tasks: list[Object]) -> None:
    await volumes_of(world).ensure(needed())
    assert len(tasks) == 4
    await volumes_of(world).ensure(needed())
    assert len(tasks) == 4


async def test_two_starts_at_once_share_the_work(world: World, tasks: list[Object]) -> None:
    volumes = volumes_of(world)
    await asyncio.gather(*(volumes.ensure(needed()) for _ in range(5)))
    assert len(tasks) == 4
    assert world.api.calls["create persistentvolumeclaims"] == 4


async def test_a_start_that_is_given_up_leaves_the_work_to_the_other(world: World, tasks: list[Object]) -> None:
    volumes = volumes_of(world)
    first, second = (asyncio.ensure_future(volumes.ensure(needed())) for _ in range(2))
    await asyncio.sleep(0.01)
    first.cancel()
    await second
    assert first.cancelled()
    assert len(tasks) == 4


async def test_a_claim_that_is_there_is_taken_over(world: World, tasks: list[Object]) -> None:
    restored = claims.claim(needed()[0], SETTINGS.storage)
    del restored["metadata"]["labels"]
    await world.api.put("persistentvolumeclaims", restored)
    await volumes_of(world).ensure(needed())
    assert world.api.claims["home-ada"]["metadata"]["labels"][claims.VOLUME] == "home"
    assert claims.is_prepared(world.api.claims["home-ada"])


async def test_a_claim_on_its_way_out_is_a_sentence(world: World, tasks: list[Object]) -> None:
    going = claims.claim(needed()[0], SETTINGS.storage)
    going["metadata"]["deletionTimestamp"] = "2026-01-01T00:00:00Z"
    await world.api.put("persistentvolumeclaims", going)
    with pytest.raises(PlanRefusedError) as refused:
        await volumes_of(world).ensure(needed())
    assert refused.value.code == "volume-going"


async def test_a_claim_that_is_never_bound_is_a_sentence(world: World, caplog: pytest.LogCaptureFixture) -> None:
    message = "pod has unbound immediate PersistentVolumeClaims"
    condition = {"type": "PodScheduled", "status": "False", "message": message}
    world.api.kubelet = lambda _pod: {"phase": "Pending", "conditions": [condition]}
    with pytest.raises(PlanRefusedError) as refused:
        await volumes_of(world, volume_timeout=5).ensure(needed()[:1])
    assert refused.value.code == "volume-not-ready"
    assert "the home folder within 5 seconds" in refused.value.detail
    assert message in caplog.text
    await world.until(lambda: world.api.pods == {})


async def test_an_image_that_can_not_prepare_a_claim_is_a_sentence(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    world.api.kubelet = lambda pod: waiting(pod, "ErrImageNeverPull")
    with pytest.raises(PlanRefusedError) as refused:
        await asyncio.wait_for(volumes_of(world, task_image="images.example/tools:1").ensure(needed()[:1]), 5)
    assert refused.value.code == "task-image"
    assert "images.example/tools:1" in refused.value.detail
    assert "ErrImageNeverPull" in caplog.text
    await world.until(lambda: world.api.pods == {})


async def test_a_pull_that_fails_once_is_tried_again(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kube_failures, "_PATIENCE_WITH_PULLS", 1.0)
    world.api.kubelet = lambda pod: waiting(pod, "ErrImagePull")
    ensuring = asyncio.ensure_future(volumes_of(world).ensure(needed()[:1]))
    await world.until(lambda: bool(world.api.pods))
    ((name, pod),) = world.api.pods.items()
    status = running(pod)
    assert status is not None
    await asyncio.sleep(0.5)
    await world.api.set_status(name, status)
    await ensuring
    with pytest.raises(PlanRefusedError) as refused:
        await asyncio.wait_for(volumes_of(world).ensure(needed()[1:2]), 5)
    assert refused.value.code == "task-image"


async def test_a_quota_for_claims_is_a_sentence(world: World, tasks: list[Object]) -> None:
    used = "exceeded quota: q, requested: services=1, used: services=9, limited: services=9"
    world.api.refuse["create", "persistentvolumeclaims"] = [(403, used)]
    with pytest.raises(PlanRefusedError) as refused:
        await volumes_of(world).ensure(needed()[:1])
    assert refused.value.code == "quota-exceeded"
    await volumes_of(world).ensure(needed()[:1])  # nothing of the failure is remembered


async def test_a_task_that_an_earlier_hub_left_gives_way(world: World, tasks: list[Object]) -> None:
    volume = needed()[0]
    task = claims.preparing(volume.claim, [volume], 30)
    left = claims.task_pod(task, claims.TaskLook(image="any", process="earlier"))
    await world.api.put("pods", left | {"status": {"phase": "Running"}})
    await volumes_of(world).ensure([volume])
    assert claims.is_prepared(world.api.claims["home-ada"])
    await world.until(lambda: world.api.pods == {})


async def test_folders_of_a_shared_claim_are_prepared_by_one_pod(world: World, tasks: list[Object]) -> None:
    world.settings(SHARED)
    await volumes_of(world).ensure(needed(SHARED))
    assert world.api.claims == {}
    assert len(tasks) == 1
    spec = tasks[0]["spec"]
    assert "fsGroup" not in spec["securityContext"]  # it would give all files of the claim to one project
    assert spec["containers"][0]["command"][4:6] == ["home-ada", "100"]
    assert "project-co2" in spec["containers"][0]["command"]


async def test_claims_grow_and_never_shrink(world: World, tasks: list[Object]) -> None:
    volumes = volumes_of(world)
    await volumes.ensure(needed())
    await volumes.grow({"project-co2": 15 * 1024**3, "project-ocean": 1024**3, "project-none": 1})
    larger = plans.project("co2").model_copy(update={"size": 20 * 1024**3})
    await volumes.ensure(claims.needed(plans.plan(larger), SETTINGS.storage))  # the next start knows before the round
    sizes = {name: claims.requested(claim) for name, claim in world.api.claims.items()}
    assert (sizes["project-co2"], sizes["project-ocean"]) == (20 * 1024**3, 10 * 1024**3)
    world.api.calls.clear()
    await volumes.grow({"project-co2": 20 * 1024**3})
    assert world.api.calls["patch persistentvolumeclaims"] == 0


async def test_a_class_that_can_not_grow_is_asked_once(
    world: World, tasks: list[Object], caplog: pytest.LogCaptureFixture
) -> None:
    volumes = volumes_of(world)
    await volumes.ensure(needed())
    world.api.refuse["patch", "persistentvolumeclaims"] = [(403, "only dynamically provisioned pvc can be resized")]
    for _ in range(2):
        await volumes.grow({"project-co2": 20 * 1024**3})
    assert caplog.text.count("can't grow") == 1


async def test_volumes_are_measured_and_removed(world: World) -> None:
    world.api.kubelet = lambda pod: said(pod, "2048\n")
    volumes = volumes_of(world)
    assert await volumes.measure("project-co2") == 0
    await volumes.ensure(needed())
    assert await volumes.measure("project-co2") == 2048 * 1024
    await volumes.remove("project-co2")
    assert "project-co2" not in world.api.claims
    await volumes.remove("project-co2")


async def test_a_folder_of_a_shared_claim_is_removed_by_a_task(world: World, tasks: list[Object]) -> None:
    world.settings(SHARED)
    volumes = volumes_of(world)
    await volumes.ensure(needed(SHARED))
    await volumes.remove("project-co2")
    assert tasks[-1]["spec"]["containers"][0]["command"][2:] == [claims._REMOVE, "sh", "project-co2"]
    await volumes.ensure(needed(SHARED))  # a new project of the old name
    assert len(tasks) == 3


async def test_a_task_that_fails_is_tried_again_later(world: World) -> None:
    world.api.kubelet = lambda _pod: {"phase": "Failed", "reason": "Error", "message": "no"}
    world.settings(SHARED)
    with pytest.raises(TaskFailedError, match="no"):
        await volumes_of(world).remove("project-co2")
    world.api.refuse["create", "pods"] = [(403, "forbidden")]
    with pytest.raises(OSError, match="forbidden"):
        await volumes_of(world).remove("project-co2")


class Scratch:
    """The core's service for scratch space."""

    def __init__(self) -> None:
        self.uses: dict[str, ScratchUse] = {}

    async def seen(self, volume: str, use: ScratchUse) -> None:
        self.uses[volume] = use


async def test_scratch_is_cleaned_once_a_day(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    scratch, cleaned = Scratch(), []
    monkeypatch.setattr(core, "scratch", lambda: scratch)

    def kubelet(pod: Object) -> Object | None:
        if pod["metadata"]["labels"].get("collab.jupyter.org/work") != "clean":
            return running(pod)
        cleaned.append(pod["spec"]["containers"][0]["command"][3:])
        return said(pod, "files 100 40 1800000000\n")

    world.api.kubelet = kubelet
    volumes = volumes_of(world)
    await volumes.ensure(needed())
    await volumes.clean_scratch(30)
    assert cleaned == []  # it is new
    world.api.claims["scratch-ada"]["metadata"]["creationTimestamp"] = "2026-01-01T00:00:00Z"
    await world.api.put("persistentvolumeclaims", world.api.claims["scratch-ada"])
    await asyncio.sleep(0.1)
    for _ in range(2):
        await volumes.clean_scratch(30)
    assert cleaned == [["sh", "30", "files"]]
    assert scratch.uses == {
        "scratch-ada": ScratchUse(size=100, going=40, goes_from=datetime.fromtimestamp(1_800_000_000, UTC))
    }


async def test_strays_are_found_by_one_call(world: World, tasks: list[Object]) -> None:
    spawners = [world.new(plans.plan(person=person)) for person in ("ada", "ben", "eve")]
    for spawner in spawners:
        world.servers.plan = plans.plan(person=spawner.user.name)
        await spawner.start()
    task = claims.preparing("home-ada", needed()[:1], 30)
    for process, name in (("earlier", "volume-old"), ("now", "volume-new")):
        pod = claims.task_pod(task, claims.TaskLook(image="any", process=process))
        pod["metadata"]["name"] = name
        await world.api.put("pods", pod | {"status": {}})
    world.api.calls.clear()
    strays = PodStrays(spawners[0].cluster, "now", 60)
    await strays.end_all_but({("ada", "")})
    await world.until(lambda: set(world.api.pods) == {"jupyter-ada", "volume-new"})
    assert await strays.end_these({("ada", ""), ("gone", "")}) == {("gone", "")}
    await world.until(lambda: set(world.api.pods) == {"volume-new"})
    assert await strays.end_these({("ada", "")}) == {("ada", "")}
    assert world.api.calls["list pods"] == 3


async def test_a_stray_on_a_lost_node_is_forgotten(world: World) -> None:
    spawner = world.new(plans.plan())
    await spawner.start()
    world.api.confirms = False
    strays = PodStrays(spawner.cluster, "now", 0.1)
    assert await strays.end_these({("ada", "")}) == set()
    await asyncio.sleep(2.2)
    await strays.end_these({("ada", "")})
    assert await strays.end_these({("ada", "")}) == {("ada", "")}


def test_quantities_are_read() -> None:
    assert [claims.quantity(text) for text in ("10", "10Gi", "1.5Ti", "500M")] == [
        10,
        10 * 1024**3,
        int(1.5 * 1024**4),
        500_000_000,
    ]
    with pytest.raises(ValueError, match="Zi"):
        claims.quantity("10Zi")


def shell(folder: Path, task: claims.VolumeTask) -> str:
    """Run a task's script as its pod would, on a folder."""
    said = folder.parent / "said"
    said.write_text("", encoding="utf-8")
    script = task.script.replace("/dev/termination-log", str(said))
    subprocess.run(["sh", "-c", script, "sh", *task.arguments], cwd=folder, check=True, capture_output=True)
    return said.read_text(encoding="utf-8")


def test_the_scripts_do_their_work(tmp_path: Path) -> None:
    root = tmp_path / "claim"
    root.mkdir()
    home, project = claims.needed(plans.plan(plans.project("co2")), SHARED.storage)
    shell(root, claims.preparing("collab-files", [home, project], 30))
    made = root / "project-co2"
    assert (made.stat().st_mode & 0o7777, made.stat().st_gid) == (0o2770, pods.group_id("co2"))
    (made / "data").write_bytes(bytes(5_000_000))
    (made / "dark" / "deep").mkdir(parents=True)
    (made / "dark").chmod(0)
    assert 4880 < int(shell(root, claims.measuring("collab-files", "project-co2", 1, 30))) < 5000
    assert shell(root, claims.measuring("collab-files", "project-none", 1, 30)) == ""
    for _ in range(2):
        shell(root, claims.removing("collab-files", "project-co2", 30))
    assert [path.name for path in root.iterdir()] == ["home-ada"]


def test_cleaning_takes_what_is_old_and_says_what_goes_next(tmp_path: Path) -> None:
    root = tmp_path / "claim"
    for name in ("scratch-ada", "scratch-ben", "home-ada"):
        (root / name / "folder").mkdir(parents=True)
        (root / name / "folder" / "file").write_bytes(bytes(100))
    lines = shell(root, claims.cleaning("collab-files", "scratch-*", 30, 30)).splitlines()
    assert sorted(lines) == ["scratch-ada 100 0 0", "scratch-ben 100 0 0"]
    assert len(list(root.glob("*/folder/file"))) == 3
    os.utime(root / "scratch-ada" / "folder" / "file", (0, 0))  # what was just unpacked is old by one time only
    shell(root, claims.cleaning("collab-files", "scratch-*", 1, 30))
    assert len(list(root.glob("*/folder/file"))) == 3
    shell(root, claims.cleaning("collab-files", "scratch-*", -1, 30))  # all that is older than tomorrow
    assert [path.parents[1].name for path in root.glob("*/folder/file")] == ["home-ada"]
    assert (root / "scratch-ada").is_dir()


def _bare(thing: Object) -> Object:
    for name in ("resourceVersion", "uid", "creationTimestamp", "namespace", "deletionTimestamp"):
        thing["metadata"].pop(name, None)
    thing.get("metadata", {}).get("labels", {}).pop("collab.jupyter.org/hub-process", None)
    thing["spec"].pop("nodeName", None)
    thing.pop("status", None)
    return thing
