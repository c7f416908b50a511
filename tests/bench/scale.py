"""Does a page cost the same on a hundred times larger site?"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections import defaultdict
from collections.abc import Container, Iterator
from typing import Final

import aiohttp

from jupyterhub_collab.access.models import Role
from jupyterhub_collab.access.service import Authorizer
from jupyterhub_collab.errors import PlanRefusedError
from jupyterhub_collab.factory import Factory
from jupyterhub_collab.servers.models import Excess
from jupyterhub_collab.servers.planner import Planner
from tests.support.hub import PREFIX, token_of

from .figures import Figure, percentile
from .reads import Drawn, Read, all_reads
from .serving import serving
from .sites import Site, sites

REQUESTS: Final = 200
PLANS: Final = 1000
LOOKS: Final = 100
_WARM: Final = 10
# Ten projects that running servers mount and that have no group to be a member through
_TEN: Final = (
    "(SELECT DISTINCT project FROM granted_mounts WHERE project NOT IN (SELECT project FROM group_grants)"
    " ORDER BY project LIMIT 10)"
)
_REMOVE: Final = "DELETE FROM members WHERE project IN {} RETURNING person"
_HOLDERS: Final = (
    "SELECT DISTINCT g.person, g.server_name FROM granted_plans g JOIN granted_mounts m ON m.grant_id = g.id"
    " WHERE m.project IN {}"
)

Times = dict[str, list[float]]


async def measure_reads(small: tuple[Site, str], large: tuple[Site, str], requests: int) -> dict[str, Times]:
    """Ask both sites by turns for every read; return the milliseconds of each answer, by read and site."""
    times: dict[str, Times] = {}
    drawn = {site.size.name: (origin, await Drawn.of(site)) for site, origin in (small, large)}
    async with aiohttp.ClientSession() as session:
        for read in all_reads():
            times[read.name] = await _measure(session, read, drawn, requests)
    return times


async def _measure(
    session: aiohttp.ClientSession, read: Read, drawn: dict[str, tuple[str, Drawn]], requests: int
) -> Times:
    taken: Times = defaultdict(list)
    wanted = {name: (origin, found.requests(read)) for name, (origin, found) in drawn.items()}
    for number in range(requests + _WARM):
        for name in sorted(wanted, reverse=bool(number % 2)):
            origin, following = wanted[name]
            milliseconds = await _ask(session, origin, *next(following))
            if number >= _WARM:
                taken[name].append(milliseconds)
    return taken


async def _ask(session: aiohttp.ClientSession, origin: str, who: str | None, path: str) -> float:
    headers = {"Authorization": f"token {token_of(who)}"} if who else {}
    begin = time.perf_counter()
    async with session.get(f"{origin}{PREFIX}{path}", headers=headers, allow_redirects=False) as answer:
        content = await answer.read()
    taken = (time.perf_counter() - begin) * 1000
    if answer.status >= 400:
        msg = f"{path} for {who}: {answer.status} {content[:500].decode()}"
        raise RuntimeError(msg)
    return taken


def _of_reads(times: dict[str, Times]) -> Iterator[Figure]:
    """Return each read's figures, then the median of all requests and the 99th percentile of the slowest read."""
    for name, taken in times.items():
        yield _figure(f"scale_read_p50.{name}", taken, 50)
        yield _figure(f"scale_read_p99_ms.{name}", taken, 99)
    everything = {site: [t for taken in times.values() for t in taken[site]] for site in ("small", "large")}
    yield _figure("scale_read_p50", everything, 50)
    yield _figure("scale_read_p99_ms", max(times.values(), key=lambda taken: percentile(taken["large"], 99)), 99)


def _figure(name: str, taken: Times, percent: float) -> Figure:
    value, peer_value = percentile(taken["large"], percent), percentile(taken["small"], percent)
    return Figure(name=name, value=value, unit="ms", peer="a hundredth of the site", peer_value=peer_value)


async def measure_plans(pair: tuple[Site, Site]) -> Times:
    """Plan servers, workspaces and projects' by turns, of members drawn from both sites."""
    taken: Times = defaultdict(list)
    factories = {site.size.name: Factory.open(site.settings) for site in pair}
    members = {site.size.name: (await Drawn.of(site)).rows[Role.VIEWER] for site in pair}
    for number in range(PLANS):
        for name, factory in factories.items():
            person, slug, _ = members[name][number % len(members[name])]
            taken[name].append(await _plan(factory, person, slug if number % 2 else ""))
    for factory in factories.values():
        await factory.close()
    return {name: times[_WARM:] for name, times in taken.items()}


async def _plan(factory: Factory, person: str, server_name: str) -> float:
    settings = factory.settings
    planner = Planner(Authorizer(settings.rights), factory.catalogue, settings.limits, settings.storage)
    begin = time.perf_counter()
    with contextlib.suppress(PlanRefusedError):  # its environment is not for them, as planning finds out
        await factory.database.read(lambda session: planner.plan(session, person, server_name))
    return (time.perf_counter() - begin) * 1000


async def measure_looks(pair: tuple[Site, Site]) -> Times:
    """Look for servers that hold too much. There are none until some persons lose their roles at the end.

    Raises
    ------
    RuntimeError
        A look found what is allowed, or did not find what is not.
    """
    taken: Times = defaultdict(list)
    factories = {site.size.name: Factory.open(site.settings) for site in pair}
    for _ in range(LOOKS + _WARM):
        for name, factory in factories.items():
            begin = time.perf_counter()
            found = await factory.servers.excess()
            taken[name].append((time.perf_counter() - begin) * 1000)
            _check(name, found, set())
    for site in pair:
        lost = await _take_roles_away(site)
        _check(site.size.name, await factories[site.size.name].servers.excess(), lost)
        await factories[site.size.name].close()
    return {name: times[_WARM:] for name, times in taken.items()}


async def _take_roles_away(site: Site) -> set[tuple[str, ...]]:
    """Remove all members of ten projects that have no groups; return the servers with a folder of theirs."""
    await site.rows(_REMOVE.format(_TEN))
    return set(await site.rows(_HOLDERS.format(_TEN)))


def _check(site: str, found: list[Excess], expected: set[tuple[str, ...]]) -> None:
    servers = {(excess.person, excess.server_name) for excess in found}
    if servers != expected:
        msg = f"{site}: {len(servers ^ expected)} servers were found or missed wrongly"
        raise RuntimeError(msg)


def run(wanted: Container[str]) -> Iterator[Figure]:
    """Make both sites and measure what is wanted of them."""
    with sites() as pair:
        small, large = pair
        if "scale_read_p50" in wanted or "scale_read_p99_ms" in wanted:
            with serving(small) as there, serving(large) as here:
                yield from _of_reads(asyncio.run(measure_reads((small, there), (large, here), REQUESTS)))
        if "scale_plan_p99_ms" in wanted:
            yield _figure("scale_plan_p99_ms", asyncio.run(measure_plans(pair)), 99)
        if "scale_enforce_ms" in wanted:
            looks = asyncio.run(measure_looks(pair))
            yield _figure("scale_enforce_ms.p50", looks, 50)
            yield _figure("scale_enforce_ms", looks, 99)
