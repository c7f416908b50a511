"""What has to be done to volumes now and then, in the Hub's process: it is the one that may touch everybody's files."""

from __future__ import annotations

import asyncio
import contextvars
import logging
import os
import subprocess
import time
from typing import TYPE_CHECKING, ClassVar, Final, Protocol

from jupyterhub_collab.names import project_volume

from . import core, metrics, scratch

if TYPE_CHECKING:
    from collections.abc import Awaitable, Mapping
    from pathlib import Path

    from jupyterhub_collab.projects.service import ProjectService

_HOUR: Final = 3600
log = logging.getLogger("jupyterhub.collab.housekeeping")


class Volumes(Protocol):
    """How an engine keeps volumes; each of these raises `OSError` where it fails, and is tried again later."""

    async def remove(self, volume: str) -> None:
        """Remove a volume with all that is in it; one that is not there is removed."""

    async def measure(self, volume: str) -> int:
        """Return the bytes in a volume."""

    async def grow(self, sizes: Mapping[str, int]) -> None:
        """Give volumes room for so many bytes where they have less."""

    async def clean_scratch(self, days: int) -> None:
        """Remove what nobody touched for so many days from all scratch volumes."""


class Folders:
    """Volumes as folders of this machine."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._clean_again = 0.0

    async def remove(self, volume: str) -> None:
        """Remove a folder."""
        await asyncio.to_thread(remove_folder, self._root / volume)

    async def measure(self, volume: str) -> int:
        """Measure a folder."""
        return await asyncio.to_thread(folder_size, self._root / volume)

    async def grow(self, sizes: Mapping[str, int]) -> None:
        """Do nothing: a folder has the room that the disk has."""

    async def clean_scratch(self, days: int) -> None:
        """Remove what is old, and note what will be; once an hour, since it looks at every file."""
        if time.monotonic() < self._clean_again:
            return
        self._clean_again = time.monotonic() + _HOUR
        failed = []
        for folder in scratch.folders(self._root):
            try:
                use = await asyncio.to_thread(scratch.clean, folder, days, time.time())
            except OSError as error:
                failed.append(str(error))
            else:
                await core.scratch().seen(folder.name, use)
        if failed:
            raise OSError("; ".join(failed))


class Housekeeping:
    """Does what is due for volumes: removes those of deleted projects, measures, grows and cleans."""

    _task: ClassVar[asyncio.Task[None] | None] = None

    def __init__(self, projects: ProjectService, volumes: Volumes, scratch_days: int = 0) -> None:
        self._projects = projects
        self._volumes = volumes
        self._scratch_days = scratch_days

    @classmethod
    def begin(cls, loop: asyncio.AbstractEventLoop, volumes: Volumes, interval: float) -> None:
        """Start the task on the Hub's event loop, unless it runs; ``interval`` is in seconds."""
        if cls._task is None or cls._task.done() or cls._task.get_loop() is not loop:
            work = cls(core.projects(), volumes, core.settings().storage.scratch_days).forever(interval)
            cls._task = loop.create_task(work, context=contextvars.Context())  # its log lines belong to no request

    async def forever(self, interval: float) -> None:
        """Do what is due again and again; a failure is logged, and the next time tries again."""
        while True:
            try:
                await self.once()
                metrics.LAST_HOUSEKEEPING.set_to_current_time()
            except Exception:
                metrics.HOUSEKEEPING_FAILURES.labels("round").inc()
                log.exception("What is due for volumes could not be done; trying again later")
            await asyncio.sleep(interval)

    async def once(self) -> None:
        """Do what is due; what fails is logged and due again the next time."""
        for slug in await self._projects.due_for_purge():
            if await self._done("purge", self._volumes.remove(project_volume(slug))):
                await self._projects.purge(slug)
                metrics.PURGED.inc()
                log.info("Removed the deleted project %s for good", slug)
        for slug in await self._projects.to_measure():
            await self._done("measure", self._measure(slug))
        sizes = {project_volume(slug): size for slug, size in (await self._projects.volume_sizes()).items()}
        await self._done("grow", self._volumes.grow(sizes))
        if self._scratch_days:
            await self._done("clean", self._volumes.clean_scratch(self._scratch_days))

    async def _measure(self, slug: str) -> None:
        await self._projects.measured(slug, await self._volumes.measure(project_volume(slug)))

    async def _done(self, work: str, doing: Awaitable[None]) -> bool:
        """Tell whether something could be done; removing comes before the rows, which say until then that it is due."""
        try:
            await doing
        except OSError:
            metrics.HOUSEKEEPING_FAILURES.labels(work).inc()
            log.exception("%s of a volume failed; trying again later", work.capitalize())
            return False
        return True


def remove_folder(folder: Path) -> None:
    """Remove a folder with all that is in it, also what its owner made unreadable; links are removed, not followed.

    Raises
    ------
    OSError
        Something in it can't be removed.
    """
    if not os.path.lexists(folder):
        return
    if os.geteuid() != 0:  # root may open everything, and must not change the mode of what a link leads to
        _run("chmod", "--recursive", "u+rwx", "--", str(folder))
    _run("rm", "--recursive", "--force", "--one-file-system", "--", str(folder))


def folder_size(folder: Path) -> int:
    """Return the bytes of all that is in a folder, 0 where there is none; links count as themselves.

    Raises
    ------
    OSError
        It can't be measured.
    """
    if not folder.is_dir():
        return 0
    return int(_run("du", "--summarize", "--bytes", "--", str(folder), may_miss_some=True).split()[0])


def _run(name: str, *arguments: str, may_miss_some: bool = False) -> str:
    """Run a program of the machine: unlike Python's own walks these stand any depth with few open files.

    Raises
    ------
    OSError
        It failed, or said nothing.
    """
    done = subprocess.run([name, *arguments], capture_output=True, text=True, errors="replace", check=False)
    if not (done.stdout if may_miss_some else done.returncode == 0):
        raise OSError(f"{name} failed: {done.stderr[-500:]}")
    return done.stdout
