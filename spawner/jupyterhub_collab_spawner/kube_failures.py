"""Why a pod does not start, read from what the cluster says of it, as a sentence for the spawn page.

What can't get better by itself ends a start after little patience. What an autoscaler or a driver may still mend has
no patience of its own: it is only named when the time for the start is over.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from .errors import (
    ClusterRefusedError,
    DiedAtStartError,
    ImageError,
    MissingVolumeError,
    NodeLostError,
    NodeRefusedError,
    OutOfMemoryError,
    QuotaError,
    UnschedulableError,
    VolumeAttachError,
)
from .kube_api import message

if TYPE_CHECKING:
    from kubernetes_asyncio.client.rest import ApiException

    from jupyterhub_collab.errors import PlanRefusedError

Status = Mapping[str, Any]
CONTAINER: Final = "notebook"
# A pull may fail once because of the network; the second failure, after about 15 seconds, is believed
_PATIENCE_WITH_PULLS: Final = 20.0
_PATIENCE_WITH_NAMES: Final = 5.0  # a claim that was just made may not have reached the scheduler
_PATIENCE_WITH_NODES: Final = 10.0
_PULLING: Final = frozenset({"ErrImagePull", "ImagePullBackOff"})
_NO_IMAGE: Final = frozenset({"InvalidImageName", "ErrImageNeverPull", "ImageInspectError"})
_NOT_MADE: Final = frozenset({"CreateContainerConfigError", "CreateContainerError", "RunContainerError"})
_VOLUME_EVENTS: Final = frozenset({"FailedMount", "FailedAttachVolume", "FailedMapVolume"})
_NODE_EVENTS: Final = frozenset({"NodeNotReady", "NodeLost", "TaintManagerEviction"})
_QUOTA: Final = re.compile(
    r"exceeded quota: [^,]*, requested: ([^,]*?)=[^,]*.*?used: [^=]*=([^,]*).*?limited: [^=]*=([^,]*)"
)
_LACKING: Final = re.compile(r"Insufficient ([^\s,.]+(?:\.[^\s,.]+)*)")
_NO_CLAIM: Final = re.compile(r'persistentvolumeclaim "([^"]+)" not found')
_VOLUME_NAME: Final = re.compile(r'volume "([^"]+)"')
_UNITS: Final = ("bytes", "KiB", "MiB", "GiB", "TiB")
_STEP: Final = 1024
_TOLD: Final = 30


@dataclass(frozen=True, slots=True)
class Trouble:
    """Why a pod does not run yet."""

    error: PlanRefusedError
    patience: float | None = None
    """Seconds after which it is believed; none: when the time for the start is over."""


@dataclass(frozen=True, slots=True)
class MissingImage:
    """An image that a node can't get."""

    name: str
    patience: float


def find(pod: Status | None, events: Callable[[], Iterable[Status]]) -> Trouble | None:
    """Return what keeps a pod from running, if the cluster says anything of it.

    The events are looked up only where the pod's own status says too little.
    """
    if pod is None:
        return None
    status = pod["status"]
    if status.get("phase") == "Failed":
        return Trouble(_failed(status), patience=0)
    missing = missing_image(pod)
    if missing is not None:
        return Trouble(ImageError(missing.name), missing.patience)
    container = _container(status)
    if container is not None:
        return _of_container(container, pod) or _of_events(events)
    scheduled = _condition(status, "PodScheduled")
    if scheduled.get("status") == "False":
        return _unscheduled(str(scheduled.get("message", "")))
    return _of_events(events)


def missing_image(pod: Status) -> MissingImage | None:
    """Return the first image of a pod's containers that its node can't get."""
    status = pod["status"]
    for container in (*(status.get("initContainerStatuses") or ()), *(status.get("containerStatuses") or ())):
        reason = (container["state"].get("waiting") or {}).get("reason")
        if reason in _NO_IMAGE:
            return MissingImage(container["image"], 0)
        if reason in _PULLING:
            return MissingImage(container["image"], _PATIENCE_WITH_PULLS)
    return None


def refused(error: ApiException) -> PlanRefusedError:
    """Return why the API did not take a pod or claim."""
    said = message(error)
    if "exceeded quota" in said:
        found = _QUOTA.search(said)
        if found is None:
            return QuotaError("resources")
        resource, *figures = (part.strip() for part in found.groups())
        readable = _size if "memory" in resource or "storage" in resource else str
        return QuotaError(resource, *map(readable, figures))
    return ClusterRefusedError()


def told(pod: Status | None, events: Iterable[Status]) -> str:
    """Return what the cluster says of a pod, for the operator's log: never its environment, which holds secrets."""
    lines = []
    if pod is not None:
        status = pod["status"]
        lines.append(f"phase {status.get('phase')} {status.get('reason', '')} {status.get('message', '')}".rstrip())
        lines += [
            f"{entry['type']}={entry['status']} {entry.get('reason', '')} {entry.get('message', '')}".rstrip()
            for entry in status.get("conditions") or ()
            if entry["status"] != "True"
        ]
        lines += [f"{entry['name']}: {entry.get('state')}" for entry in status.get("containerStatuses") or ()]
    lines += [f"event {entry.get('reason')}: {entry.get('message')}" for entry in list(events)[-_TOLD:]]
    return "\n".join(lines) or "The cluster says nothing of it."


def _failed(status: Status) -> PlanRefusedError:
    """Return why the node gave a pod up."""
    container = _container(status)
    if status.get("reason") == "NodeLost":
        return NodeLostError()
    if container is not None and "terminated" in container["state"] and not status.get("reason"):
        return DiedAtStartError()
    return NodeRefusedError()


def _of_container(container: Status, pod: Status) -> Trouble | None:
    ended = container["state"].get("terminated") or (container.get("lastState") or {}).get("terminated")
    if ended:
        out_of_memory = ended.get("reason") == "OOMKilled"
        return Trouble(OutOfMemoryError(_memory(pod)) if out_of_memory else DiedAtStartError(), patience=0)
    waiting = container["state"].get("waiting") or {}
    if waiting.get("reason") in _NOT_MADE:
        return Trouble(DiedAtStartError(), patience=_PATIENCE_WITH_NAMES)
    return None


def _unscheduled(said: str) -> Trouble:
    """Return why no node takes a pod; a larger cluster may, so it is not believed before the time is over."""
    gone = _NO_CLAIM.search(said)
    if gone:
        return Trouble(MissingVolumeError(gone.group(1)), patience=_PATIENCE_WITH_NAMES)
    if "PersistentVolumeClaims" in said or "volume node affinity" in said:
        return Trouble(VolumeAttachError())
    lacking = list(dict.fromkeys(_LACKING.findall(said)))
    known = {"cpu": "enough CPU", "memory": "enough memory", "pods": "room for another server"}
    named = [known.get(name, f"enough {name}") for name in lacking]
    return Trouble(UnschedulableError(" and ".join(named) or "what its size or environment asks for"))


def _of_events(events: Callable[[], Iterable[Status]]) -> Trouble | None:
    found = None
    for event in events():
        if event.get("reason") in _VOLUME_EVENTS:
            volume = _VOLUME_NAME.search(str(event.get("message")))
            found = Trouble(VolumeAttachError(volume.group(1).removeprefix("claim-") if volume else ""))
        elif event.get("reason") in _NODE_EVENTS:
            found = Trouble(NodeLostError(), patience=_PATIENCE_WITH_NODES)
    return found


def _container(status: Status) -> Status | None:
    return next((entry for entry in status.get("containerStatuses") or () if entry["name"] == CONTAINER), None)


def _condition(status: Status, kind: str) -> Status:
    return next((entry for entry in status.get("conditions") or () if entry["type"] == kind), {})


def _memory(pod: Status) -> str:
    container = next(entry for entry in pod["spec"]["containers"] if entry["name"] == CONTAINER)
    limit = str(container.get("resources", {}).get("limits", {}).get("memory", ""))
    return _size(limit) or "no limit of its own"


def _size(quantity: str) -> str:
    """Return a quantity as people read it; one that has a unit is so already."""
    if not quantity.isdigit():
        return quantity
    size, unit = float(quantity), 0
    while size >= _STEP and unit < len(_UNITS) - 1:
        size, unit = size / _STEP, unit + 1
    return f"{size:.4g} {_UNITS[unit]}"
