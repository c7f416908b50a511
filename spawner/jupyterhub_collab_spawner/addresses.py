"""Addresses for `jupyterhub_config.py`: Hub and proxy talk through Unix sockets, so that servers need no network."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Final

from . import core, leftovers
from .records import default_folder, prepare_folder
from .singleuser import socket_url

_PRELOADED: Final = Path(__file__).with_name("unix_sockets.cjs")


def proxy_command(program: Path | str = "configurable-http-proxy") -> list[str]:
    """Return the value for `ConfigurableHTTPProxy.command`: the proxy, mended for Unix sockets as its preload says."""
    found = shutil.which(str(program))
    return ["node", "--require", str(_PRELOADED), found] if found else [str(program)]


def hub_url(runtime: Path | None = None) -> str:
    """Return the address for `JupyterHub.hub_bind_url` and `JupyterHub.hub_connect_url`.

    Servers see the socket's folder and nothing else of the runtime folder. Set `JupyterHub.hub_socket_mode` to 0o666:
    the account that servers run as must be able to use it, and nobody else reaches the folder.

    Raises
    ------
    SandboxUnavailableError
        The runtime folder can't be used; the message says why.
    """
    return socket_url(_folder(runtime) / "hub" / "hub.sock")


def proxy_api_url(runtime: Path | None = None) -> str:
    """Return the address for `ConfigurableHTTPProxy.api_url`; servers do not see its folder.

    Raises
    ------
    SandboxUnavailableError
        The runtime folder can't be used; the message says why.
    """
    return socket_url(_folder(runtime) / "proxy.sock")


def _folder(runtime: Path | None) -> Path:
    folder = prepare_folder(runtime or default_folder(core.settings().storage.root.resolve()))
    leftovers.remove_at_exit(folder)
    return folder
