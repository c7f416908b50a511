"""Many servers through real Hubs, ours and stock by turns: how long it takes, and what the Hub works for it.

KWOK plays the nodes, so what is measured is Hub, API server and scheduler. Both mount the same claims.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Container, Iterator
from typing import Any, Final

import httpx

from jupyterhub_collab.names import project_volume
from jupyterhub_collab_spawner.builders import pods

from .figures import Figure
from .kube_site import KubeSite, kube_site
from .spawn import by_turns

SERVERS: Final = 500
FEW: Final = 2  # a home and a project
MANY: Final = 50  # as many as people who pin everything have
_ROUNDS: Final = {FEW: 3, MANY: 1}
_TURN: Final = 100
_AT_ONCE: Final = 50

Taken = tuple[float, float]
"""Seconds, and those of the Hub's CPU."""


def traits(site: KubeSite) -> dict[str, Any]:
    """Return the configuration with which stock makes the same pods."""
    names = ["home-{username}", *map(project_volume, site.projects)]
    paths = ["/home/jovyan", *(f"/home/jovyan/projects/{slug}" for slug in site.projects)]
    return {
        "uid": 1000,
        "gid": 100,
        "supplemental_gids": [100, *map(pods.group_id, site.projects)],
        "container_security_context": {"capabilities": {"drop": ["ALL"]}},
        "pod_security_context": {"runAsNonRoot": True, "seccompProfile": {"type": "RuntimeDefault"}},
        "cpu_limit": 1,
        "cpu_guarantee": 0.1,
        "mem_limit": 2 * 1024**3,
        "mem_guarantee": 512 * 1024**2,
        "volumes": [
            {"name": f"v{number}", "persistentVolumeClaim": {"claimName": name}} for number, name in enumerate(names)
        ],
        "volume_mounts": [
            {"name": f"v{number}", "mountPath": path, "subPath": pods.OWN_FOLDER} for number, path in enumerate(paths)
        ],
    }


def measure(site: KubeSite, persons: list[str]) -> Taken:
    """Start a server for each of some persons; return the seconds until the last is ready and of the Hub's CPU."""
    begun, worked = time.monotonic(), site.cpu()
    asyncio.run(_start_all(site, persons))
    return time.monotonic() - begun, site.cpu() - worked


def _turns(site: KubeSite, spawner: str, options: dict[str, Any]) -> Callable[[], Taken]:
    """Run a Hub; return what starts the next servers each time: one, with which its watches begin, then hundreds."""
    site.make_claims()
    site.hub.start(spawner, **options)
    site.hub.api("POST", "/users", json={"usernames": site.persons}).raise_for_status()
    turns = iter([site.persons[:1], *(site.persons[at : at + _TURN] for at in range(1, SERVERS + 1, _TURN))])
    return lambda: measure(site, next(turns))


async def _start_all(site: KubeSite, persons: list[str]) -> None:
    slots = asyncio.Semaphore(_AT_ONCE)
    headers = {"Authorization": f"token {site.hub.token}"}
    async with httpx.AsyncClient(headers=headers, timeout=600) as client:

        async def start(person: str) -> None:
            async with slots:
                url = site.hub.url(f"/users/{person}/servers/")
                answer = await client.post(url, json={"user_options": {}})
                assert answer.status_code == httpx.codes.CREATED, answer.text

        await asyncio.gather(*map(start, persons))


def run(_wanted: Container[str]) -> Iterator[Figure]:
    """Measure both with few mounts and with many; both figures come from the same starts."""
    for mounts, rounds in _ROUNDS.items():
        taken = [_round(mounts) for _ in range(rounds)]
        more = "" if mounts == FEW else f".mounts_{mounts}"
        peer = f"KubeSpawner, {SERVERS} servers of {mounts} mounts"
        for part, name in enumerate(("kube_spawn_500", "kube_hub_cpu_500")):
            ours, theirs = (
                sum(turn[part] for turns in taken for turn in turns[hub]) / rounds for hub in ("ours", "theirs")
            )
            yield Figure(name=name + more, value=ours, unit="s", peer=peer, peer_value=theirs)


def _round(mounts: int) -> dict[str, list[Taken]]:
    with kube_site(SERVERS + 1, mounts - 1) as site, site.beside() as stock:
        theirs = _turns(stock, "kubespawner.KubeSpawner", traits(site))
        return by_turns({"ours": _turns(site, "collab-kube", {}), "theirs": theirs}, SERVERS // _TURN)
