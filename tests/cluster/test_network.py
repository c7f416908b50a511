"""Who reaches whom under the chart's policies: tried by connecting, or read from the rules where that leads outside."""

from __future__ import annotations

import http.server
import json
import subprocess
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from ipaddress import IPv4Network
from typing import Final

import pytest
import yaml

from .api import Thing
from .cluster import Cluster
from .layout import API_SERVICE, DNS_SERVICE, MACHINE_ADDRESS, NODE_ADDRESS
from .policies import World
from .release import CHART, NAME, Release
from .test_infrastructure import namespace, pod, wait

pytestmark = pytest.mark.cluster
METADATA: Final = "169.254.169.254"  # of clouds; here and below never contacted, only looked for in rules
OUTSIDE: Final = "192.0.2.1"
CONNECT: Final = """
import json, socket, sys
def reaches(place):
    try:
        socket.create_connection(tuple(place), 3).close()
    except OSError:
        return False
    return True
from concurrent.futures import ThreadPoolExecutor
places = json.loads(sys.argv[1])
with ThreadPoolExecutor(20) as pool:
    print(json.dumps(dict(zip(places, pool.map(reaches, places.values())))))
"""
CONNECT_NODE: Final = """
const net = require("net"), places = JSON.parse(process.argv[1]), found = {};
for (const [name, [host, port]] of Object.entries(places)) {
  const socket = net.connect({host, port, timeout: 3000});
  const end = (reached) => { found[name] = reached; socket.destroy(); };
  socket.on("connect", () => end(true)).on("error", () => end(false)).on("timeout", () => end(false));
}
process.on("exit", () => console.log(JSON.stringify(found)));
"""
# Who may open a connection to what, oneself included; everything else is cut
ALLOWED: Final = {
    "hub": {"names", "API server", "database", "hub", "projects service", "proxy's API", "server", "other server"},
    "proxy": {"names", "hub", "projects service", "proxy", "proxy's API", "server", "other server"},
    "projects": {"names", "hub", "database", "projects service"},
    "server": {"names", "hub", "server"},
    "stranger": {"names", "API server", "database", "kubelet", "machine", "proxy"},
    "machine": {"names", "API server", "database", "kubelet", "machine", "proxy"},
}


@dataclass(frozen=True)
class Site:
    """Where everyone is: an address and a port each."""

    release: Release
    places: dict[str, tuple[str, int]]
    server: str

    def reached(self, source: str) -> set[str]:
        """Return what somebody reaches, by trying all places."""
        asked = json.dumps(self.places)
        python = ["python3", "-c", CONNECT, asked]
        if source == "machine":
            said = subprocess.run(python, capture_output=True, text=True, check=True).stdout
        elif source == "stranger":
            return self._reached_by_stranger()
        else:
            target = f"pod/{self.server}" if source == "server" else f"deployment/{NAME}-{source}"
            command = ["node", "-e", CONNECT_NODE, asked] if source == "proxy" else python
            said = self.release.kubectl("exec", target, "--", *command)
        return {place for place, reaches in json.loads(said).items() if reaches}

    def _reached_by_stranger(self) -> set[str]:
        def reaches(place: str) -> bool:
            host, port = self.places[place]
            command = f"nc -w 3 {host} {port} </dev/null >/dev/null 2>&1 && echo yes || true"
            return "yes" in self.release.cluster.kubectl(
                "-n", "stranger", "exec", "stranger", "--", "sh", "-c", command
            )

        with ThreadPoolExecutor(8) as pool:
            return {place for place, found in zip(self.places, pool.map(reaches, self.places), strict=True) if found}


@pytest.fixture(scope="module")
def neighbour() -> Iterator[int]:
    """Something that listens on this machine and is no business of the release."""
    server = http.server.ThreadingHTTPServer((MACHINE_ADDRESS, 0), http.server.BaseHTTPRequestHandler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield server.server_port
    server.shutdown()
    server.server_close()


@pytest.fixture(scope="module")
def site(release: Release, cluster: Cluster, neighbour: int) -> Iterator[Site]:
    """A release with two servers that run, and a pod that has nothing to do with it."""
    people = [release.person(name) for name in ("lead", "editor")]
    for person in people:
        person.start()
    servers = [one for one in release.servers() if one["status"]["phase"] == "Running"]
    own, other = (_of(servers, person.name) for person in people)
    with namespace(cluster, "stranger") as kubectl:
        kubectl("apply", "--filename=-", input=pod("stranger", "sleep 1d"))
        wait(lambda: kubectl("get", "pod/stranger", "--output=jsonpath={.status.phase}") == "Running")
        yield Site(release, _places(release, own, other, neighbour), own["metadata"]["name"])
    for person in people:
        person.stop()


def _of(servers: list[Thing], person: str) -> Thing:
    return next(s for s in servers if s["metadata"]["annotations"]["hub.jupyter.org/username"] == person)


def _places(release: Release, own: Thing, other: Thing, neighbour: int) -> dict[str, tuple[str, int]]:
    def of(component: str) -> str:
        found = release.all("pods", **{"app.kubernetes.io/component": component})
        return str(next(one["status"]["podIP"] for one in found if one["status"]["phase"] == "Running"))

    return {
        "hub": (of("hub"), 8081),
        "proxy": (of("proxy"), 8000),
        "proxy's API": (of("proxy"), 8001),
        "projects service": (of("projects"), 8181),
        "server": (own["status"]["podIP"], 8888),
        "other server": (other["status"]["podIP"], 8888),
        "database": (MACHINE_ADDRESS, release.port),
        "machine": (MACHINE_ADDRESS, neighbour),
        "API server": (API_SERVICE, 443),
        "kubelet": (NODE_ADDRESS, 10250),
        "names": (DNS_SERVICE, 53),
    }


@pytest.mark.parametrize("source", ALLOWED)
def test_who_reaches_whom(site: Site, source: str) -> None:
    assert site.reached(source) == ALLOWED[source]


def world(release: Release, *options: str) -> World:
    """Return what the policies of a rendered chart would say of the pods that run now."""
    rendered = release.cluster.helm("template", NAME, str(CHART), "--namespace", release.namespace, *options)
    policies = [thing for thing in yaml.safe_load_all(rendered) if thing and thing["kind"] == "NetworkPolicy"]
    for policy in policies:
        policy["metadata"]["namespace"] = release.namespace
    namespaces = json.loads(release.cluster.kubectl("get", "namespaces", "--output=json"))["items"]
    pods = json.loads(release.cluster.kubectl("get", "pods", "--all-namespaces", "--output=json"))["items"]
    return World(policies, pods, namespaces)


@pytest.mark.parametrize("outside", [True, False])
def test_servers_reach_the_outside_as_the_operator_chose_and_never_the_metadata(site: Site, *, outside: bool) -> None:
    option = f"singleuser.networkPolicy.egressAllowRules.nonPrivateIPs={str(outside).lower()}"
    isolated = world(site.release, "--set", option).isolated("Egress")
    allowed = next(one.allowed for one in isolated if one.pod.endswith(f"/{site.server}"))
    assert any(one.fits(OUTSIDE, "TCP", 443) for one in allowed) is outside
    assert not any(one.fits(METADATA, "TCP", 80) for one in allowed)


def test_the_rules_on_the_node_let_nobody_of_ours_to_the_metadata(site: Site) -> None:
    cluster = site.release.cluster
    assert isinstance(cluster, Cluster)
    lines = cluster.firewall()
    jumps = [
        line
        for line in lines
        if f'--comment "{site.release.namespace}/' in line or f" {site.release.namespace}/" in line
    ]
    chains = {line.split()[-1] for line in jumps if line.split()[-1].startswith("COLLAB-E-")}
    assert chains
    for chain in chains:
        rules = [line for line in lines if line.startswith(f"-A {chain} ")]
        assert rules[-1].endswith("-j DROP")
        assert not any(_lets_through(rule, METADATA) for rule in rules[:-1])


def _lets_through(rule: str, address: str) -> bool:
    """Tell whether a rule as iptables-save writes it lets web traffic to an address pass."""
    words = rule.split()
    there = IPv4Network(words[words.index("-d") + 1] if "-d" in words else "0.0.0.0/0")
    ports = words[words.index("--dport") + 1].split(":") if "--dport" in words else ["0", "65535"]
    udp = "-p" in words and words[words.index("-p") + 1] == "udp"
    return IPv4Network(address).subnet_of(there) and int(ports[0]) <= 80 <= int(ports[-1]) and not udp
