"""Reads image archives as Docker writes them, without unpacking them."""

from __future__ import annotations

import json
import tarfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import IO, Any, Final

_WHITEOUT: Final = ".wh."
_OPAQUE: Final = ".wh..wh..opq"


@dataclass(frozen=True)
class Entry:
    """A file, folder or link in an image."""

    layer: tarfile.TarFile
    info: tarfile.TarInfo

    def text(self) -> str:
        """Return what a file holds."""
        return _content(self.layer, self.info).read().decode()


@dataclass(frozen=True)
class Archive:
    """An open archive."""

    tar: tarfile.TarFile
    manifest: dict[str, Any]

    @property
    def tag(self) -> str:
        """The name under which a container runtime knows the image once it is loaded."""
        return str(self.manifest["RepoTags"][0])

    @property
    def config(self) -> dict[str, Any]:
        """How the image runs: its ``User``, ``Entrypoint``, ``Cmd``, ``Env``."""
        return dict(json.load(_content(self.tar, self.manifest["Config"]))["config"])

    def files(self) -> dict[str, Entry]:
        """Return what the image holds, by path: later layers replace and remove what earlier ones brought."""
        held: dict[str, Entry] = {}
        for layer in self.manifest["Layers"]:
            inner = tarfile.open(fileobj=_content(self.tar, layer))  # noqa: SIM115 - read while the archive is open
            members = {member.name.removeprefix("./"): Entry(inner, member) for member in inner}
            gone = _removed(members)
            held = {path: entry for path, entry in held.items() if not gone.intersection(_with_parents(path))}
            held |= {path: entry for path, entry in members.items() if not _is_whiteout(path)}
        return held


@contextmanager
def opened(path: Path) -> Iterator[Archive]:
    """Open an archive of one image."""
    with tarfile.open(path) as tar:
        yield Archive(tar, json.load(_content(tar, "manifest.json"))[0])


def _content(tar: tarfile.TarFile, member: str | tarfile.TarInfo) -> IO[bytes]:
    content = tar.extractfile(member)
    if content is None:
        raise ValueError(f"{member} is not a file.")
    return content


def _is_whiteout(path: str) -> bool:
    return PurePosixPath(path).name.startswith(_WHITEOUT)


def _removed(members: Iterable[str]) -> set[str]:
    """Return what a layer removes: files and folders by name, and all that was in a folder that it empties."""
    marks = [PurePosixPath(path) for path in members if _is_whiteout(path)]
    return {
        str(mark.parent / "*") if mark.name == _OPAQUE else str(mark.parent / mark.name.removeprefix(_WHITEOUT))
        for mark in marks
    }


def _with_parents(path: str) -> set[str]:
    """Return the names by which a layer may remove a path."""
    pure = PurePosixPath(path)
    parents = [str(parent) for parent in pure.parents]
    return {path, *parents, *(str(PurePosixPath(parent) / "*") for parent in parents)}
