"""Servers that run although no spawner stands for them: what a Hub that was killed could not put into its database."""

from __future__ import annotations

import logging
import signal
from typing import TYPE_CHECKING, Final, Protocol

from . import cgroups, leftovers, metrics, processes
from .records import ServerFolder, all_records

if TYPE_CHECKING:
    from collections.abc import Collection
    from pathlib import Path

log = logging.getLogger("jupyterhub.collab.strays")
KILL_PATIENCE: Final = 10.0


class Strays(Protocol):
    """How an engine finds such servers."""

    async def end_these(self, servers: Collection[tuple[str, str]]) -> set[tuple[str, str]]:
        """End servers of these names; return those of which it is sure that none runs."""

    async def end_all_but(self, claimed: Collection[tuple[str, str]]) -> None:
        """End all servers of earlier Hubs but the claimed ones."""


class RecordedStrays:
    """Finds sandboxes by the records in the runtime folder."""

    def __init__(self, runtime: Path) -> None:
        self._runtime = runtime

    async def end(self, person: str, server_name: str) -> bool:
        """End the sandbox on record under this name; tell whether it is sure that none runs."""
        folder = ServerFolder(self._runtime, person, server_name)
        record = folder.read()
        if record is not None:
            processes.send(record.init, signal.SIGKILL)
            if not await processes.ended(record.init, KILL_PATIENCE):
                return False
            await cgroups.remove(record.control_groups)
        if folder.read() == record:  # else a start came in between, and it is that one's folder
            folder.remove()
        return True

    async def end_these(self, servers: Collection[tuple[str, str]]) -> set[tuple[str, str]]:
        """End the sandboxes on record under these names."""
        return {server for server in servers if await self.end(*server)}

    async def end_all_but(self, claimed: Collection[tuple[str, str]]) -> None:
        """End all sandboxes on record but the claimed ones, and remove what cut-off starts left."""
        leftovers.remove_unrecorded(self._runtime, claimed)
        for record in all_records(self._runtime):
            if (record.person, record.server_name) not in claimed:
                metrics.STRAYS.inc()
                log.warning("Ending a server of %s that an earlier Hub left behind", record.person)
                await self.end(record.person, record.server_name)


class UnknownStrays:
    """Finds none and is never sure: for engines that keep their servers in a list of their own."""

    async def end_these(self, servers: Collection[tuple[str, str]]) -> set[tuple[str, str]]:  # noqa: ARG002 - the protocol's
        """Say that nothing is known."""
        return set()

    async def end_all_but(self, claimed: Collection[tuple[str, str]]) -> None:
        """Leave all servers alone."""
