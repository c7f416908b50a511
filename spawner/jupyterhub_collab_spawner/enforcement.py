"""Stop what holds more than is allowed now."""

from __future__ import annotations

import asyncio
import contextvars
import logging
import time
from typing import TYPE_CHECKING, ClassVar, Final
from weakref import WeakSet

from . import core, metrics

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Sequence

    from jupyterhub_collab.servers.models import Excess, OpenGrant

    from .planned import PlannedSpawner
    from .strays import Strays

log = logging.getLogger("jupyterhub.collab.enforcement")
_LOOKS_PER_RECKONING: Final = 120
_SOON: Final = 4
_PATIENCE_WITH_DATABASE: Final = 10.0
_PATIENCE_WITH_SERVERS: Final = 1.0


class Enforcement:
    """Compares, in the Hub's process, what every running server was granted with what is allowed now.

    JupyterHub has no such task. What a person may have changes in the core's database, and nothing tells the Hub. It
    compares state with state, so nothing is lost: whatever happens to a look, the next one sees the same difference.

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
    _looked: ClassVar[asyncio.Event] = asyncio.Event()

    def __init__(self, interval: float, strays: Strays) -> None:
        self.interval = interval
        self._strays = strays
        self.seconds = 0.0
        """How long the last look took."""
        self.failing = False
        """Whether the last look failed, so that nothing is known."""
        self._looks_until_reckoning = 0
        self._first = True
        self._stopping: dict[PlannedSpawner, asyncio.Future[None]] = {}
        # In a context of its own: its lines in the log belong to no request, whichever made the first spawner
        self._task = asyncio.get_running_loop().create_task(self._run(), context=contextvars.Context())

    @classmethod
    def watch(cls, spawner: PlannedSpawner) -> None:
        """Include a spawner; the first one starts the task."""
        cls.spawners.add(spawner)
        try:
            asyncio.get_running_loop()
        except RuntimeError:
            return  # no Hub runs here: a test or a tool that only wants a spawner's configuration
        if cls._current is None or cls._current._task.done():  # noqa: SLF001 - its own
            cls._current = cls(spawner.interval, spawner.strays())

    @classmethod
    async def first_look(cls) -> None:
        """Wait until what runs has been compared once in this process."""
        if cls._current is not None:
            await cls._looked.wait()

    @classmethod
    def reckon_soon(cls) -> None:
        """Compare grants and servers one by one at the next look: one of them may have no counterpart."""
        if cls._current is not None:
            cls._current._looks_until_reckoning = 0  # noqa: SLF001 - its own

    async def look(self) -> None:
        """Compare once, and stop what holds too much."""
        begun = time.perf_counter()
        async with asyncio.timeout(_PATIENCE_WITH_DATABASE):
            excess = await core.servers().excess()
        self.seconds = time.perf_counter() - begun
        metrics.LOOK_SECONDS.observe(self.seconds)
        await self._stop_all(self._concerned(excess))
        if self._looks_until_reckoning <= 0:
            self._looks_until_reckoning = _LOOKS_PER_RECKONING
            try:
                await self._reckon()
            except BaseException:
                self._looks_until_reckoning = 0
                raise
        self._looks_until_reckoning -= 1

    async def _run(self) -> None:
        while True:
            try:
                await self.look()
            except Exception as error:  # noqa: BLE001 - whatever it is, the next look tries again
                self._report(error)
            else:
                self._report(None)
            self._looked.set()
            await asyncio.sleep(self.interval)

    def _report(self, error: Exception | None) -> None:
        """Count every look; log a change between working and failing."""
        if error is None:
            metrics.LAST_LOOK.set_to_current_time()
        else:
            metrics.LOOK_FAILURES.inc()
        if error is not None and not self.failing:
            log.error("What servers hold can't be compared; trying on, nothing is stopped meanwhile", exc_info=error)
        elif error is None and self.failing:
            log.warning("What servers hold is compared with what is allowed again")
        self.failing = error is not None

    def _concerned(self, excess: Sequence[Excess]) -> list[tuple[PlannedSpawner, str]]:
        if not excess:  # as nearly always, and the spawners may be thousands
            return []
        by_grant = {spawner.grant_id: spawner for spawner in self.spawners if spawner.grant_id is not None}
        return [(by_grant[item.grant_id], item.reason) for item in excess if item.grant_id in by_grant]

    async def _stop_all(self, concerned: Iterable[tuple[PlannedSpawner, str]]) -> None:
        """Stop some servers at once; one that takes its time is left to itself and does not hold up the next look."""
        self._stopping = {spawner: task for spawner, task in self._stopping.items() if not task.done()}
        for spawner, reason in concerned:
            if spawner not in self._stopping:
                self._stopping[spawner] = asyncio.ensure_future(self._stop(spawner, reason))
        if self._stopping:
            await asyncio.wait(list(self._stopping.values()), timeout=_PATIENCE_WITH_SERVERS)
        metrics.STOPPING.set(sum(not task.done() for task in self._stopping.values()))

    async def _stop(self, spawner: PlannedSpawner, reason: str) -> None:
        """Stop one server; where that fails the next look tries again."""
        log.warning("Stopping %s: %s", spawner._log_name, reason)  # noqa: SLF001 - JupyterHub's name for logs
        try:
            await spawner.take_away()
            metrics.STOPPED.labels(metrics.stop_reason(reason)).inc()
            if spawner.active and spawner.ready and not spawner.pending:
                await spawner.poll_and_notify()
        except Exception:
            metrics.STOP_FAILURES.inc()
            log.exception("%s could not be stopped; trying again", spawner._log_name)  # noqa: SLF001

    async def _reckon(self) -> None:
        """Close grants whose server is gone, end servers that nobody stands for, stop those that have no grant.

        What was granted is known before the grants are read, so a start in between is not taken for one without.
        """
        held = {spawner.grant_id: spawner for spawner in self.spawners if spawner.grant_id is not None}
        grants = {grant.id: grant for grant in await core.servers().open_grants()}
        without = [held[number] for number in held.keys() - grants.keys() if held[number].grant_id == number]
        await self._stop_all((spawner, "it has no grant on record") for spawner in without)
        if self._first:
            await self._strays.end_all_but(self._active())
            self._first = False
        await self._close([grants[number] for number in grants.keys() - held.keys()])

    async def _close(self, grants: Collection[OpenGrant]) -> None:
        """Close grants that no spawner holds; where one may still take one up, look again soon."""
        servers = {(grant.person, grant.server_name) for grant in grants}
        gone = await self._strays.end_these(servers - self._active())
        for grant in grants:
            if (grant.person, grant.server_name) in gone:
                await core.servers().ended(grant.person, grant.server_name, grant=grant.id)
        if gone < servers:
            self._looks_until_reckoning = _SOON

    def _active(self) -> set[tuple[str, str]]:
        return {(spawner.user.name, spawner.name) for spawner in self.spawners if spawner.active}
