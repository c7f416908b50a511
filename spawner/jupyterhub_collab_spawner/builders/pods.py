"""A server plan as parts of a Kubernetes pod, in the dict form in which operators' overrides merge by key."""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from jupyterhub_collab.volumes.models import Mode, VolumeKind

if TYPE_CHECKING:
    from jupyterhub_collab.servers.models import ServerPlan
    from jupyterhub_collab.settings import Storage
    from jupyterhub_collab.volumes.models import Mount

LABEL: Final = "collab.jupyter.org"
KIND: Final = f"{LABEL}/kind"
OWN_FOLDER: Final = "files"
"""The folder of a volume in a claim of its own: the claim's root belongs to root, and may hold `lost+found`."""
USERS_GROUP: Final = 100
"""The group of what no project owns, and the first group of every server; `users` on most systems."""
HOST_NAME: Final = "kubernetes.io/hostname"
# Group ids of projects: far above what hosts and images use, below 2**31 which some file servers take for negative
_FIRST_GROUP: Final = 1_000_000_000
_GROUPS: Final = 1_000_000_000
_NAME = re.compile(r"(?!claim-h--)[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?\Z")  # of a volume in a pod (RFC 1123)
_LABEL_VALUE = re.compile(r"[A-Za-z0-9]([A-Za-z0-9._-]{0,61}[A-Za-z0-9])?\Z")


@dataclass(frozen=True, kw_only=True, slots=True)
class PodParts:
    """What a plan gives a pod, named as the traits of KubeSpawner."""

    image: str | None
    volumes: dict[str, dict[str, Any]]
    volume_mounts: dict[str, dict[str, Any]]
    supplemental_gids: list[int]
    extra_labels: dict[str, str]
    node_selector: dict[str, str]
    cpu_limit: float
    cpu_guarantee: float
    mem_limit: int
    mem_guarantee: int
    extra_resource_limits: dict[str, str]
    working_dir: str


def build(plan: ServerPlan, *, home: str, storage: Storage) -> PodParts:
    """Return what this plan gives a pod whose image has its home at `home`."""
    resources = plan.resource_class
    shared_claim = storage.shared_claim
    return PodParts(
        image=plan.environment.image or None,
        volumes={claim_name(claim): _volume(claim) for claim in _claims(plan, shared_claim)},
        volume_mounts={_mount_key(mount): _mount(mount, home, shared_claim) for mount in plan.mounts},
        supplemental_gids=sorted({USERS_GROUP, *(owning_group(mount) for mount in plan.mounts)}),
        extra_labels=labels(plan),
        node_selector={**resources.node_selector, **node_of(storage)},
        cpu_limit=resources.cpu,
        cpu_guarantee=min(resources.cpu, 0.1),
        mem_limit=int(resources.memory),
        mem_guarantee=int(resources.memory) // 4,
        extra_resource_limits={resources.gpu_resource: str(resources.gpu)} if resources.gpu else {},
        working_dir=plan.working_directory.replace("~", home, 1),
    )


def group_id(slug: str) -> int:
    """Return the group that owns a project's files; every server of its members is in it.

    It follows from the slug, so that no table has to survive with the files. Two projects may share one, which opens
    nothing: what a server reaches is decided by what is mounted.
    """
    return _FIRST_GROUP + int.from_bytes(hashlib.sha256(slug.encode()).digest()[:8]) % _GROUPS


def owning_group(mount: Mount) -> int:
    """Return the group that owns the files of a volume."""
    if mount.kind is VolumeKind.PROJECT:
        return group_id(mount.projects[0])
    return USERS_GROUP


def node_of(storage: Storage) -> dict[str, str]:
    """Return the node selector that keeps all that mounts our claims on one node, where they can't be on several."""
    return {HOST_NAME: storage.node} if storage.access_mode == "ReadWriteOnce" else {}


def labels(plan: ServerPlan) -> dict[str, str]:
    """Return the labels by which operators find a project's pods and network policies choose them."""
    found = {
        KIND: "server",
        f"{LABEL}/network": plan.environment.network,
        f"{LABEL}/resource-class": plan.resource_class_name,
    }
    if plan.project is not None:
        found[f"{LABEL}/project"] = plan.project
    return {key: value for key, value in found.items() if _LABEL_VALUE.match(value)}


def claim_of(mount: Mount, shared_claim: str) -> tuple[str, str]:
    """Return the claim that holds a volume, and the folder in it; a data volume is a whole claim, with no folder."""
    if mount.kind is VolumeKind.DATA:
        return mount.source, ""
    if shared_claim:
        return shared_claim, mount.volume
    return mount.volume, OWN_FOLDER


def claim_name(claim: str) -> str:
    """Return what a claim is called inside a pod."""
    return _bounded(f"claim-{claim}")


def _bounded(name: str) -> str:
    if _NAME.match(name):
        return name
    return f"claim-h--{hashlib.sha256(name.encode()).hexdigest()[:40]}"


def _claims(plan: ServerPlan, shared_claim: str) -> list[str]:
    return list(dict.fromkeys(claim_of(mount, shared_claim)[0] for mount in plan.mounts))


def _volume(claim: str) -> dict[str, Any]:
    return {"name": claim_name(claim), "persistentVolumeClaim": {"claimName": claim}}


def _mount(mount: Mount, home: str, shared_claim: str) -> dict[str, Any]:
    claim, folder = claim_of(mount, shared_claim)
    shown: dict[str, Any] = {
        "name": claim_name(claim),
        "mountPath": mount.path.replace("~", home, 1) if mount.path.startswith("~") else mount.path,
        "readOnly": mount.mode is not Mode.READ_WRITE,
    }
    return shown | ({"subPath": folder} if folder else {})


def _mount_key(mount: Mount) -> str:
    """Return the key by which mounts are sorted and overridden: the home first, since others lie in it."""
    return f"{'0' if mount.kind is VolumeKind.HOME else '1'}-{mount.path}"


def merged(configured: Any, planned: Any) -> Any:
    """Return what the operator configured with what the plan says, which wins."""
    if isinstance(planned, list):
        return sorted({*planned, *(configured if isinstance(configured, list) else ())})
    if isinstance(configured, list):
        configured = {f"configured-{position:03}": entry for position, entry in enumerate(configured)}
    return {**(configured or {}), **planned}
