"""What the product needs in memory beside a stock Hub: proportional set sizes, so that shared pages count once."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Container, Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Final

from tests.support.demo import Site

from .figures import Figure
from .stock import product, stock

_PARTS: Final = {
    "proxy": "configurable-http-proxy",
    "projects": "jupyterhub_collab_services.projects",
    "culler": "jupyterhub_collab_spawner.idle_culler",
    "hub": "-m jupyterhub ",
}
_PAGES: Final = ("/hub/home", "/hub/token")
_OUR_PAGES: Final = ("/services/projects/", "/services/projects/directory", "/services/projects/new")
_READINGS: Final = 5


def pss(pid: int) -> float:
    """Return a process's proportional set size in megabytes."""
    for line in Path(f"/proc/{pid}/smaps_rollup").read_text(encoding="ascii").splitlines():
        if line.startswith("Pss:"):
            return int(line.split()[1]) / 1000
    return 0.0


def parts(site: Site) -> dict[str, float]:
    """Return the memory of a site by part; every process of it must be one of them.

    Raises
    ------
    RuntimeError
        One is not.
    """
    found = dict.fromkeys(_PARTS, 0.0)
    for pid in site.processes():
        line = Path(f"/proc/{pid}/cmdline").read_bytes().decode().replace("\0", " ")
        part = next((name for name, mark in _PARTS.items() if mark in line), None)
        if part is None:
            msg = f"What is this? {line}"
            raise RuntimeError(msg)
        found[part] += pss(pid)
    return found


def measure(running: Callable[[], AbstractContextManager[Site]], pages: tuple[str, ...]) -> dict[str, float]:
    """Run a site, let somebody look around, and return the medians of some readings."""
    with running() as site:
        person = site.person("lead")
        for page in pages * 5:
            person.web.get(page).raise_for_status()
        readings = []
        for _ in range(_READINGS):
            time.sleep(1)
            readings.append(parts(site))
        return {name: statistics.median(reading[name] for reading in readings) for name in _PARTS}


def run(_wanted: Container[str]) -> Iterator[Figure]:
    """Measure both, one after the other: side by side they would share pages."""
    theirs = measure(stock, _PAGES)
    ours = measure(product, _PAGES + _OUR_PAGES)
    for name in ("hub", "proxy"):
        yield _figure(f"memory_mb.{name}", ours[name], f"stock {name}", theirs[name])
    yield _figure("memory_mb.projects", ours["projects"], "stock Hub", theirs["hub"])
    yield _figure("memory_mb.culler", ours["culler"], "stock Hub", theirs["hub"])
    counted = ours["hub"] + ours["proxy"] + ours["projects"]
    yield _figure("memory_mb", counted, "stock Hub and proxy", theirs["hub"] + theirs["proxy"])


def _figure(name: str, value: float, peer: str, peer_value: float) -> Figure:
    return Figure(name=name, value=value, unit="MB PSS", peer=peer, peer_value=peer_value)
