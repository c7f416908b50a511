"""The runtime folder: where sockets are, and one record for each sandbox.

A record is written before the sandboxed program may run, so whatever happens to the Hub, the next one finds it.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import shutil
import socket
import stat
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from jupyterhub_collab import names

from .builders.bubblewrap import USER_ID
from .errors import SandboxUnavailableError
from .processes import Init

_RECORD: Final = "record.json"
_SOCKET: Final = "s.sock"
# sun_path of unix(7), less the closing zero, the folder of a server and the name of its socket with ":80"
_LONGEST_FOLDER: Final = 107 - len("/s-0123456789abcdef01234567/s.sock:80")
_PRIVATE: Final = 0o700
_BACKLOG: Final = 128
PAGE_CONFIG: Final = {"disabledExtensions": {"@jupyterlab/apputils-extension:announcements": True}}


@dataclass(frozen=True, kw_only=True, slots=True)
class Record:
    """What is known of one sandbox apart from the Hub's database."""

    person: str
    server_name: str
    init: Init
    control_groups: tuple[str, ...] = ()


def default_folder(storage: Path) -> Path:
    """Return the runtime folder of the Hub whose volumes lie in `storage`."""
    digest = hashlib.sha256(os.fsencode(storage.resolve())).hexdigest()[:8]
    if os.geteuid() == 0:
        return Path(f"/run/jupyterhub-collab-{digest}")
    session = os.environ.get("XDG_RUNTIME_DIR", "")
    folder = Path(session) / f"jupyterhub-collab-{digest}"
    if session and Path(session).is_dir() and _usable(folder):
        return folder
    return Path(tempfile.gettempdir()) / f"jupyterhub-collab-{os.geteuid()}-{digest}"


def _usable(folder: Path) -> bool:
    path = str(folder)
    return path == path.lower() and len(os.fsencode(path)) <= _LONGEST_FOLDER


def prepare_folder(folder: Path) -> Path:
    """Make the runtime folder, or check that what stands there is ours alone.

    Raises
    ------
    SandboxUnavailableError
        It can't be used; the message says why and what to do.
    """
    if not _usable(folder):
        msg = (
            f"The runtime folder {folder} must be in lower case and at most {_LONGEST_FOLDER} bytes long, since the"
            " paths of sockets in it pass through addresses. Set c.CollabSandboxSpawner.runtime_dir to a shorter one."
        )
        raise SandboxUnavailableError(msg)
    folder.mkdir(mode=_PRIVATE, parents=True, exist_ok=True)
    found = folder.lstat()
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.geteuid() or stat.S_IMODE(found.st_mode) & 0o077:
        msg = f"{folder} belongs to someone else or is open to others. Remove it, or set runtime_dir to another folder."
        raise SandboxUnavailableError(msg)
    hub = folder / "hub"
    hub.mkdir(exist_ok=True)
    hub.chmod(0o755)  # the account that servers run as reaches the Hub's socket through it
    return folder


class ServerFolder:
    """The folder of one server below the runtime folder; only the Hub can enter it."""

    def __init__(self, runtime: Path, person: str, server_name: str) -> None:
        self.person = person
        self.server_name = server_name
        self.path = runtime / names.server_directory(person, server_name)

    @property
    def socket_path(self) -> Path:
        """Where the server listens."""
        return self.path / _SOCKET

    @property
    def etc(self) -> Path:
        """The files for the server's own ``/etc``."""
        return self.path / "etc"

    def prepare(self, home: str) -> None:
        """Make the folder anew, with the files that every sandbox needs."""
        self.remove()
        self.path.mkdir(mode=_PRIVATE)
        files = {
            "passwd": f"jupyter:x:{USER_ID}:{USER_ID}::{home}:/bin/bash\nnobody:x:65534:65534::/:/usr/sbin/nologin\n",
            "group": f"jupyter:x:{USER_ID}:\nnogroup:x:65534:\n",
            "nsswitch.conf": "passwd: files\ngroup: files\nhosts: files dns\n",
            "jupyter/labconfig/page_config.json": json.dumps(PAGE_CONFIG),
        }
        for name, text in files.items():
            path = self.etc / name
            path.parent.mkdir(mode=0o755, parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")
            path.chmod(0o644)

    def listen(self) -> socket.socket:
        """Return a listening socket, made here because servers can't reach this folder.

        A server that made its own could put a link in its place, and the proxy would speak to any socket here.
        """
        listening = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        listening.bind(str(self.socket_path))
        listening.listen(_BACKLOG)
        # The Hub keeps a port for every server and adds it to the address that it gives the proxy
        Path(f"{self.socket_path}:80").symlink_to(_SOCKET)
        return listening

    def write(self, record: Record) -> None:
        """Write the record, whole or not at all."""
        data = {
            "person": record.person,
            "server_name": record.server_name,
            "init": record.init.as_dict(),
            "control_groups": list(record.control_groups),
        }
        draft = self.path / f"{_RECORD}.new"
        draft.write_text(json.dumps(data), encoding="utf-8")
        draft.replace(self.path / _RECORD)

    def read(self) -> Record | None:
        """Return the record, or none where there is none."""
        return _read(self.path)

    def remove(self) -> None:
        """Remove the folder; its server must be gone."""
        shutil.rmtree(self.path, ignore_errors=True)


def all_records(runtime: Path) -> list[Record]:
    """Return the records of all servers."""
    return [record for folder in runtime.glob("s-*") if (record := _read(folder)) is not None]


def _read(folder: Path) -> Record | None:
    with contextlib.suppress(OSError, ValueError, KeyError, TypeError):
        data = json.loads((folder / _RECORD).read_text(encoding="utf-8"))
        init = Init.from_dict(data["init"])
        if init is not None:
            groups = tuple(str(path) for path in data["control_groups"])
            return Record(person=data["person"], server_name=data["server_name"], init=init, control_groups=groups)
    return None
