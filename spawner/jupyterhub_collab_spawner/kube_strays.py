"""Pods of ours that no spawner of this Hub stands for: what a Hub that was killed left behind."""

from __future__ import annotations

import asyncio
import logging
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Final

from . import metrics
from .builders.pods import KIND, LABEL

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from .kube_api import Cluster

log = logging.getLogger("jupyterhub.collab.strays")
_PERSON: Final = "hub.jupyter.org/username"
_SERVER: Final = "hub.jupyter.org/servername"


def overdue(pod: Mapping[str, Any], patience: float) -> bool:
    """Tell whether a pod should have ended so many seconds ago, and its node has not said that it has."""
    due = pod["metadata"].get("deletionTimestamp")
    return due is not None and datetime.now(UTC) - datetime.fromisoformat(due) > timedelta(seconds=patience)


async def forget(cluster: Cluster, pod: Mapping[str, Any]) -> None:
    """Let the cluster forget a pod whose node does not answer: nobody can know whether it still runs there."""
    log.error(
        "The node %s does not confirm the end of the pod %s, which the cluster now forgets. If that machine runs on,"
        " cut off from the cluster, so may the pod: restart or fence it.",
        pod["spec"].get("nodeName"),
        pod["metadata"]["name"],
    )
    await cluster.delete_pod(pod["metadata"]["name"], grace=0)


class PodStrays:
    """Finds servers by their pods, all of them by one list call."""

    def __init__(self, cluster: Cluster, process: str, patience: float) -> None:
        self._cluster = cluster
        self._process = process
        self._patience = patience

    async def end_these(self, servers: Collection[tuple[str, str]]) -> set[tuple[str, str]]:
        """End servers; return those that are surely gone: they have no pod, not even one on its way out."""
        if not servers:
            return set()
        found = [pod for pod in await self._cluster.list_pods(f"{KIND}=server") if _server(pod) in servers]
        await self._delete(found)
        return set(servers) - {_server(pod) for pod in found}

    async def end_all_but(self, claimed: Collection[tuple[str, str]]) -> None:
        """End all servers but the claimed ones, and what an earlier Hub was doing with volumes."""
        pods = await self._cluster.list_pods(KIND)
        servers = [pod for pod in pods if pod["metadata"]["labels"][KIND] == "server" and _server(pod) not in claimed]
        tasks = [pod for pod in pods if pod["metadata"]["labels"][KIND] != "server" and not self._is_own(pod)]
        for pod in servers:
            metrics.STRAYS.inc()
            log.warning("Ending the pod %s of %s: no server of this Hub", pod["metadata"]["name"], _server(pod)[0])
        await self._delete(servers + tasks)

    async def _delete(self, pods: list[dict[str, Any]]) -> None:
        """Ask for the end of pods; those that a lost node does not end are forgotten after some patience."""
        fresh = [pod["metadata"]["name"] for pod in pods if "deletionTimestamp" not in pod["metadata"]]
        await asyncio.gather(*(self._cluster.delete_pod(name) for name in fresh))
        for pod in pods:
            if overdue(pod, self._patience):
                await forget(self._cluster, pod)

    def _is_own(self, pod: dict[str, Any]) -> bool:
        return bool(pod["metadata"]["labels"].get(f"{LABEL}/hub-process") == self._process)


def _server(pod: dict[str, Any]) -> tuple[str, str]:
    marks = pod["metadata"].get("annotations") or {}
    return marks.get(_PERSON, ""), marks.get(_SERVER, "")
