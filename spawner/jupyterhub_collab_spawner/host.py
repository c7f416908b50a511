"""What this machine has that a sandbox needs."""

from __future__ import annotations

import os
import pwd
import shutil
import sys
from pathlib import Path

from .builders.bubblewrap import SYSTEM_CONFIGURATION, Account
from .errors import SandboxUnavailableError

_SYSTEM = ("bin", "lib", "lib32", "lib64", "libx32", "sbin")
_OWN_ACCOUNT = "jupyterhub-collab"
_LINKS = 40  # as many as the kernel follows (path_resolution(7))


def program(name: str) -> str:
    """Return the absolute path of a program.

    Raises
    ------
    SandboxUnavailableError
        It is not installed.
    """
    found = shutil.which(name, path=f"{os.environ.get('PATH', os.defpath)}:/usr/bin:/bin")
    if found is None:
        package = {"bwrap": "bubblewrap", "setpriv": "util-linux"}.get(name, name)
        msg = f"{name} is not installed. Install the package {package}, for example with: apt-get install {package}"
        raise SandboxUnavailableError(msg)
    return os.path.realpath(found)


def unprivileged_account(name: str) -> Account | None:
    """Return the account that servers run as, or none where the Hub is no root and has nothing to drop.

    Raises
    ------
    SandboxUnavailableError
        The account does not exist, or it is root's.
    """
    if os.geteuid() != 0:
        return None
    for candidate in (name,) if name else (_OWN_ACCOUNT, "nobody"):
        try:
            entry = pwd.getpwnam(candidate)
        except KeyError:
            continue
        if entry.pw_uid == 0:
            msg = f"Servers must not run as {candidate}, which is root. Set account to an ordinary account."
            raise SandboxUnavailableError(msg)
        return Account(uid=entry.pw_uid, gid=entry.pw_gid)
    msg = (
        f"This machine has no account “{name or _OWN_ACCOUNT}”. Make one with: useradd --system {name or _OWN_ACCOUNT}"
    )
    raise SandboxUnavailableError(msg)


def system_folders() -> dict[str, str | None]:
    """Return `/bin` and its like: the target where it is a link, else none."""
    found = {f"/{name}": Path(f"/{name}") for name in _SYSTEM}
    return {
        path: str(folder.readlink()) if folder.is_symlink() else None
        for path, folder in found.items()
        if folder.exists()
    }


def system_configuration() -> tuple[str, ...]:
    """Return the parts of `/etc` that are there."""
    return tuple(path for path in SYSTEM_CONFIGURATION if Path(path).exists())


def python_of(environment: str) -> Path | None:
    """Return the interpreter of a Python environment (the Hub's own where it is empty), or none where it has none."""
    python = Path(environment, "bin", "python") if environment else Path(sys.prefix, "bin", Path(sys.executable).name)
    return python if python.exists() else None


def environment_folders(python: Path) -> tuple[str, ...]:
    """Return the folders that an interpreter needs at their own paths: its environment and every one it points to.

    A virtual environment's interpreter is a link, often to another link; each lies in a folder of its own.
    """
    folders: dict[str, None] = {}
    hop = python
    for _ in range(_LINKS):
        folders[str(hop.parent.parent)] = None
        folders.update(dict.fromkeys(_home_of(hop.parent.parent)))
        if not hop.is_symlink():
            break
        hop = Path(os.path.normpath(hop.parent / hop.readlink()))
    folders[str(Path(os.path.realpath(python)).parent.parent)] = None
    return tuple(folder for folder in folders if not _is_system(folder))


def _home_of(prefix: Path) -> list[str]:
    """Return what the ``home`` key of a virtual environment points to."""
    configuration = prefix / "pyvenv.cfg"
    if not configuration.is_file():
        return []
    pairs = (line.partition("=") for line in configuration.read_text(encoding="utf-8").splitlines())
    return [str(Path(value.strip()).parent) for key, _, value in pairs if key.strip() == "home"]


def _is_system(folder: str) -> bool:
    return folder in {"/", "/usr"} or folder.startswith("/usr/")
