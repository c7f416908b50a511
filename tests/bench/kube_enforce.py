"""One look of enforcement with a hundred removals in it, in a real Hub that has many pods running.

The servers are put where a Hub that was stopped leaves them: in its database, in the core's, and on the cluster. The
Hub that starts then takes them up, as after any restart.
"""

from __future__ import annotations

import functools
import time
from collections.abc import Container, Iterator
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import urlsplit

from jupyterhub import orm
from jupyterhub.utils import utcnow

from jupyterhub_collab.factory import Factory
from jupyterhub_collab_spawner.builders import pods
from jupyterhub_collab_spawner.kube_api import Cluster as Namespace

from .figures import Figure
from .kube_site import KubeSite, kube_site
from .memory import pss

SERVERS: Final = 2000
FEW: Final = 200
REMOVED: Final = 100
_MOUNTED: Final = 3
# Each request of the Hub to the cluster, with its time; a watch is none that lists
_COUNTING: Final = """
import os, time
from kubernetes_asyncio.client import rest
asked = open(os.environ["STATE"] + "/asked", "a", buffering=1)
request = rest.RESTClientObject.request
async def counting(self, method, url, *arguments, **options):
    watches = any(name == "watch" for name, _ in options.get("query_params") or ())
    asked.write(f"{time.time()} {'WATCH' if watches else method} {url.partition('?')[0]}\\n")
    return await request(self, method, url, *arguments, **options)
rest.RESTClientObject.request = counting
"""


@dataclass(frozen=True, slots=True)
class Look:
    """What the removals took."""

    seconds: float
    """From the commit until the last deletion was sent."""
    lists: int
    """List calls in that time."""
    memory: float
    """Of the Hub, in megabytes PSS."""


def measure(servers: int) -> Look:
    """Remove a hundred persons from a project while so many servers run."""
    with kube_site(servers, _MOUNTED) as site:
        _leave_running(site)
        site.hub.start(more=_COUNTING)
        site.hub.until(lambda: len(_ready(site)) == servers, 300)
        assert site.hub.process is not None
        memory = pss(site.hub.process.pid)
        begun = time.time()
        removed = site.persons[1 : REMOVED + 1]
        site.sql("DELETE FROM members WHERE project = %s AND person = ANY(%s)", site.projects[0], removed)
        site.hub.until(lambda: len(_deletions(site, begun)) >= REMOVED, 120)
        ends = _deletions(site, begun)[REMOVED - 1]
        lists = [line for line in _asked(site) if begun <= line[0] <= ends and _is_list(line)]
        site.hub.until(lambda: len(_ready(site)) == servers - REMOVED, 120)
        assert len(_deletions(site, begun)) == REMOVED
        return Look(ends - begun, len(lists), memory)


def _leave_running(site: KubeSite) -> None:
    """Put servers where a Hub that was stopped leaves them."""
    grants = site.hub.core(lambda factory: _grant_all(factory, site.persons))
    session = orm.new_session_factory(f"sqlite:///{site.hub.state}/hub.sqlite")()
    address = urlsplit(site.hub.address)
    for person in site.persons:
        server = orm.Server(proto="http", ip=address.hostname, port=address.port, base_url=f"/user/{person}/")
        state = {"pod_name": f"jupyter-{person}", "namespace": site.hub.namespace, "grant": grants[person]}
        user = orm.User(name=person)
        session.add(user)
        session.add(
            orm.Spawner(name="", user=user, server=server, state=state, started=utcnow(), last_activity=utcnow())
        )
    session.commit()
    session.close()
    site.in_namespace([functools.partial(_run_pod, person) for person in site.persons])
    site.hub.until(lambda: _phases(site) == ["Running"] * len(site.persons), 300)


async def _grant_all(factory: Factory, persons: list[str]) -> dict[str, int]:
    return {person: (await factory.servers.grant(person, "", running=frozenset())).id for person in persons}


async def _run_pod(person: str, namespace: Namespace) -> None:
    marks = {"hub.jupyter.org/username": person}
    labels = {"component": "singleuser-server", pods.KIND: "server"}
    restricted = {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}}
    container = {"name": "notebook", "image": "localhost/never-run:1", "securityContext": restricted}
    everywhere = {"runAsNonRoot": True, "seccompProfile": {"type": "RuntimeDefault"}}
    metadata = {"name": f"jupyter-{person}", "labels": labels, "annotations": marks}
    spec = {"containers": [container], "securityContext": everywhere, "automountServiceAccountToken": False}
    await namespace.create_pod({"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": spec})


def _phases(site: KubeSite) -> list[str]:
    return site.hub.kubectl("get", "pods", "-o", "jsonpath={.items[*].status.phase}").split()


def _ready(site: KubeSite) -> set[str]:
    """Return whose servers are ready, as the Hub tells, page by page."""
    found: set[str] = set()
    path: str | None = "/users?state=ready&limit=200&offset=0"
    while path is not None:
        accept = {"Accept": "application/jupyterhub-pagination+json"}
        page: dict[str, Any] = site.hub.api("GET", path, headers=accept).json()
        found |= {user["name"] for user in page["items"]}
        following = page["_pagination"]["next"]
        path = f"/users?state=ready&limit=200&offset={following['offset']}" if following else None
    return found


def _asked(site: KubeSite) -> list[tuple[float, str, str]]:
    lines = (site.hub.state / "asked").read_text(encoding="utf-8").splitlines()
    return [(float(instant), method, url) for instant, method, url in (line.split() for line in lines)]


def _is_list(asked: tuple[float, str, str]) -> bool:
    return asked[1] == "GET" and asked[2].rpartition("/")[2] in {"pods", "events", "persistentvolumeclaims"}


def _deletions(site: KubeSite, since: float) -> list[float]:
    return sorted(when for when, method, url in _asked(site) if method == "DELETE" and "/pods/" in url and when > since)


def run(_wanted: Container[str]) -> Iterator[Figure]:
    """Measure with few servers and with many: the number of list calls must not follow."""
    few, many = measure(FEW), measure(SERVERS)
    peer = f"the same with {FEW} servers"
    name = "kube_enforce_2000_s"
    yield Figure(name=name, value=many.seconds, unit="s", peer=peer, peer_value=few.seconds)
    yield Figure(name=f"{name}.lists", value=many.lists, unit="list calls", peer=peer, peer_value=few.lists)
    yield Figure(name=f"{name}.memory", value=many.memory, unit="MB PSS", peer=peer, peer_value=few.memory)
