"""What has to be done to volumes now and then, in the Hub's process: it is the one that may touch everybody's files."""

from __future__ import annotations

import asyncio
import contextvars
import logging
import os
import subprocess
from typing import TYPE_CHECKING, ClassVar

from jupyterhub_collab.names import project_volume

from . import core, metrics

if TYPE_CHECKING:
    from pathlib import Path

    from jupyterhub_collab.projects.service import ProjectService

log = logging.getLogger("jupyterhub.collab.housekeeping")


class Housekeeping:
    """Removes what deleted projects leave behind once their days of grace are over, and measures project folders."""

    _task: ClassVar[asyncio.Task[None] | None] = None

    def __init__(self, projects: ProjectService, root: Path) -> None:
        self._projects = projects
        self._root = root

    @classmethod
    def begin(cls, loop: asyncio.AbstractEventLoop, root: Path, interval: float) -> None:
        """Start the task on the Hub's event loop, unless it runs; ``interval`` is in seconds."""
        if cls._task is None or cls._task.done() or cls._task.get_loop() is not loop:
            work = cls(core.projects(), root).forever(interval)
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
            await self._purge(slug)
        for slug in await self._projects.to_measure():
            await self._measure(slug)

    async def _measure(self, slug: str) -> None:
        try:
            size = await asyncio.to_thread(folder_size, self._root / project_volume(slug))
        except OSError:
            metrics.HOUSEKEEPING_FAILURES.labels("measure").inc()
            log.exception("The folder of %s can't be measured; trying again later", slug)
            return
        await self._projects.measured(slug, size)

    async def _purge(self, slug: str) -> None:
        """Remove the files first: where this process dies in between, the rows still say that there is work to do."""
        try:
            await asyncio.to_thread(remove_folder, self._root / project_volume(slug))
        except OSError:
            metrics.HOUSEKEEPING_FAILURES.labels("purge").inc()
            log.exception("The files of the deleted project %s can't be removed; trying again later", slug)
            return
        await self._projects.purge(slug)
        metrics.PURGED.inc()
        log.info("Removed the deleted project %s for good", slug)


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
