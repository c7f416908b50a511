"""What has to be done to volumes now and then, in the Hub's process: it is the one that may touch everybody's files."""

from __future__ import annotations

import asyncio
import logging
import os
import shutil
import stat
from typing import TYPE_CHECKING

from jupyterhub_collab.names import project_volume

if TYPE_CHECKING:
    from pathlib import Path

    from jupyterhub_collab.projects.service import ProjectService

log = logging.getLogger("jupyterhub.collab.housekeeping")


class Housekeeping:
    """Removes what deleted projects leave behind once their days of grace are over, and measures project folders."""

    def __init__(self, projects: ProjectService, root: Path) -> None:
        self._projects = projects
        self._root = root

    async def once(self) -> None:
        """Do what is due; what fails is logged and due again the next time."""
        for slug in await self._projects.due_for_purge():
            await self._purge(slug)
        for slug in await self._projects.to_measure():
            folder = self._root / project_volume(slug)
            if folder.is_dir():
                await self._projects.measured(slug, await asyncio.to_thread(folder_size, folder))

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
    """Return the bytes of all files in a folder; links count as themselves, what vanishes meanwhile does not count."""
    total = 0
    for _path, _names, files, descriptor in os.fwalk(folder, onerror=None):
        for name in files:
            try:
                total += os.stat(name, dir_fd=descriptor, follow_symlinks=False).st_size
            except OSError:
                continue
    return total
