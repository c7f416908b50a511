"""What NetworkPolicies let through, worked out from policies, pods and namespaces without touching anything."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network
from typing import Final

from .api import Thing

EVERYWHERE: Final = IPv4Network("0.0.0.0/0")
_ENDED: Final = ("Succeeded", "Failed")


@dataclass(frozen=True, order=True)
class Allowed:
    """Traffic from or to a network; on all ports where no protocol is named."""

    network: IPv4Network
    protocol: str = ""
    first: int = 0
    last: int = 0

    def fits(self, address: str, protocol: str, port: int) -> bool:
        """Tell whether this lets a connection through."""
        named = self.protocol in ("", protocol.lower()) and (not self.first or self.first <= port <= self.last)
        return named and IPv4Address(address) in self.network


@dataclass(frozen=True)
class Isolated:
    """A pod that some policy selects, in one direction: what is not allowed is dropped."""

    pod: str
    address: str
    allowed: tuple[Allowed, ...]


@dataclass(frozen=True)
class World:
    """What a policy may speak of."""

    policies: Iterable[Thing]
    pods: Iterable[Thing]
    namespaces: Iterable[Thing]

    def isolated(self, direction: str) -> list[Isolated]:
        """Return the pods that are isolated for ``Ingress`` or ``Egress``, with what they may still do."""
        found = []
        for pod in self._reachable():
            policies = [policy for policy in self.policies if _concerns(policy, pod, direction)]
            if policies:
                allowed = {one for policy in policies for one in self._allowed(policy, pod, direction)}
                found.append(Isolated(_name(pod), pod["status"]["podIP"], tuple(sorted(allowed))))
        return sorted(found, key=lambda one: one.pod)

    def _allowed(self, policy: Thing, pod: Thing, direction: str) -> Iterator[Allowed]:
        for rule in policy["spec"].get(direction.lower(), ()):
            for network, peer in self._peers(rule.get("from" if direction == "Ingress" else "to"), policy):
                named_by = pod if direction == "Ingress" else peer
                for protocol, first, last in _ports(rule.get("ports"), named_by):
                    yield Allowed(network, protocol, first, last)

    def _peers(self, peers: list[Thing] | None, policy: Thing) -> Iterator[tuple[IPv4Network, Thing | None]]:
        if not peers:
            yield EVERYWHERE, None
        for peer in peers or ():
            if "ipBlock" in peer:
                for network in _block(peer["ipBlock"]):
                    yield network, None
            else:
                for pod in self._reachable():
                    if self._selects(peer, pod, policy["metadata"]["namespace"]):
                        yield IPv4Network(pod["status"]["podIP"]), pod

    def _selects(self, peer: Thing, pod: Thing, namespace: str) -> bool:
        if "namespaceSelector" in peer:
            homes = {one["metadata"]["name"] for one in self.namespaces if matches(peer["namespaceSelector"], one)}
        else:
            homes = {namespace}
        return pod["metadata"]["namespace"] in homes and matches(peer.get("podSelector"), pod)

    def _reachable(self) -> list[Thing]:
        return [pod for pod in self.pods if _has_own_address(pod)]


def matches(selector: Thing | None, thing: Thing) -> bool:
    """Tell whether a label selector selects something; one that says nothing selects everything."""
    labels = thing["metadata"].get("labels") or {}
    selector = selector or {}
    equal = all(labels.get(key) == value for key, value in (selector.get("matchLabels") or {}).items())
    return equal and all(_holds(one, labels) for one in selector.get("matchExpressions") or ())


def _holds(expression: Thing, labels: dict[str, str]) -> bool:
    key, values = expression["key"], expression.get("values") or ()
    match expression["operator"]:
        case "In":
            return labels.get(key) in values
        case "NotIn":
            return labels.get(key) not in values
        case "Exists":
            return key in labels
        case _:
            return key not in labels


def _concerns(policy: Thing, pod: Thing, direction: str) -> bool:
    spec = policy["spec"]
    kinds = spec.get("policyTypes") or (["Ingress", "Egress"] if spec.get("egress") else ["Ingress"])
    same = policy["metadata"]["namespace"] == pod["metadata"]["namespace"]
    return direction in kinds and same and matches(spec.get("podSelector"), pod)


def _has_own_address(pod: Thing) -> bool:
    status = pod.get("status", {})
    return bool(status.get("podIP")) and not pod["spec"].get("hostNetwork") and status.get("phase") not in _ENDED


def _block(block: Thing) -> list[IPv4Network]:
    """Return what is in a block and not in its exceptions; nothing of the sixth version, which no pod here has."""
    if ":" in block["cidr"]:
        return []
    left = [IPv4Network(block["cidr"])]
    for exception in map(IPv4Network, block.get("except") or ()):
        left = [part for network in left for part in _without(network, exception)]
    return left


def _without(network: IPv4Network, hole: IPv4Network) -> Iterable[IPv4Network]:
    if network.subnet_of(hole):
        return ()
    return network.address_exclude(hole) if hole.subnet_of(network) else (network,)


def _ports(ports: list[Thing] | None, pod: Thing | None) -> Iterator[tuple[str, int, int]]:
    if not ports:
        yield "", 0, 0
    for port in ports or ():
        protocol, number = port.get("protocol", "TCP").lower(), port.get("port")
        if number is None:
            yield protocol, 0, 0
        elif isinstance(number, int):
            yield protocol, number, port.get("endPort", number)
        else:
            for found in _named(number, protocol, pod):
                yield protocol, found, found


def _named(name: str, protocol: str, pod: Thing | None) -> Iterator[int]:
    for container in pod["spec"]["containers"] if pod else ():
        for port in container.get("ports") or ():
            if port.get("name") == name and port.get("protocol", "TCP").lower() == protocol:
                yield port["containerPort"]


def _name(thing: Thing) -> str:
    return f"{thing['metadata']['namespace']}/{thing['metadata']['name']}"
