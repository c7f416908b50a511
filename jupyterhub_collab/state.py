"""The state folder of a Hub on one machine: its own database, its secrets, its log. It is closed to other accounts."""

from __future__ import annotations

import contextlib
import os
import secrets
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Final

STATE_VARIABLE: Final = "JUPYTERHUB_COLLAB_STATE"
DEFAULT: Final = Path("/srv/jupyterhub-collab")
_PRIVATE: Final = 0o700


class StateFolder:
    """Where a Hub on one machine keeps what must survive it."""

    def __init__(self, path: Path | str) -> None:
        self.path = Path(path).absolute()

    @classmethod
    def from_environment(cls) -> StateFolder:
        """Return the folder that ``JUPYTERHUB_COLLAB_STATE`` names, or the default one, ready for use."""
        return cls(os.environ.get(STATE_VARIABLE, DEFAULT)).prepare()

    def prepare(self) -> StateFolder:
        """Make the folder if it is missing, and close it to other accounts."""
        self.path.mkdir(mode=_PRIVATE, parents=True, exist_ok=True)
        self.path.chmod(_PRIVATE)
        return self

    def __truediv__(self, name: str) -> Path:
        return self.path / name

    @property
    def settings(self) -> Path:
        """The settings file that Hub and services read."""
        return self / "settings.toml"

    def secret(self, name: str, make: Callable[[], str] = secrets.token_hex) -> str:
        """Return the secret of this name, which is made at the first use and kept."""
        path = self / "secrets" / name
        path.parent.mkdir(mode=_PRIVATE, exist_ok=True)
        with contextlib.suppress(FileExistsError):
            _write_new(path, make())
        return path.read_text(encoding="ascii")


def _write_new(path: Path, text: str) -> None:
    """Write a file that appears whole or not at all, readable by its owner only.

    Raises
    ------
    FileExistsError
        There is one already.
    """
    draft = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    with os.fdopen(os.open(draft, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600), "w", encoding="ascii") as file:
        file.write(text)
    try:
        os.link(draft, path)
    finally:
        draft.unlink()


def free_port() -> int:
    """Return a port of the loopback interface that nothing listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
