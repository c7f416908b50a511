"""A copy of what a Hub on one machine keeps beside its volumes, made while it runs."""

from __future__ import annotations

import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Final

from sqlalchemy import make_url

from .errors import BackupError
from .settings import Settings
from .state import StateFolder

_FILES: Final = ("settings.toml", "cookie-secret", "secrets")
_PRIVATE: Final = 0o700


def back_up(state: StateFolder, settings: Settings, target: Path) -> list[str]:
    """Copy databases, secrets and settings into a new folder, closed to others; return a line for each thing.

    Each database is copied as of one moment, the core's last: a project may then lack its server in the Hub's, which
    the Hub mends at its start, but no server its project.

    Raises
    ------
    BackupError
        The folder is there already, or there is nothing to copy.
    """
    try:
        target.mkdir(mode=_PRIVATE, parents=True)
    except FileExistsError:
        raise BackupError(f"{target} is there already. Name a new folder.") from None
    kept = [*_copy_files(state, target), *_copy_databases(state, settings, target)]
    if not kept:
        target.rmdir()
        raise BackupError(f"{state.path} holds nothing of a Hub. Name its state folder with --state.")
    return [*kept, *_left(settings)]


def _copy_files(state: StateFolder, target: Path) -> Iterator[str]:
    for name in _FILES:
        source = state / name
        if source.is_dir():
            shutil.copytree(source, target / name)
        elif source.exists():
            shutil.copy2(source, target / name)
        else:
            continue
        yield f"copied  {source}"


def _copy_databases(state: StateFolder, settings: Settings, target: Path) -> Iterator[str]:
    url = make_url(settings.database.url.get_secret_value())
    core = Path(url.database or "") if url.get_backend_name() == "sqlite" else None
    hub = [path for path in sorted(state.path.glob("*.sqlite")) if core is None or path != core.absolute()]
    for source in (*hub, *([core] if core is not None and core.exists() else [])):
        copy = target / source.name
        copy.touch(0o600)
        with closing(_read_only(source)) as one, closing(sqlite3.connect(copy)) as two:
            one.backup(two)
        yield f"copied  {source}"


def _read_only(path: Path) -> sqlite3.Connection:
    return sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True)


def _left(settings: Settings) -> Iterator[str]:
    url = make_url(settings.database.url.get_secret_value())
    if url.get_backend_name() != "sqlite":
        yield f"left    {url.render_as_string(hide_password=True)}: pg_dump --format=custom {url.database}"
    root = settings.storage.root
    yield f"left    the volumes in {root}: copy them after this, for example with rsync --archive"
