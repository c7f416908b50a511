"""Makes NetworkPolicies bite on the node of the tests: watches them and writes them as rules of iptables.

Each isolated pod has a chain for each direction, which returns for what is allowed and drops the rest. Traffic
between pods, to Services (after their address was replaced) and to the node itself goes through them; what the node
sends to its pods does not, so that the kubelet's probes arrive.
"""

from __future__ import annotations

import hashlib
import re
import subprocess
import sys
import threading
import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Final

from .api import Api, Thing
from .policies import Allowed, Isolated, World

TOP: Final = "COLLAB-POLICIES"
SOURCES: Final = {
    "policies": "/apis/networking.k8s.io/v1/networkpolicies",
    "pods": "/api/v1/pods",
    "namespaces": "/api/v1/namespaces",
}
_BUNCH: Final = 0.05  # changes come in bunches
_LOOK: Final = 2.0  # how long another may stand before our rules
_SIDES: Final = {"Egress": ("-s", "-d", "COLLAB-E-"), "Ingress": ("-d", "-s", "COLLAB-I-")}


def rules(world: World) -> list[str]:
    """Return the lines for ``iptables-restore`` that carry out all policies."""
    declared, filled = [f":{TOP} - [0:0]"], [f"-A {TOP} -m conntrack --ctstate ESTABLISHED,RELATED -j RETURN"]
    for direction, (own, other, prefix) in _SIDES.items():
        for isolated in world.isolated(direction):
            chain = prefix + hashlib.sha256(isolated.pod.encode()).hexdigest()[:16]
            declared.append(f":{chain} - [0:0]")
            filled.append(f"-A {TOP} {own} {isolated.address}/32 -m comment --comment {isolated.pod} -j {chain}")
            filled += (f"-A {chain} {rule}" for rule in _chain(isolated, other))
    return [*declared, *filled]


def _chain(isolated: Isolated, other: str) -> Iterator[str]:
    for allowed in isolated.allowed:
        yield f"{other} {allowed.network} {_ports(allowed)}-j RETURN"
    yield "-j DROP"


def _ports(allowed: Allowed) -> str:
    if not allowed.protocol:
        return ""
    ports = f"--dport {allowed.first}:{allowed.last} " if allowed.first else ""
    return f"-p {allowed.protocol} {ports}"


class Enforcer:
    """Keeps what it has last seen of policies, pods and namespaces, and writes the rules when one of them changes."""

    def __init__(self, kubeconfig: Path) -> None:
        self._kubeconfig = kubeconfig
        self._seen: dict[str, dict[str, Thing]] = {}
        self._changed = threading.Event()

    def run(self) -> None:
        """Enforce until killed."""
        for kind, path in SOURCES.items():
            threading.Thread(target=self._follow, args=(kind, path), daemon=True).start()
        written: list[str] = []
        while True:
            self._changed.wait(_LOOK)
            time.sleep(_BUNCH)
            self._changed.clear()
            if len(self._seen) == len(SOURCES) and (wanted := rules(self._world())) != written:
                write(wanted)
                written = wanted
            if written:
                put_first()

    def _follow(self, kind: str, path: str) -> None:
        def changed(things: dict[str, Thing], _: list[Thing]) -> None:
            self._seen[kind] = dict(things)
            self._changed.set()

        Api(self._kubeconfig).follow(path, changed)

    def _world(self) -> World:
        return World(**{kind: list(things.values()) for kind, things in self._seen.items()})


def write(wanted: Iterable[str]) -> None:
    """Replace all rules of ours at once, and see to it that traffic goes through them."""
    wanted = list(wanted)
    declared = {line[1:].split()[0] for line in wanted if line.startswith(":")}
    present = set(re.findall(r"^:(COLLAB-\S+)", _said("iptables-save", "--table", "filter"), re.MULTILINE))
    gone = sorted(present - declared)
    lines = ["*filter", *wanted, *(f":{chain} - [0:0]" for chain in gone), *(f"-X {chain}" for chain in gone)]
    _said("iptables-restore", "--noflush", "--wait", given="\n".join([*lines, "COMMIT", ""]))


def put_first() -> None:
    """See to it that traffic goes through our rules before any other: kube-proxy puts its own first as well."""
    for chain in ("FORWARD", "INPUT"):
        first, *others = [line for line in _said("iptables", "--wait", "-S", chain).splitlines() if " -j " in line] or [
            ""
        ]
        if first == f"-A {chain} -j {TOP}":
            continue
        if f"-A {chain} -j {TOP}" in others:
            _said("iptables", "--wait", "-D", chain, "-j", TOP)
        _said("iptables", "--wait", "-I", chain, "1", "-j", TOP)


def _said(*command: str, given: str | None = None) -> str:
    return subprocess.run(command, input=given, stdout=subprocess.PIPE, text=True, check=True).stdout


if __name__ == "__main__":
    Enforcer(Path(sys.argv[1])).run()
