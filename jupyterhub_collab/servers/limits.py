"""What may run at the same time: how many servers, and how much CPU and memory they have together."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Final

from sqlalchemy.ext.asyncio import AsyncSession

from jupyterhub_collab.errors import ResourceLimitError, ServerLimitError
from jupyterhub_collab.settings import Limits, ResourceClass

from .models import RunningServer, ServerPlan
from .store import ServerStore

ROUNDING: Final = 1e-6
"""By so much a sum of fractions of cores may be off."""


@dataclass(frozen=True, kw_only=True, slots=True)
class _Resource:
    what: str
    of: Callable[[RunningServer | ResourceClass], float]
    shown: Callable[[float], str]


_CPU = _Resource(what="CPU", of=lambda size: size.cpu, shown=lambda cores: f"{cores:g} CPU")
_MEMORY = _Resource(what="memory", of=lambda size: int(size.memory), shown=lambda size: f"{size / 2**30:.3g} GiB")


class ServerLimits:
    """Refuses a start that would be too much for its person or its project."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits

    async def check(
        self,
        session: AsyncSession,
        plan: ServerPlan,
        found: Iterable[RunningServer],
        running: frozenset[str] | None,
    ) -> None:
        """Refuse a plan that is too much beside what its person has; ``running`` as in `ServerService.grant`.

        Raises
        ------
        ServerLimitError, ResourceLimitError
        """
        limits = self._limits
        mine = {other.server_name: other for other in found if running is None or other.server_name in running}
        mine.pop(plan.server_name, None)
        self._count_mine(list(mine))
        mine = {name or "workspace": other for name, other in mine.items()}
        _add_up(plan, mine, _CPU, limits.cpu_per_person, "person")
        _add_up(plan, mine, _MEMORY, limits.memory_per_person, "person")
        if plan.project is None:
            return
        theirs = {other.person: other for other in await ServerStore(session).running_in(plan.project)}
        theirs.pop(plan.person, None)
        self._count_theirs(list(theirs))
        _add_up(plan, theirs, _CPU, limits.cpu_per_project, "project")
        _add_up(plan, theirs, _MEMORY, limits.memory_per_project, "project")

    def _count_mine(self, others: list[str]) -> None:
        limit = self._limits.servers_per_person
        if len(others) >= limit:
            names = ", ".join(name or "workspace" for name in others)
            detail = (
                f"You run {len(others)} servers already ({names}); {limit} is the limit for each person on this Hub. "
            )
            raise ServerLimitError(detail + "Stop one of them and start this one again.", limit=limit, running=others)

    def _count_theirs(self, people: list[str]) -> None:
        limit = self._limits.servers_per_project
        if len(people) >= limit:
            some = ", ".join(people[:5])
            detail = f"The members of this project run {len(people)} servers ({some} …); {limit} is its limit. "
            raise ServerLimitError(detail + "Ask one of them, or a lead, to stop theirs.", limit=limit, running=people)


def _add_up(
    plan: ServerPlan, others: Mapping[str, RunningServer], resource: _Resource, limit: float | None, whose: str
) -> None:
    """Refuse a plan with which a sum would pass a limit; ``others`` by what a sentence calls them."""
    if limit is None:
        return
    needed = resource.of(plan.resource_class)
    used = {name: resource.of(other) for name, other in others.items()}
    if needed + sum(used.values()) <= limit + ROUNDING:
        return
    most = sorted(used.items(), key=lambda item: (-item[1], item[0]))
    raise ResourceLimitError(
        resource.what,
        whose=whose,
        needed=resource.shown(needed),
        limit=resource.shown(limit),
        used={name: resource.shown(amount) for name, amount in most},
    )
