"""The folders of volumes on one machine, made and owned so that no person can redirect them.

Volumes are direct children of the storage folder, which only the Hub's account can change. Everything *in* a volume
belongs to people: nothing here follows a link in one.
"""

from __future__ import annotations

import contextlib
import os
import secrets
import stat
from typing import TYPE_CHECKING, Final

from jupyterhub_collab.volumes.models import VolumeKind

from .errors import MissingVolumeError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

    from jupyterhub_collab.volumes.models import Mount

    from .builders.bubblewrap import Account

_OPEN: Final = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_MODES: Final = {
    VolumeKind.HOME: 0o700,
    VolumeKind.SCRATCH: 0o700,
    VolumeKind.PROJECT: 0o2770,
    VolumeKind.PUBLIC: 0o2770,
}


def prepare(mounts: Iterable[Mount], storage: Path, account: Account | None) -> None:
    """Make the folders of these mounts where they are missing.

    Raises
    ------
    MissingVolumeError
        A data volume is not there, or something else stands where a volume should be.
    """
    storage.mkdir(mode=0o700, parents=True, exist_ok=True)
    for mount in mounts:
        if mount.kind is VolumeKind.DATA:
            _require(mount)
        else:
            _make(mount, storage, account)


def clear_mount_points(home: Path, points: Iterable[str]) -> None:
    """Move aside what a person put where folders are mounted in their home; a real folder stays."""
    with _opened(home) as descriptor:
        for point in points:
            with contextlib.suppress(FileNotFoundError):
                if not stat.S_ISDIR(os.stat(point, dir_fd=descriptor, follow_symlinks=False).st_mode):
                    aside = f"{point}.moved-{secrets.token_hex(4)}"
                    os.rename(point, aside, src_dir_fd=descriptor, dst_dir_fd=descriptor)


def _require(mount: Mount) -> None:
    if not os.path.isdir(mount.source):  # noqa: PTH112 - a claim's name is no path, and is no folder either
        raise MissingVolumeError(mount.volume)


def _make(mount: Mount, storage: Path, account: Account | None) -> None:
    try:
        with _opened(storage) as parent:
            with contextlib.suppress(FileExistsError):
                os.mkdir(mount.volume, _MODES[VolumeKind.HOME], dir_fd=parent)
            with _opened(mount.volume, parent) as folder:
                _own(folder, account, _MODES[mount.kind])
    except (NotADirectoryError, OSError) as error:
        raise MissingVolumeError(mount.volume) from error


def _own(folder: int, account: Account | None, mode: int) -> None:
    found = os.fstat(folder)
    if account is not None and found.st_uid != account.uid:
        os.fchown(folder, account.uid, account.gid)
    if stat.S_IMODE(found.st_mode) != mode:
        os.fchmod(folder, mode)


@contextlib.contextmanager
def _opened(path: Path | str, parent: int | None = None) -> Iterator[int]:
    descriptor = os.open(path, _OPEN, dir_fd=parent)
    try:
        yield descriptor
    finally:
        os.close(descriptor)
