"""Stop what holds more than is allowed now."""

from __future__ import annotations

import asyncio
import logging
import time
from typing import TYPE_CHECKING, ClassVar, Final
from weakref import WeakSet

from . import core

if TYPE_CHECKING:
    from collections.abc import Iterable

    from jupyterhub_collab.servers.models import Excess

    from .planned import PlannedSpawner

log = logging.getLogger("jupyterhub.collab.enforcement")
_LOOKS_PER_RECKONING: Final = 10


class Enforcement:
    """Compares, in the Hub's process, what every running server was granted with what is allowed now.

    JupyterHub has no such task. What a person may have changes in the core's database, and nothing tells the Hub. This
    compares state with state, so nothing can be lost: whatever happens to a look, the next one sees the same difference.

    The first spawner instance starts it on the Hub's event loop. It rests on these calls of JupyterHub 6.1:

    - ``JupyterHub.init_spawners`` makes the instances of all running servers before its first ``await`` and then polls
      each of them before the Hub serves; our ``poll()`` waits for the first look, which therefore sees them all;
    - ``Spawner.active``, ``ready`` and ``pending``; ``await Spawner.stop(now=True)`` from outside a request;
    - ``await Spawner.poll_and_notify()``, which takes the Hub's path for a server that died: route deleted, server gone
      from the model, database clean. It is called only where the server is ready and nothing is pending.

    A server that is still starting is stopped too; its own ``start()`` notices, and refuses with the reason.
    """

    spawners: ClassVar[WeakSet[PlannedSpawner]] = WeakSet()
    _current: ClassVar[Enforcement | None] = None

    def __init__(self, interval: float) -> None:
        self.interval = interval
        self.seconds = 0.0
        """How long the last look took."""
        self.failing = False
        """Whether the last look failed, so that nothing is known."""
        self._looks = 0
        self._first = asyncio.Event()
        self._task = asyncio.get_running_loop().create_task(self._run())

    @classmethod
    def watch(cls, spawner: PlannedSpawner) -> None:
        """Include a spawner; the first one starts the task."""
        cls.spawners.add(spawner)
        try:
            asyncio.get_running_loop()
        except RuntimeError:
            return  # no Hub runs here: a test or a tool that only wants a spawner's configuration
        if cls._current is None or cls._current._task.done():  # noqa: SLF001 - its own
            cls._current = cls(spawner.interval)

    @classmethod
    async def first_look(cls) -> None:
        """Wait until what runs has been compared once in this process."""
        if cls._current is not None:
            await cls._current._first.wait()  # noqa: SLF001 - its own

    async def look(self) -> None:
        """Compare once, and stop what holds too much."""
        begun = time.perf_counter()
        servers = core.servers()
        excess = await servers.excess()
        self.seconds = time.perf_counter() - begun
        await asyncio.gather(*(self._stop(spawner, why) for spawner, why in self._concerned(excess)))
        if self._looks % _LOOKS_PER_RECKONING == 0:
            await self._reckon()
        self._looks += 1

    async def _run(self) -> None:
        while True:
            try:
                await self.look()
            except Exception:
                self._report(failed=True)
            else:
                self._report(failed=False)
            self._first.set()
            await asyncio.sleep(self.interval)

    def _report(self, *, failed: bool) -> None:
        """Log a change between working and failing, not every look."""
        if failed and not self.failing:
            log.exception("What servers hold can't be compared with what is allowed; trying on, nothing is stopped")
        elif self.failing and not failed:
            log.warning("What servers hold is compared with what is allowed again")
        self.failing = failed

    def _concerned(self, excess: Iterable[Excess]) -> list[tuple[PlannedSpawner, str]]:
        by_grant = {spawner.grant_id: spawner for spawner in self.spawners if spawner.grant_id is not None}
        return [(by_grant[item.grant_id], item.reason) for item in excess if item.grant_id in by_grant]

    async def _stop(self, spawner: PlannedSpawner, reason: str) -> None:
        """Stop one server; where that fails the next look tries again."""
        log.warning("Stopping %s: %s", spawner._log_name, reason)  # noqa: SLF001 - JupyterHub's name for logs
        try:
            await spawner.take_away()
            if spawner.active and spawner.ready and not spawner.pending:
                await spawner.poll_and_notify()
        except Exception:
            log.exception("%s could not be stopped; trying again", spawner._log_name)  # noqa: SLF001

    async def _reckon(self) -> None:
        """Close grants whose server is gone, and stop servers that have no grant."""
        servers = core.servers()
        present = {(spawner.user.name, spawner.name): spawner for spawner in self.spawners if spawner.active}
        granted = {spawner.grant_id for spawner in present.values()}
        grants = {grant.id: grant.plan for grant in await servers.open_grants()}
        for number, plan in grants.items():
            key = (plan.person, plan.server_name)
            if key not in present and await self._gone(*key):
                await servers.ended(*key, grant=number)
        for spawner in present.values():
            if spawner.grant_id in granted and spawner.grant_id not in grants and spawner.grant_id is not None:
                await self._stop(spawner, "it has no grant on record")

    async def _gone(self, person: str, server_name: str) -> bool:
        """Make sure that no server of this name runs, for a grant that no spawner stands for."""
        spawner = next(iter(self.spawners), None)
        return spawner is not None and await spawner.end_stray(person, server_name)
