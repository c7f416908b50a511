"""Claims that hold volumes, and the short pods that work on them, as Kubernetes takes them."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from jupyterhub_collab.volumes.models import VolumeKind

from . import pods
from .pods import KIND, LABEL, OWN_FOLDER, USERS_GROUP

if TYPE_CHECKING:
    from collections.abc import Iterable

    from jupyterhub_collab.servers.models import ServerPlan
    from jupyterhub_collab.settings import Storage

MANAGER: Final = "jupyterhub-collab"
MANAGED_BY: Final = {"app.kubernetes.io/managed-by": MANAGER}
VOLUME: Final = f"{LABEL}/volume"
PREPARED: Final = f"{LABEL}/prepared"
CLEANED: Final = f"{LABEL}/cleaned"
PROJECT: Final = f"{LABEL}/project"
PERSON: Final = f"{LABEL}/person"
UID: Final = 1000
"""The account that every server runs as, and so the owner of all files."""
_PATH: Final = "/volume"
_UNITS: Final = {"": 1, "k": 1000, "M": 1000**2, "G": 1000**3, "T": 1000**4, "P": 1000**5, "E": 1000**6} | {
    f"{letter}i": 1024 ** (power + 1) for power, letter in enumerate("KMGTPE")
}


@dataclass(frozen=True, kw_only=True, slots=True)
class Volume:
    """A volume that a pod needs, and that is made where it is missing."""

    name: str
    kind: VolumeKind
    claim: str
    folder: str
    group: int
    size: int
    """Bytes that the claim asks for."""
    project: str | None = None
    person: str | None = None

    @property
    def owns_claim(self) -> bool:
        """Whether the claim holds nothing else, and is ours."""
        return self.claim == self.name

    @property
    def title(self) -> str:
        """What people call it."""
        return f"the folder of “{self.project}”" if self.project else f"the {self.kind.value} folder"


def needed(plan: ServerPlan, storage: Storage) -> list[Volume]:
    """Return the volumes of a plan that we make; data volumes are the operator's."""
    found = []
    for mount in plan.mounts:
        if mount.kind is VolumeKind.DATA:
            continue
        claim, folder = pods.claim_of(mount, storage.shared_claim)
        found.append(
            Volume(
                name=mount.volume,
                kind=mount.kind,
                claim=claim,
                folder=folder,
                group=pods.owning_group(mount),
                size=mount.size or _size(mount.kind, storage),
                project=mount.projects[0] if mount.kind is VolumeKind.PROJECT else None,
                person=plan.person if mount.kind in {VolumeKind.HOME, VolumeKind.SCRATCH} else None,
            )
        )
    return found


def _size(kind: VolumeKind, storage: Storage) -> int:
    if kind is VolumeKind.HOME:
        return int(storage.home_size)
    return int(storage.scratch_size if kind is VolumeKind.SCRATCH else storage.project_size)


def claim(volume: Volume, storage: Storage) -> dict[str, Any]:
    """Return the claim of a volume. Who it is for stands in annotations, since names are no label values."""
    told = {PROJECT: volume.project, PERSON: volume.person}
    spec: dict[str, Any] = {
        "accessModes": [storage.access_mode],
        "resources": {"requests": {"storage": str(volume.size)}},
    }
    if storage.storage_class:
        spec["storageClassName"] = storage.storage_class
    return {
        "apiVersion": "v1",
        "kind": "PersistentVolumeClaim",
        "metadata": {
            "name": volume.name,
            "labels": {**MANAGED_BY, VOLUME: volume.kind.value},
            "annotations": {key: value for key, value in told.items() if value is not None},
        },
        "spec": spec,
    }


def as_ours(volume: Volume) -> dict[str, Any]:
    """Return the change that marks a claim as ours and prepared."""
    marks = {"labels": {**MANAGED_BY, VOLUME: volume.kind.value}, "annotations": {PREPARED: OWN_FOLDER}}
    return {"metadata": marks}


def larger(size: int) -> dict[str, Any]:
    """Return the change that makes a claim ask for so many bytes."""
    return {"spec": {"resources": {"requests": {"storage": str(size)}}}}


def is_prepared(claim: Mapping[str, Any] | None) -> bool:
    """Tell whether a claim has been prepared and is not on its way out."""
    if claim is None or "deletionTimestamp" in claim["metadata"]:
        return False
    return (claim["metadata"].get("annotations") or {}).get(PREPARED) == OWN_FOLDER


def requested(claim: Mapping[str, Any]) -> int:
    """Return the bytes that a claim asks for."""
    return quantity(str(claim["spec"]["resources"]["requests"]["storage"]))


def quantity(text: str) -> int:
    """Return a Kubernetes quantity as a number.

    Raises
    ------
    ValueError
        It is none.
    """
    found = re.fullmatch(r"([0-9.]+)([A-Za-z]{0,2})", text)
    if found is None or found.group(2) not in _UNITS:
        raise ValueError(text)
    return int(float(found.group(1)) * _UNITS[found.group(2)])


@dataclass(frozen=True, kw_only=True, slots=True)
class VolumeTask:
    """Work on one claim in a pod of its own."""

    work: str
    """prepare, remove, measure or clean."""
    claim: str
    script: str
    arguments: tuple[str, ...]
    seconds: int
    """How long it may take, the time until it can run included."""
    groups: tuple[int, ...] = (USERS_GROUP,)
    owns_claim: bool = True
    """Whether the first group may own the claim's root; of a shared one nobody's group may."""

    @property
    def pod(self) -> str:
        """The name of its pod: the same for the same work, so that no second one runs beside it."""
        digest = hashlib.sha256("\0".join((self.work, self.claim, *self.arguments)).encode()).hexdigest()
        return f"volume-{self.work}-{digest[:24]}"


# Each begins in the claim's root. A folder that root owns (the cluster made it) only has to be writable.
_PREPARE: Final = """set -e
while [ $# -gt 0 ]; do
  mkdir -p "$1"
  { chgrp "$2" "$1" && chmod 2770 "$1"; } || [ -w "$1" ]
  shift 2
done"""
_REMOVE: Final = 'for f in "$@"; do [ ! -e "$f" ] || { chmod -R u+rwX "$f"; rm -rf "$f"; }; done'
_MEASURE: Final = '[ ! -d "$1" ] || du -sk "$1" | cut -f1 > /dev/termination-log'
# Files by the time of the last change of content, or of name and mode, whichever is later; then folders that are empty.
# It says what is left, how much of that goes within a week, and when the first of it does; as the other engine does.
_CLEAN: Final = """now=$(date +%s); days=$1; old="@$((now - days * 86400))"
for f in $2; do
  [ -d "$f" ] || continue
  find "$f" -xdev -mindepth 1 ! -type d ! -newermt "$old" ! -newerct "$old" -delete
  find "$f" -xdev -depth -mindepth 1 -type d -empty ! -newermt "$old" ! -newerct "$old" -delete
  find "$f" -xdev -type f -printf '%T@ %C@ %s\\n' | awk -v name="$f" -v now="$now" -v days="$days" '
    { changed = $1 > $2 ? $1 : $2; goes = changed + days * 86400; size += $3
      if (goes <= now + (days < 14 ? days / 2 : 7) * 86400) {
        going += $3; if (!first || goes < first) first = goes } }
    END { printf "%s %d %d %d\\n", name, size, going, first }'
done | sort -k3,3nr | head -n 40 > /dev/termination-log"""


def preparing(claim: str, volumes: Iterable[Volume], seconds: int) -> VolumeTask:
    """Return the task that makes the folders of some volumes of one claim."""
    chosen = list(volumes)
    return VolumeTask(
        work="prepare",
        claim=claim,
        script=_PREPARE,
        arguments=tuple(part for volume in chosen for part in (volume.folder, str(volume.group))),
        groups=tuple(dict.fromkeys(volume.group for volume in chosen)),
        owns_claim=chosen[0].owns_claim,
        seconds=seconds,
    )


def removing(claim: str, folder: str, seconds: int) -> VolumeTask:
    """Return the task that removes a folder of a shared claim."""
    arguments = (folder,)
    return VolumeTask(
        work="remove", claim=claim, script=_REMOVE, arguments=arguments, seconds=seconds, owns_claim=False
    )


def measuring(claim: str, folder: str, group: int, seconds: int) -> VolumeTask:
    """Return the task that tells how many KiB a folder holds."""
    return VolumeTask(
        work="measure",
        claim=claim,
        script=_MEASURE,
        arguments=(folder,),
        groups=(group,),
        owns_claim=folder == OWN_FOLDER,
        seconds=seconds,
    )


def cleaning(claim: str, pattern: str, days: int, seconds: int) -> VolumeTask:
    """Return the task that removes what nobody changed for so many days; the pattern names folders of the claim."""
    return VolumeTask(
        work="clean",
        claim=claim,
        script=_CLEAN,
        arguments=(str(days), pattern),
        owns_claim=pattern == OWN_FOLDER,
        seconds=seconds,
    )


@dataclass(frozen=True, kw_only=True, slots=True)
class TaskLook:
    """What the pods of tasks have from the operator's configuration."""

    image: str
    node_selector: Mapping[str, str] = field(default_factory=dict)
    tolerations: tuple[Any, ...] = ()
    image_pull_secrets: tuple[Any, ...] = ()
    image_pull_policy: str | None = None
    process: str = ""
    """The Hub's process: the pods of an earlier one are nobody's."""


def task_pod(task: VolumeTask, look: TaskLook) -> dict[str, Any]:
    """Return the pod that does a task; it passes the Pod Security Standard `restricted`."""
    context = {"fsGroup": task.groups[0], "fsGroupChangePolicy": "OnRootMismatch"} if task.owns_claim else {}
    container: dict[str, Any] = {
        "name": "task",
        "image": look.image,
        "command": ["sh", "-c", task.script, "sh", *task.arguments],
        "workingDir": _PATH,
        "resources": {
            "requests": {"cpu": "20m", "memory": "32Mi"},
            "limits": {"cpu": "1", "memory": "256Mi"},
        },
        "securityContext": {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}},
        "volumeMounts": [{"name": "claim", "mountPath": _PATH}],
        "terminationMessagePolicy": "FallbackToLogsOnError",
    }
    if look.image_pull_policy:
        container["imagePullPolicy"] = look.image_pull_policy
    labels = {**MANAGED_BY, KIND: "volume-task", f"{LABEL}/work": task.work, f"{LABEL}/hub-process": look.process}
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": task.pod, "labels": labels},
        "spec": {
            "restartPolicy": "Never",
            "activeDeadlineSeconds": task.seconds,
            "terminationGracePeriodSeconds": 1,
            "automountServiceAccountToken": False,
            "enableServiceLinks": False,
            "securityContext": {
                "runAsUser": UID,
                "runAsGroup": USERS_GROUP,
                "runAsNonRoot": True,
                "supplementalGroups": list(task.groups),
                "seccompProfile": {"type": "RuntimeDefault"},
                **context,
            },
            "nodeSelector": dict(look.node_selector),
            "tolerations": list(look.tolerations),
            "imagePullSecrets": list(look.image_pull_secrets),
            "containers": [container],
            "volumes": [{"name": "claim", "persistentVolumeClaim": {"claimName": task.claim}}],
        },
    }
