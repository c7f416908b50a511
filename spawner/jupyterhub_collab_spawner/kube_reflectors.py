"""What the Hub keeps in memory of the cluster: pods, their events, and our claims, as the cluster last told."""

from __future__ import annotations

import time
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final

from kubespawner import spawner
from kubespawner.reflector import ResourceReflector

from .builders import claims

if TYPE_CHECKING:
    from collections.abc import Mapping

_FROM_NOWHERE: Final = frozenset({None, "0"})


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


class PodReflector(_Resuming, spawner.PodReflector):
    """Keeps the pods of servers."""


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
