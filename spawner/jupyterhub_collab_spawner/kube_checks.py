"""What must be true in the cluster so that servers start there; `jupyterhub-collab doctor` asks in the Hub's pod."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from http import HTTPStatus
from pathlib import Path
from typing import Any, Final

import aiohttp
from kubernetes_asyncio import config
from kubernetes_asyncio.client import (
    ApiClient,
    AuthorizationV1Api,
    CoreV1Api,
    StorageV1Api,
    V1ResourceAttributes,
    V1SelfSubjectAccessReview,
    V1SelfSubjectAccessReviewSpec,
)
from kubernetes_asyncio.client.rest import ApiException

from jupyterhub_collab.settings import Settings, load_settings

from .checks import Check

NAMESPACE: Final = Path("/var/run/secrets/kubernetes.io/serviceaccount/namespace")
NEEDED: Final = {
    "pods": ("get", "list", "watch", "create", "delete"),
    "persistentvolumeclaims": ("get", "list", "watch", "create", "patch", "delete"),
    "events": ("list", "watch"),
}
"""What the Hub does in its namespace; the chart's Role gives no more and no less."""
# Whose volumes one node mounts at a time: disks, not file systems
_DISKS: Final = (
    *("disk.csi.azure.com", "ebs.csi.aws.com", "pd.csi.storage.gke.io", "cinder.csi.openstack.org"),
    *("rancher.io/local-path", "rbd.csi.ceph.com", "topolvm.io", "docker.io/hostpath", "k8s.io/minikube-hostpath"),
)
_DEFAULT_CLASS: Final = "storageclass.kubernetes.io/is-default-class"

Look = Callable[[ApiClient, str, Settings], Awaitable[Check]]


async def rights(api: ApiClient, namespace: str, _settings: Settings) -> Check:
    """Check that the Hub's account may do all that the Hub does."""
    wanted = [(resource, verb) for resource, verbs in NEEDED.items() for verb in verbs]
    allowed = await asyncio.gather(*(_may(api, namespace, resource, verb) for resource, verb in wanted))
    if missing := [f"{verb} {resource}" for (resource, verb), may in zip(wanted, allowed, strict=True) if not may]:
        fix = f"The Hub's account may not {', '.join(missing)} in {namespace}. Add the verbs to the Role of the Hub."
        return Check(name="rights", ok=False, sentence=fix)
    return Check(name="rights", ok=True, sentence=f"The Hub's account has the {len(wanted)} rights that it needs.")


async def storage_class(api: ApiClient, _namespace: str, settings: Settings) -> Check:
    """Check as far as can be told that claims of the storage class can be made and mounted as the settings say."""
    storage = settings.storage
    if storage.shared_claim:
        return Check(name="storage class", ok=True, sentence="Not used: volumes are folders of the shared claim.")
    try:
        found = await _class(StorageV1Api(api), storage.storage_class)
    except ApiException as error:
        if error.status != HTTPStatus.FORBIDDEN:
            raise
        # The Hub needs no right over the whole cluster, so it has none
        look = f"kubectl get storageclass {storage.storage_class}".strip()
        return Check(name="storage class", ok=True, sentence=f"Can't be told with the Hub's rights; look: {look}")
    if found is None:
        named = f"no storage class “{storage.storage_class}”" if storage.storage_class else "no default storage class"
        return Check(
            name="storage class", ok=False, sentence=f"The cluster has {named}. Name one in storage.storage_class."
        )
    name, provisioner = found.metadata.name, found.provisioner
    if storage.access_mode == "ReadWriteMany" and provisioner in _DISKS:
        fix = (
            f"“{name}” makes disks ({provisioner}), which one node mounts at a time. Name a class of a file system in"
            " storage.storage_class, or set storage.access_mode to ReadWriteOnce and name storage.node."
        )
        return Check(name="storage class", ok=False, sentence=fix)
    grow = "its claims can grow" if found.allow_volume_expansion else "its claims can't grow"
    return Check(name="storage class", ok=True, sentence=f"“{name}” by {provisioner}; {grow}.")


async def claims(api: ApiClient, namespace: str, settings: Settings) -> Check:
    """Check that the claims that operators make are there, bound, and that the shared one can be mounted by all."""
    wanted = {volume.source: f"data volume {name}" for name, volume in settings.data.items()}
    if settings.storage.shared_claim:
        wanted[settings.storage.shared_claim] = "storage.shared_claim"
    core = CoreV1Api(api)
    problems = [
        problem
        for claim, used_by in wanted.items()
        if (problem := await _problem_of(core, namespace, claim, used_by, settings))
    ]
    if problems:
        return Check(name="claims", ok=False, sentence=" ".join(problems))
    return Check(name="claims", ok=True, sentence=f"{len(wanted)} claims of the settings are there and bound.")


async def check_rights() -> Check:
    """Check `rights` from inside a pod."""
    return await _inside(rights)


async def check_storage_class() -> Check:
    """Check `storage_class` from inside a pod."""
    return await _inside(storage_class)


async def check_claims() -> Check:
    """Check `claims` from inside a pod."""
    return await _inside(claims)


async def _inside(look: Look) -> Check:
    settings = load_settings()
    try:
        async with _account() as (api, namespace):
            return await look(api, namespace, settings)
    except ApiException as error:
        fix = f"The cluster's API refuses ({error.status} {error.reason}). Look at the Role of the Hub."
        return Check(name=look.__name__, ok=False, sentence=fix)
    except (OSError, TimeoutError, aiohttp.ClientError, config.ConfigException) as error:
        fix = (
            f"The cluster's API does not answer ({type(error).__name__}). Run this in the Hub's container, and look"
            " whether its NetworkPolicy lets it reach the API."
        )
        return Check(name=look.__name__, ok=False, sentence=fix)


@asynccontextmanager
async def _account() -> AsyncIterator[tuple[ApiClient, str]]:
    """Lend a client with the account of this pod, and its namespace."""
    config.load_incluster_config()  # type: ignore[no-untyped-call]
    async with ApiClient() as api:
        yield api, NAMESPACE.read_text(encoding="ascii").strip()


async def _may(api: ApiClient, namespace: str, resource: str, verb: str) -> bool:
    asked = V1ResourceAttributes(namespace=namespace, resource=resource, verb=verb)
    review = V1SelfSubjectAccessReview(spec=V1SelfSubjectAccessReviewSpec(resource_attributes=asked))
    answer = await AuthorizationV1Api(api).create_self_subject_access_review(review)
    return bool(answer.status.allowed)


async def _class(storage: StorageV1Api, name: str) -> Any:
    """Return a storage class, the default one where no name is given, or none."""
    for found in (await storage.list_storage_class()).items:
        is_default = (found.metadata.annotations or {}).get(_DEFAULT_CLASS) == "true"
        if found.metadata.name == name or (not name and is_default):
            return found
    return None


async def _problem_of(core: CoreV1Api, namespace: str, name: str, used_by: str, settings: Settings) -> str:
    """Return what is wrong with a claim, and what to do; nothing where it is in order."""
    try:
        claim = await core.read_namespaced_persistent_volume_claim(name, namespace)
    except ApiException as error:
        if error.status != HTTPStatus.NOT_FOUND:
            raise
        return f"The claim {name} ({used_by}) is not there: make it in {namespace}, or take it out of the settings."
    if claim.status.phase != "Bound":
        return f"The claim {name} ({used_by}) is {claim.status.phase}: kubectl describe persistentvolumeclaim {name}."
    shared = name == settings.storage.shared_claim and settings.storage.access_mode == "ReadWriteMany"
    if shared and "ReadWriteMany" not in claim.spec.access_modes:
        return f"The shared claim {name} is not ReadWriteMany: make one that is, or set storage.access_mode and node."
    return ""
