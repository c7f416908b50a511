"""What the single-user server is told: its arguments, environment and addresses."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final
from urllib.parse import quote, unquote, urlparse

from .builders.bubblewrap import HUB_DIRECTORY

if TYPE_CHECKING:
    from jupyterhub_collab.servers.models import ServerPlan

_SOCKET: Final = "/run/server.sock"  # a name for jupyter_server; the socket itself comes from the Hub


@dataclass(frozen=True, kw_only=True, slots=True)
class Place:
    """Where a server finds what it needs."""

    home: str
    python: Path
    runtime: str
    """A folder for kernels' sockets: short, and private to this server."""

    @property
    def path(self) -> str:
        """The search path for programs."""
        return f"{self.python.parent}:/usr/local/bin:/usr/bin:/bin"


def socket_url(path: Path | str) -> str:
    """Return the address of a Unix socket, as JupyterHub writes it."""
    return f"http+unix://{quote(str(path), safe='')}"


def hub_socket(url: str) -> Path | None:
    """Return the Unix socket on which the Hub listens; none where its address is TCP."""
    address = urlparse(url)
    return Path(unquote(address.netloc)) if address.scheme == "http+unix" else None


def hub_url_inside(url: str) -> str | None:
    """Return the Hub's address as a sandboxed server sees it; none where it is what the Hub says itself."""
    path = hub_socket(url)
    return socket_url(f"{HUB_DIRECTORY}/{path.name}") if path else None


def arguments(plan: ServerPlan) -> list[str]:
    """Return our arguments of the server: it listens on its socket, and so do its kernels."""
    return [f"--ServerApp.sock={_SOCKET}", "--KernelManager.transport=ipc", *folder_arguments(plan)]


def folder_arguments(plan: ServerPlan) -> list[str]:
    """Return the argument by which new files go into the folder that the plan opens."""
    opens = _opens(plan)
    return [f"--FileContentsManager.preferred_dir={opens}"] if opens else []


def first_page(plan: ServerPlan) -> str:
    """Return the address in the server at which one lands: JupyterLab in the folder that the plan opens."""
    opens = _opens(plan)
    return f"/lab/tree/{quote(opens)}" if opens else "/lab"


def first_environment(place: Place, language: str) -> dict[str, str]:
    """Return what the first process has in its environment, for every process of the account to see."""
    return {"HOME": place.home, "LANG": language, "PATH": place.path}


def environment(plan: ServerPlan, place: Place, base_url: str, from_hub: dict[str, str]) -> dict[str, str]:
    """Return the whole environment: what the server needs from us, then the operator's, then our wishes."""
    wished = {"JUPYTERHUB_DEFAULT_URL": first_page(plan), "SHELL": "/bin/bash"}
    needed = {
        "HOME": place.home,
        "JUPYTERHUB_ROOT_DIR": place.home,
        "JUPYTERHUB_SERVICE_URL": socket_url(_SOCKET) + base_url,
        "JUPYTER_RUNTIME_DIR": place.runtime,
        "PATH": place.path,
        "USER": "jupyter",
    }
    return wished | from_hub | needed


def _opens(plan: ServerPlan) -> str:
    return plan.working_directory.removeprefix("~").strip("/")
