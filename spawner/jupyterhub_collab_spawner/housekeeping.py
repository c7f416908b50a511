"""What has to be done to volumes now and then, in the Hub's process: it is the one that may touch everybody's files."""

from __future__ import annotations

import asyncio
import logging
import os
import shutil
import stat
from typing import TYPE_CHECKING, ClassVar

from jupyterhub_collab.names import project_volume

from . import core

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
            cls._task = loop.create_task(cls(core.projects(), root).forever(interval))

    async def forever(self, interval: float) -> None:
        """Do what is due again and again; a failure is logged, and the next time tries again."""
        while True:
            try:
                await self.once()
            except Exception:
                log.exception("What is due for volumes could not be done; trying again later")
            await asyncio.sleep(interval)

    async def once(self) -> None:
        """Do what is due; what fails is logged and due again the next time."""
        for slug in await self._projects.due_for_purge():
            await self._purge(slug)
        for slug in await self._projects.to_measure():
            size = await asyncio.to_thread(folder_size, self._root / project_volume(slug))
            await self._projects.measured(slug, size)

    async def _purge(self, slug: str) -> None:
        """Remove the files first: where this process dies in between, the rows still say that there is work to do."""
        try:
            await asyncio.to_thread(remove_folder, self._root / project_volume(slug))
        except OSError:
            log.exception("The files of the deleted project %s can't be removed; trying again later", slug)
            return
        await self._projects.purge(slug)
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
        _make_accessible(folder)
    shutil.rmtree(folder)


def _make_accessible(folder: Path) -> None:
    folder.chmod(stat.S_IRWXU)
    for _path, names, _files, descriptor in os.fwalk(folder):
        for name in names:
            if stat.S_ISDIR(os.stat(name, dir_fd=descriptor, follow_symlinks=False).st_mode):
                os.chmod(name, stat.S_IRWXU, dir_fd=descriptor)


def folder_size(folder: Path) -> int:
    """Return the bytes of all files in a folder, 0 where there is none; links count as themselves."""
    total = 0
    for _path, _names, files, descriptor in os.fwalk(folder, onerror=None):
        for name in files:
            try:
                total += os.stat(name, dir_fd=descriptor, follow_symlinks=False).st_size
            except OSError:
                continue
    return total
