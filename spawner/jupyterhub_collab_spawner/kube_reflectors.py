"""What the Hub keeps in memory of the cluster: pods, their events, and our claims, as the cluster last told."""

from __future__ import annotations

import asyncio
import time
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final

from kubespawner import spawner
from kubespawner.reflector import ResourceReflector
from traitlets import validate

from .builders import claims

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

_FROM_NOWHERE: Final = frozenset({None, "0"})
_WITHOUT_NEWS: Final = 1.0  # seconds


class _Resuming(ResourceReflector):
    """Takes up a watch where the last one ended; KubeSpawner lists everything anew each time, every ten seconds.

    A watch ends by itself, and what it told last says where the next one goes on. After an error, such as 410 for a
    place that the cluster has forgotten, KubeSpawner asks from nowhere, and then there is a list. There also is one
    every `list_seconds`, since a watch is not sure to tell everything.
    """

    list_seconds = 60.0
    _listed = float("-inf")

    async def _list_and_update(self, resource_version: str | None = None) -> Any:
        if resource_version not in _FROM_NOWHERE and time.monotonic() < self._listed + self.list_seconds:
            return resource_version
        self._listed = time.monotonic()
        return await super()._list_and_update(resource_version)


class _Pods(dict[str, Any]):
    """Pods as the cluster last told, which says so when one has changed."""

    def __init__(self, known: Mapping[str, Any], tell: Callable[[str], None]) -> None:
        super().__init__(known)
        self._tell = tell

    def __setitem__(self, key: str, pod: Any) -> None:
        super().__setitem__(key, pod)
        self._tell(key)


class PodReflector(_Resuming, spawner.PodReflector):
    """Keeps the pods of servers, and wakes who waits for news of one."""

    def __init__(self, **options: Any) -> None:
        self._waiting: dict[str, asyncio.Future[None]] = {}
        super().__init__(**options)

    async def news(self, key: str) -> None:
        """Return when a pod has changed, or after a while: a watch is not sure to tell everything."""
        told = self._waiting.setdefault(key, asyncio.get_running_loop().create_future())
        await asyncio.wait([told], timeout=_WITHOUT_NEWS)

    @validate("resources")
    def _tell_all(self, proposal: Any) -> _Pods:
        for key in list(self._waiting):
            self._tell(key)
        return _Pods(proposal["value"], self._tell)

    def _tell(self, key: str) -> None:
        told = self._waiting.pop(key, None)
        if told is not None:
            told.set_result(None)


class EventReflector(_Resuming, spawner.EventReflector):
    """Keeps the events of pods."""


class ClaimReflector(_Resuming):
    """Keeps our claims, so that a start whose claims are all prepared asks the cluster nothing."""

    kind = "persistentvolumeclaims"
    list_method_name = "list_namespaced_persistent_volume_claim"
    labels = claims.MANAGED_BY
    # Claims change seldom, and a missed change costs a start one answer more
    request_timeout = 330
    timeout_seconds = 300
    list_seconds = 600.0


OURS: Final[Mapping[type, type]] = MappingProxyType(
    {spawner.PodReflector: PodReflector, spawner.EventReflector: EventReflector}
)
"""The class that takes the place of one of KubeSpawner's."""
