"""Policies become the right rules, worked out without a cluster."""

from __future__ import annotations

from typing import Any

import pytest

from .enforcer import TOP, rules
from .policies import World, matches

Thing = dict[str, Any]


def pod(name: str, address: str, namespace: str = "site", **labels: str) -> Thing:
    ports = [{"name": "http", "containerPort": 8081}, {"name": "dns", "containerPort": 53, "protocol": "UDP"}]
    return {
        "metadata": {"name": name, "namespace": namespace, "labels": labels},
        "spec": {"containers": [{"name": "main", "ports": ports}]},
        "status": {"podIP": address, "phase": "Running"},
    }


def policy(namespace: str = "site", **spec: Any) -> Thing:
    return {"metadata": {"name": "policy", "namespace": namespace}, "spec": {"podSelector": {}} | spec}


HUB = pod("hub", "10.244.0.2", component="hub")
USER = pod("user", "10.244.0.3", component="user")
OTHER = pod("other", "10.244.0.4", component="user")
DNS = pod("dns", "10.244.0.5", "kube-system", component="dns")
NAMESPACES = [{"metadata": {"name": name, "labels": {"name": name}}} for name in ("site", "kube-system")]
ANY_USER = {"matchLabels": {"component": "user"}}
OUTSIDE = "192.0.2.1"


def may(policies: list[Thing], direction: str, whom: Thing, peer: str, port: int = 80, protocol: str = "TCP") -> bool:
    """Tell whether a pod may be reached from, or may reach, an address."""
    world = World(policies, [HUB, USER, OTHER, DNS], NAMESPACES)
    own = whom["status"]["podIP"]
    isolated = [one for one in world.isolated(direction) if one.address == own]
    return not isolated or any(allowed.fits(peer, protocol, port) for allowed in isolated[0].allowed)


def test_without_a_policy_all_may_pass() -> None:
    assert may([], "Ingress", USER, OUTSIDE)
    assert may([], "Egress", USER, OUTSIDE)


def test_a_policy_without_rules_cuts_the_pods_that_it_selects() -> None:
    cut = [policy(podSelector=ANY_USER, policyTypes=["Ingress", "Egress"])]
    assert not may(cut, "Ingress", USER, "10.244.0.2")
    assert not may(cut, "Egress", USER, "10.244.0.2")
    assert may(cut, "Ingress", HUB, "10.244.0.3")


def test_without_types_only_what_it_speaks_of_is_cut() -> None:
    assert may([policy()], "Egress", USER, OUTSIDE)
    assert not may([policy()], "Ingress", USER, OUTSIDE)
    assert not may([policy(egress=[{"to": [{"ipBlock": {"cidr": "10.0.0.0/8"}}]}])], "Egress", USER, OUTSIDE)


def test_a_policy_ends_at_its_namespace() -> None:
    assert may([policy("kube-system")], "Ingress", USER, OUTSIDE)


@pytest.mark.parametrize(
    ("peer", "reaches"),
    [
        ({"podSelector": ANY_USER}, {"user", "other"}),
        ({"podSelector": {}}, {"hub", "user", "other"}),
        ({"namespaceSelector": {}}, {"hub", "user", "other", "dns"}),
        ({"namespaceSelector": {"matchLabels": {"name": "kube-system"}}}, {"dns"}),
        ({"namespaceSelector": {}, "podSelector": {"matchLabels": {"component": "dns"}}}, {"dns"}),
        ({"ipBlock": {"cidr": "10.244.0.0/16", "except": ["10.244.0.4/31"]}}, {"hub", "user"}),
    ],
)
def test_peers(peer: Thing, reaches: set[str]) -> None:
    allow = [policy(policyTypes=["Egress"], egress=[{"to": [peer]}])]
    reached = {
        p["metadata"]["name"] for p in (HUB, USER, OTHER, DNS) if may(allow, "Egress", HUB, p["status"]["podIP"])
    }
    assert reached == reaches


@pytest.mark.parametrize(
    ("port", "passes", "stays"),
    [
        ({"port": 80}, [(80, "TCP")], [(81, "TCP"), (80, "UDP")]),
        ({"port": 53, "protocol": "UDP"}, [(53, "UDP")], [(53, "TCP")]),
        ({"port": 8000, "endPort": 8010}, [(8000, "TCP"), (8010, "TCP")], [(7999, "TCP"), (8011, "TCP")]),
        ({"port": "http"}, [(8081, "TCP")], [(80, "TCP")]),
        ({"port": "dns", "protocol": "UDP"}, [(53, "UDP")], [(53, "TCP")]),
        ({"protocol": "UDP"}, [(1, "UDP")], [(1, "TCP")]),
    ],
)
def test_ports(port: Thing, passes: list[tuple[int, str]], stays: list[tuple[int, str]]) -> None:
    for direction, peers in (("Ingress", "from"), ("Egress", "to")):
        rule = {peers: [{"podSelector": {}}], "ports": [port]}
        spec: Thing = {"policyTypes": [direction], direction.lower(): [rule]}
        allow = [policy(**spec)]
        assert all(may(allow, direction, HUB, "10.244.0.3", *one) for one in passes)
        assert not any(may(allow, direction, HUB, "10.244.0.3", *one) for one in stays)


def test_a_block_of_another_version_lets_nothing_through() -> None:
    blocks = [{"ipBlock": {"cidr": "::/0", "except": ["fc00::/7"]}}, {"ipBlock": {"cidr": "192.0.2.1/32"}}]
    allow = [policy(policyTypes=["Egress"], egress=[{"to": blocks}])]
    assert [may(allow, "Egress", HUB, there) for there in (OUTSIDE, "192.0.2.2")] == [True, False]


def test_policies_add_up() -> None:
    one = policy(policyTypes=["Ingress"], ingress=[{"ports": [{"port": 80}]}])
    two = policy(policyTypes=["Ingress"], ingress=[{"ports": [{"port": 443}]}])
    assert [may([one, two], "Ingress", HUB, OUTSIDE, port) for port in (80, 443, 22)] == [True, True, False]


def test_holes_in_a_block_are_not_let_through() -> None:
    block = {"cidr": "0.0.0.0/0", "except": ["10.0.0.0/8", "169.254.169.254/32", "192.168.0.0/16"]}
    allow = [policy(policyTypes=["Egress"], egress=[{"to": [{"ipBlock": block}]}])]
    assert may(allow, "Egress", HUB, OUTSIDE)
    assert may(allow, "Egress", HUB, "169.254.169.253")
    assert not any(may(allow, "Egress", HUB, there) for there in ("10.1.2.3", "169.254.169.254", "192.168.0.1"))


@pytest.mark.parametrize(
    ("operator", "values", "selected"),
    [
        ("In", ["user", "hub"], True),
        ("In", ["dns"], False),
        ("NotIn", ["dns"], True),
        ("Exists", None, True),
        ("DoesNotExist", None, False),
    ],
)
def test_expressions(operator: str, values: list[str] | None, *, selected: bool) -> None:
    expression = {"key": "component", "operator": operator} | ({"values": values} if values else {})
    assert matches({"matchExpressions": [expression]}, USER) is selected


def test_ended_pods_and_pods_of_the_node_are_not_spoken_of() -> None:
    ended = HUB | {"status": {"podIP": "10.244.0.2", "phase": "Succeeded"}}
    of_node = USER | {"spec": USER["spec"] | {"hostNetwork": True}}
    assert World([policy()], [ended, of_node], NAMESPACES).isolated("Ingress") == []


def test_rules_return_for_what_is_allowed_and_drop_the_rest() -> None:
    rule = {"from": [{"podSelector": ANY_USER}], "ports": [{"port": "http"}]}
    hub = policy(podSelector={"matchLabels": {"component": "hub"}}, policyTypes=["Ingress"], ingress=[rule])
    top, chain, known, jump, *filled = rules(World([hub], [HUB, USER], NAMESPACES))
    name = chain[1:].split()[0]
    assert top == f":{TOP} - [0:0]"
    assert known == f"-A {TOP} -m conntrack --ctstate ESTABLISHED,RELATED -j RETURN"
    assert jump == f"-A {TOP} -d 10.244.0.2/32 -m comment --comment site/hub -j {name}"
    assert filled == [f"-A {name} -s 10.244.0.3/32 -p tcp --dport 8081:8081 -j RETURN", f"-A {name} -j DROP"]
