"""Volumes on Kubernetes: claims that are made, prepared once, grown and deleted by us, never by KubeSpawner."""

from __future__ import annotations

import asyncio
import contextvars
import logging
from collections import defaultdict
from datetime import UTC, datetime, timedelta
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, Final

from kubernetes_asyncio.client.rest import ApiException

from jupyterhub_collab.errors import CollabError
from jupyterhub_collab.volumes.models import ScratchUse, VolumeKind

from . import core, kube_failures, kube_tasks, metrics
from .builders import claims, pods
from .errors import VolumeGoingError, VolumeNotReadyError
from .kube_api import message

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable, Mapping

    from jupyterhub_collab.settings import Storage

    from .builders.claims import TaskLook, Volume, VolumeTask
    from .kube_api import Cluster

    Reflected = Callable[[], Awaitable[dict[str, dict[str, Any]]]]

log = logging.getLogger("jupyterhub.collab.volumes")
_WORK_SECONDS: Final = 3600  # of a task for which nobody waits
_CLEANED_EVERY: Final = timedelta(days=1)
_CLEANED_AT_ONCE: Final = 200


class ClaimVolumes:
    """The volumes of one namespace. Each claim is worked on once at a time, however many starts wait for it."""

    def __init__(
        self, cluster: Cluster, reflected: Reflected, storage: Storage, look: TaskLook, *, seconds: int
    ) -> None:
        self._cluster = cluster
        self._reflected = reflected
        self._storage = storage
        self._look = look
        self._seconds = seconds
        self._under_way: dict[str, asyncio.Task[None]] = {}
        self._folders: set[str] = set()  # of the shared claim, prepared by this process
        self._stuck: set[str] = set()  # claims that their class does not let grow
        self._cleaned = datetime.min.replace(tzinfo=UTC)

    async def ensure(self, volumes: Iterable[Volume]) -> None:
        """Make and prepare what is missing, and grow what is too small.

        Raises
        ------
        PlanRefusedError
            The cluster does not provide a volume; the sentence says which.
        """
        chosen = list(volumes)
        missing = await self.missing(chosen)
        await self.grow({volume.name: volume.size for volume in chosen if volume.owns_claim})
        if not missing:
            return
        new: defaultdict[str, list[Volume]] = defaultdict(list)
        for volume in missing:
            if volume.name not in self._under_way:
                new[volume.claim].append(volume)
        for claim, its in new.items():
            # In a context of its own: several starts may wait for it
            work = asyncio.get_running_loop().create_task(self._provide(claim, its), context=contextvars.Context())
            self._under_way.update(dict.fromkeys((volume.name for volume in its), work))
            work.add_done_callback(self._forget)
        waiting = list(dict.fromkeys(self._under_way[volume.name] for volume in missing))
        await asyncio.wait(waiting)  # which, unlike gather, leaves the work alone when this start is given up
        failures = [failure for work in waiting if (failure := work.exception()) is not None]
        if failures:
            raise failures[0]

    async def missing(self, volumes: Iterable[Volume]) -> list[Volume]:
        """Return those of some volumes that are not prepared."""
        known = await self._reflected()
        return [volume for volume in volumes if not self._is_ready(volume, known)]

    async def remove(self, volume: str) -> None:
        """Remove a volume with all that is in it: its claim, or its folder of the shared claim."""
        self._folders.discard(volume)
        if self._storage.shared_claim:
            await self._run(claims.removing(self._storage.shared_claim, volume, _WORK_SECONDS))
            return
        known = (await self._claims()).get(volume)
        if await self._called(self._cluster.delete_claim(volume)):
            _count(known, "deleted")

    async def measure(self, volume: str) -> int:
        """Return the bytes in a volume; one that was never made has none."""
        claim, folder = self._place(volume)
        known = (await self._claims()).get(volume)
        if folder == pods.OWN_FOLDER and not claims.is_prepared(known):
            return 0
        said = await self._run(claims.measuring(claim, folder, _group(known), _WORK_SECONDS))
        return int(said.strip() or 0) * 1024

    async def grow(self, sizes: Mapping[str, int]) -> None:
        """Let claims ask for more where they ask for less; a claim never shrinks."""
        known = await self._reflected()
        for name, size in sizes.items():
            claim = known.get(f"{self._cluster.namespace}/{name}")
            if claim is not None and claims.requested(claim) < size and name not in self._stuck:
                await self._grow(name, size)

    async def clean_scratch(self, days: int) -> None:
        """Remove what nobody changed for so many days from scratch volumes, and note what goes next; once a day.

        Of a shared claim only the forty volumes are noted that lose the most: a pod can't say more.
        """
        if self._storage.shared_claim:
            if self._cleaned + _CLEANED_EVERY < datetime.now(UTC):
                await self._clean(self._storage.shared_claim, "scratch-*", days)
                self._cleaned = datetime.now(UTC)
            return
        known = await self._claims()
        due = sorted((_cleaned(claim), name) for name, claim in known.items() if _is_scratch(claim))
        for instant, name in due[:_CLEANED_AT_ONCE]:
            if instant + _CLEANED_EVERY < datetime.now(UTC):
                await self._clean(name, pods.OWN_FOLDER, days)
                mark = {"metadata": {"annotations": {claims.CLEANED: datetime.now(UTC).isoformat()}}}
                self._note(await self._called(self._cluster.patch_claim(name, mark)), await self._reflected())

    async def _clean(self, claim: str, pattern: str, days: int) -> None:
        for line in (await self._run(claims.cleaning(claim, pattern, days, _WORK_SECONDS))).splitlines():
            folder, size, going, first = line.split()
            goes_from = datetime.fromtimestamp(int(first), UTC) if int(first) else None
            use = ScratchUse(size=int(size), going=int(going), goes_from=goes_from)
            await core.scratch().seen(claim if folder == pods.OWN_FOLDER else folder, use)

    def _forget(self, work: asyncio.Task[None]) -> None:
        self._under_way = {name: other for name, other in self._under_way.items() if other is not work}

    async def _claims(self) -> dict[str, dict[str, Any]]:
        """Return our claims by name."""
        found = await self._reflected()
        return {claim["metadata"]["name"]: claim for claim in found.values()}

    def _is_ready(self, volume: Volume, known: Mapping[str, dict[str, Any]]) -> bool:
        if not volume.owns_claim:
            return volume.name in self._folders
        return claims.is_prepared(known.get(f"{self._cluster.namespace}/{volume.claim}"))

    async def _provide(self, claim: str, volumes: list[Volume]) -> None:
        """Make a claim if it is one volume's own, and prepare the folders of these volumes in it."""
        own = volumes[0] if volumes[0].owns_claim else None
        try:
            if own:
                await self._make(own)
            await kube_tasks.run(self._cluster, claims.preparing(claim, volumes, self._seconds), self._look)
            if own:
                self._note(await self._cluster.patch_claim(claim, claims.as_ours(own)), await self._reflected())
        except kube_tasks.TaskFailedError as error:
            log.error("The claim %s can't be prepared: %s", claim, error)  # noqa: TRY400 - it says it all
            raise VolumeNotReadyError(volumes[0].title, self._seconds) from error
        except ApiException as error:
            log.error("The claim %s can't be made: %s", claim, message(error))  # noqa: TRY400 - it says it all
            raise kube_failures.refused(error) from error
        for volume in volumes:
            metrics.CLAIMS.labels(volume=volume.kind.value, change="prepared").inc()
            if not own:
                self._folders.add(volume.name)

    async def _make(self, volume: Volume) -> None:
        """Create a claim; one that is there already is taken over, unless it is on its way out."""
        try:
            await self._cluster.create_claim(claims.claim(volume, self._storage))
            metrics.CLAIMS.labels(volume=volume.kind.value, change="made").inc()
        except ApiException as error:
            found = await self._cluster.read_claim(volume.claim)  # a quota speaks before the name
            if found is None or error.status not in {HTTPStatus.CONFLICT, HTTPStatus.FORBIDDEN}:
                raise
            if "deletionTimestamp" in found["metadata"]:
                raise VolumeGoingError(volume.name) from error

    async def _grow(self, name: str, size: int) -> None:
        try:
            changed = await self._called(self._cluster.patch_claim(name, claims.larger(size)))
        except OSError as error:
            self._stuck.add(name)
            log.error("The claim %s can't grow to %d bytes; not tried again before a restart: %s", name, size, error)  # noqa: TRY400
            return
        _count(changed, "grown")
        self._note(changed, await self._reflected())

    def _note(self, claim: dict[str, Any], known: dict[str, dict[str, Any]]) -> None:
        """Remember a claim as it is now: the cluster's own word comes a moment later."""
        known[f"{self._cluster.namespace}/{claim['metadata']['name']}"] = claim

    def _place(self, volume: str) -> tuple[str, str]:
        shared = self._storage.shared_claim
        return (shared, volume) if shared else (volume, pods.OWN_FOLDER)

    async def _run(self, task: VolumeTask) -> str:
        return str(await self._called(kube_tasks.run(self._cluster, task, self._look)))

    @staticmethod
    async def _called(asking: Awaitable[Any]) -> Any:
        """Return an answer; what the cluster says against it is an `OSError`, as for folders of a machine."""
        try:
            return await asking
        except ApiException as error:
            raise OSError(message(error)) from error
        except CollabError as error:
            raise OSError(f"{error.title}. {error.detail}") from error


def _group(claim: Mapping[str, Any] | None) -> int:
    """Return the group that owns the root of a claim: no task may give it to another one."""
    project = ((claim or {}).get("metadata", {}).get("annotations") or {}).get(claims.PROJECT)
    return pods.group_id(project) if project else pods.USERS_GROUP


def _is_scratch(claim: Mapping[str, Any]) -> bool:
    return claims.is_prepared(claim) and claim["metadata"]["labels"].get(claims.VOLUME) == VolumeKind.SCRATCH.value


def _cleaned(claim: Mapping[str, Any]) -> datetime:
    marks = claim["metadata"].get("annotations") or {}
    return datetime.fromisoformat(marks.get(claims.CLEANED) or claim["metadata"]["creationTimestamp"])


def _count(claim: Mapping[str, Any] | None, change: str) -> None:
    volume = (claim or {}).get("metadata", {}).get("labels", {}).get(claims.VOLUME, "project")
    metrics.CLAIMS.labels(volume=volume, change=change).inc()
