"""Short pods that work on one claim each: the Hub itself mounts nobody's files."""

from __future__ import annotations

import asyncio
import logging
import time
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, Final

from kubernetes_asyncio.client.rest import ApiException

from . import kube_failures, metrics
from .builders import claims
from .errors import TaskImageError

if TYPE_CHECKING:
    from .builders.claims import TaskLook, VolumeTask
    from .kube_api import Cluster

log = logging.getLogger("jupyterhub.collab.volumes")
_LOOK: Final = 0.5  # seconds between two looks at a task's pod
_BEGINNING: Final = 300  # seconds in which a pod has to begin, however long its work may take


class TaskFailedError(OSError):
    """A task did not do its work."""


class TaskTimeoutError(TaskFailedError):
    """A task's pod did not end in time: often it could not even begin."""


async def run(cluster: Cluster, task: VolumeTask, look: TaskLook) -> str:
    """Do a task in a pod, remove the pod, and return what the task said.

    Raises
    ------
    TaskFailedError, TaskImageError, ApiException, ClusterAwayError
    """
    begun = time.monotonic()
    outcome = "failed"
    try:
        await _create(cluster, task, look)
        said = await _end_of(cluster, task)
        outcome = "done"
    except TaskTimeoutError:
        outcome = "timeout"
        raise
    finally:
        metrics.VOLUME_TASK_SECONDS.labels(work=task.work, outcome=outcome).observe(time.monotonic() - begun)
        await asyncio.shield(_remove(cluster, task.pod))
    return said


async def _create(cluster: Cluster, task: VolumeTask, look: TaskLook) -> None:
    pod = claims.task_pod(task, look)
    try:
        await cluster.create_pod(pod)
    except ApiException as error:
        if error.status != HTTPStatus.CONFLICT:
            raise
        await _gone(cluster, task)  # one that an earlier Hub began; its work does no harm twice
        await cluster.create_pod(pod)


async def _gone(cluster: Cluster, task: VolumeTask) -> None:
    await cluster.delete_pod(task.pod)
    ends = time.monotonic() + task.seconds
    while await cluster.read_pod(task.pod) is not None:
        if time.monotonic() > ends:
            raise TaskTimeoutError(f"An older pod {task.pod} does not go")
        await asyncio.sleep(_LOOK)


async def _end_of(cluster: Cluster, task: VolumeTask) -> str:
    """Wait for the end of a task's pod; return what it wrote."""
    begun, wait = time.monotonic(), 0.1
    complete = begun  # when no image was missing last
    while True:
        await asyncio.sleep(wait)
        pod = await cluster.read_pod(task.pod)
        if pod is None:
            raise TaskFailedError(f"The pod {task.pod} was deleted by somebody else")
        phase = pod["status"].get("phase")
        if phase == "Succeeded":
            return _said(pod)
        if phase == "Failed" and pod["status"].get("reason") != "DeadlineExceeded":
            raise TaskFailedError(f"The pod {task.pod} failed: {_said(pod) or pod['status'].get('message')}")
        missing = kube_failures.missing_image(pod)
        if missing is None:
            complete = time.monotonic()
        elif time.monotonic() - complete >= missing.patience:
            await _tell(cluster, task, pod)
            raise TaskImageError(missing.name)
        seconds = min(task.seconds, _BEGINNING) if phase == "Pending" else task.seconds
        if phase == "Failed" or time.monotonic() - begun > seconds:
            await _tell(cluster, task, pod)
            raise TaskTimeoutError(f"The pod {task.pod} did not end in {seconds} seconds")
        wait = min(2 * wait, _LOOK)


def _said(pod: dict[str, Any]) -> str:
    states = [status["state"].get("terminated") or {} for status in pod["status"].get("containerStatuses", ())]
    return "".join(str(state.get("message", "")) for state in states)


async def _tell(cluster: Cluster, task: VolumeTask, pod: dict[str, Any]) -> None:
    """Write for the operator what the cluster says of a pod and of its claim."""
    try:
        events = [*await cluster.events_of(task.pod), *await cluster.events_of(task.claim)]
    except Exception:  # noqa: BLE001 - the log only says more with them
        events = []
    told = kube_failures.told(pod, events)
    log.error("The work “%s” on the claim %s is given up. The cluster says:\n%s", task.work, task.claim, told)


async def _remove(cluster: Cluster, name: str) -> None:
    try:
        await cluster.delete_pod(name)
    except Exception:
        log.exception("The pod %s could not be removed; the next Hub does it", name)
