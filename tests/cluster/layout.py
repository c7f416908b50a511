"""Where everything of a cluster lies, and at which address."""

from __future__ import annotations

import json
import os
import socket
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from .certificates import Authority

NODE: Final = "node1"
NODE_ADDRESS: Final = "10.77.0.1"
MACHINE_ADDRESS: Final = "10.77.0.254"  # this machine's side of the link to the node
PODS: Final = "10.244.0.0/16"
SERVICES: Final = "10.96.0.0/16"
API_SERVICE: Final = "10.96.0.1"
DNS_SERVICE: Final = "10.96.0.10"
CGROUP: Final = "jupyterhub-collab-tests"
MANIFESTS: Final = Path(__file__).parent / "manifests"
CACHE: Final = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "jupyterhub-collab-tests"
CHECKOUT: Final = Path(__file__).parents[2]
_PORTS: Final = ("api", "etcd", "etcd-peer", "controller-manager", "scheduler", "kwok")
_FIXED: Final = {"api": 6443, "etcd": 2379, "etcd-peer": 2380, "controller-manager": 10257, "scheduler": 10259}


@dataclass(frozen=True)
class Layout:
    """The places of one cluster."""

    state: Path
    full: bool

    @property
    def authority(self) -> Authority:
        """Who gives out the credentials."""
        return Authority(self.state / "credentials")

    @property
    def address(self) -> str:
        """Where the API server listens."""
        return NODE_ADDRESS if self.full else "127.0.0.1"

    @property
    def server(self) -> str:
        """The address of the API."""
        return f"https://{self.address}:{self.ports['api']}"

    @property
    def ports(self) -> dict[str, int]:
        """The ports: the usual ones on a node of its own, otherwise those that were free at first."""
        if self.full:
            return _FIXED
        path = self.state / "ports.json"
        if not path.exists():
            path.write_text(json.dumps(_free_ports()), encoding="utf-8")
        return dict(json.loads(path.read_text(encoding="utf-8")))

    @property
    def containerd(self) -> Path:
        """The socket of the container runtime."""
        return self.state / "containerd.sock"

    def kubeconfig(self, name: str, user: str, group: str) -> Path:
        """Return a kubeconfig for someone."""
        return self.authority.kubeconfig(name, user, group, self.server)

    @property
    def admin(self) -> Path:
        """The kubeconfig of someone who may do everything."""
        return self.kubeconfig("admin", "admin", "system:masters")


def _free_ports() -> dict[str, int]:
    with ExitStack() as stack:  # all are held until all are known
        held = [stack.enter_context(socket.create_server(("127.0.0.1", 0))) for _ in _PORTS]
        return {name: int(one.getsockname()[1]) for name, one in zip(_PORTS, held, strict=True)}
