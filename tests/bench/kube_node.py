"""On a real node: how soon a server answers, and how long that of a removed person still writes."""

from __future__ import annotations

import time
from collections.abc import Container, Iterator
from typing import Any, Final

from tests.cluster.cluster import lent
from tests.cluster.release import Release, release

from .figures import Figure, percentile
from .revoke import revocations
from .spawn import SLUG, by_turns, make_project, until_it_answers

REMOVALS: Final = 10
PAIRS: Final = 10
_LIMIT: Final = 5.0
# The same chart and image with KubeSpawner as it is: a claim for each person, made at the first start
_STOCK: Final[dict[str, Any]] = {
    "hub": {
        "config": {
            "JupyterHub": {"spawner_class": "kubespawner.KubeSpawner"},
            "KubeSpawner": {
                "container_security_context": {"capabilities": {"drop": ["ALL"]}},
                "fs_gid": 100,
                "uid": 1000,
                "pod_security_context": {"runAsNonRoot": True, "seccompProfile": {"type": "RuntimeDefault"}},
                "pvc_name_template": "stock-{username}",
                "start_timeout": 300,
                "storage_access_modes": ["ReadWriteMany"],
                "storage_capacity": "1Gi",
                "storage_class": "shared",
                "storage_pvc_ensure": True,
                "volume_mounts": {"home": {"mountPath": "/home/jovyan", "name": "home"}},
                "volumes": {"home": {"name": "home", "persistentVolumeClaim": {"claimName": "stock-{username}"}}},
            },
        }
    }
}


def starts(ours: Release, stock: Release) -> Iterator[Figure]:
    """Start a project's server and one of stock KubeSpawner by turns."""
    lead, peer = ours.person("lead"), stock.person("lead")
    make_project(lead)
    taken = by_turns({"ours": lambda: until_it_answers(lead, SLUG), "stock": lambda: until_it_answers(peer, "")}, PAIRS)
    value, peer_value = (percentile(taken[name], 50) for name in ("ours", "stock"))
    yield Figure(name="kube_start_p50", value=value, unit="s", peer="stock KubeSpawner", peer_value=peer_value)


def run(wanted: Container[str]) -> Iterator[Figure]:
    """Install the product, and beside it the same with stock KubeSpawner."""
    with lent() as cluster, release(cluster, "bench") as ours:
        if "kube_revoke_worst_s" in wanted:
            worst = max(revocations(ours.person("lead"), ours.person("editor"), REMOVALS))
            yield Figure(name="kube_revoke_worst_s", value=worst, unit="s", peer="the limit", peer_value=_LIMIT)
        if "kube_start_p50" in wanted:
            begun = time.monotonic()
            with release(cluster, "bench-stock", **_STOCK) as stock:
                ready = time.monotonic() - begun
                yield Figure(name="kube_start_p50.install", value=ready, unit="s", peer="the limit", peer_value=60)
                yield from starts(ours, stock)
