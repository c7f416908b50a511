"""One node with real pods, in namespaces of its own.

Network, mounts and processes of the node are its own, and end with one process. So nothing of it can stay behind on
this machine, whatever was killed: no link, no rule of the firewall, no mount. Its only way out is a link to this
machine; it has no route to anywhere else.
"""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

from .binaries import program
from .layout import CGROUP, DNS_SERVICE, MACHINE_ADDRESS, NODE, NODE_ADDRESS, PODS, SERVICES, Layout
from .processes import Processes

HOLDER: Final = "node"
LINK: Final = "collab-tests"
# What programs of a node write outside of their own folders is gone with the node
_OWN: Final = "mount --make-rshared /; for folder in /run /var/log /var/lib/cni; do mount -t tmpfs own $folder; done"
# A first process that takes no notice of those who end has none of them left as zombies
_HOLD: Final = ["sh", "-c", f"mkdir -p /var/lib/cni; {_OWN}; trap '' CHLD; exec sleep infinity"]


def open_namespaces(processes: Processes, lock: int) -> int:
    """Make the namespaces of the node, unless they are there; return the process that holds them, and the lock."""
    command = ["unshare", "--net", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc", *_HOLD]
    processes.start(HOLDER, command, keep=[lock])
    processes.wait_for(HOLDER, lambda: _command(processes.pid(HOLDER)) == "sleep")
    holder = processes.pid(HOLDER)
    assert holder is not None
    return holder


def connect(holder: int) -> None:
    """Link the node to this machine; whatever of that is done already stays."""
    inside = ["nsenter", f"--target={holder}", "--net", "--"]
    if "eth0:" not in Path(f"/proc/{holder}/net/dev").read_text(encoding="ascii"):
        disconnect()  # the node before, if it was killed
        _run("ip", "link", "add", LINK, "type", "veth", "peer", "name", "eth0", "netns", str(holder))
    _run(*inside, "ip", "address", "replace", f"{NODE_ADDRESS}/24", "dev", "eth0")
    _run(*inside, "ip", "link", "set", "lo", "up")
    _run(*inside, "ip", "link", "set", "eth0", "up")
    _run(*inside, "sh", "-c", "echo 1 > /proc/sys/net/ipv4/ip_forward")
    _run("ip", "address", "replace", f"{MACHINE_ADDRESS}/24", "dev", LINK)
    _run("ip", "link", "set", LINK, "up")
    for network in (PODS, SERVICES):
        _run("ip", "route", "replace", network, "via", NODE_ADDRESS)


def disconnect() -> None:
    """Remove the link of a node that is about to end: by itself it stays until the last packet is given up."""
    subprocess.run(["ip", "link", "delete", LINK], check=False, capture_output=True)


def make_cgroups() -> None:
    """Make the group below which all pods run, in each hierarchy of this machine."""
    for folder in _cgroups():
        folder.mkdir(exist_ok=True)


def remove_cgroups() -> None:
    """Remove the groups of all pods, when their processes are gone."""
    for folder in _cgroups():
        for below in sorted(folder.rglob("*/"), key=lambda path: -len(path.parts)):
            below.rmdir()
        if folder.is_dir():
            folder.rmdir()


def write_configuration(layout: Layout) -> None:
    """Write what the runtime, its network and the kubelet read."""
    state = layout.state
    _write(state / "containerd.toml", _containerd(layout))
    _write(state / "cni" / "10-bridge.conflist", json.dumps(_network(state)))
    _write(state / "kubelet.json", json.dumps(_kubelet(layout)))


def containerd(layout: Layout) -> list[str]:
    """Return the command of the container runtime."""
    return ["containerd", f"--config={layout.state / 'containerd.toml'}"]


def kubelet(layout: Layout, *options: str) -> list[str]:
    """Return the command of the kubelet."""
    return [
        str(program("kubelet")),
        f"--config={layout.state / 'kubelet.json'}",
        f"--kubeconfig={layout.kubeconfig('kubelet', f'system:node:{NODE}', 'system:nodes')}",
        f"--root-dir={layout.state / 'kubelet'}",
        f"--hostname-override={NODE}",
        f"--node-ip={NODE_ADDRESS}",
        *options,
    ]


def kube_proxy(layout: Layout) -> list[str]:
    """Return the command of what carries out Services."""
    return [
        str(program("kube-proxy")),
        f"--kubeconfig={layout.kubeconfig('kube-proxy', 'system:kube-proxy', '')}",
        "--proxy-mode=iptables",
        f"--cluster-cidr={PODS}",
        f"--hostname-override={NODE}",
        f"--bind-address={NODE_ADDRESS}",
        "--conntrack-max-per-core=0",
        "--conntrack-min=0",
        "--conntrack-tcp-timeout-established=0",
        "--conntrack-tcp-timeout-close-wait=0",
        "--iptables-sync-period=5s",
        "--iptables-min-sync-period=100ms",
    ]


def _containerd(layout: Layout) -> str:
    state = layout.state
    return f"""\
version = 2
root = "{state}/containerd"
state = "/run/containerd"
disabled_plugins = ["io.containerd.snapshotter.v1.btrfs", "io.containerd.snapshotter.v1.zfs"]
[grpc]
address = "{layout.containerd}"
[plugins."io.containerd.grpc.v1.cri"]
sandbox_image = "localhost/pause:1"
restrict_oom_score_adj = true
disable_apparmor = true
[plugins."io.containerd.grpc.v1.cri".cni]
bin_dir = "/usr/lib/cni"
conf_dir = "{state}/cni"
[plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc]
runtime_type = "io.containerd.runc.v2"
[plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc.options]
SystemdCgroup = false
"""


def _network(state: Path) -> dict[str, Any]:
    addresses = {"type": "host-local", "ranges": [[{"subnet": PODS}]], "dataDir": f"{state}/addresses"}
    bridge = {
        "type": "bridge",
        "bridge": "cni0",
        "isGateway": True,
        "ipMasq": True,
        "hairpinMode": True,
        "ipam": addresses | {"routes": [{"dst": "0.0.0.0/0"}]},
    }
    ports = {"type": "portmap", "capabilities": {"portMappings": True}}
    return {"cniVersion": "0.4.0", "name": "tests", "plugins": [bridge, ports]}


def _kubelet(layout: Layout) -> dict[str, Any]:
    certificate, key = layout.authority.issue("kubelet-serving", NODE, hosts=(NODE, NODE_ADDRESS))
    signing_in = {
        "anonymous": {"enabled": False},
        "webhook": {"enabled": True},
        "x509": {"clientCAFile": str(layout.authority.certificate)},
    }
    return {
        "apiVersion": "kubelet.config.k8s.io/v1beta1",
        "kind": "KubeletConfiguration",
        "address": NODE_ADDRESS,
        "healthzBindAddress": "127.0.0.1",
        "authentication": signing_in,
        "authorization": {"mode": "Webhook"},
        "tlsCertFile": str(certificate),
        "tlsPrivateKeyFile": str(key),
        "containerRuntimeEndpoint": f"unix://{layout.containerd}",
        "clusterDNS": [DNS_SERVICE],
        "clusterDomain": "cluster.local",
        "resolvConf": "",
        "podLogsDir": str(layout.state / "pod-logs"),
        "volumePluginDir": str(layout.state / "plugins"),
        "evictionHard": {"memory.available": "100Mi"},
        "evictionPressureTransitionPeriod": "5s",
        "imageGCHighThresholdPercent": 100,
        "serializeImagePulls": False,
        **_without_privileges(),
    }


def _without_privileges() -> dict[str, Any]:
    """What lets the kubelet run where it may not raise limits, with control groups of either version."""
    return {
        "cgroupDriver": "cgroupfs",
        "cgroupRoot": f"/{CGROUP}",
        "failCgroupV1": False,
        "failSwapOn": False,
        "featureGates": {"KubeletInUserNamespace": True},
        "oomScoreAdj": 0,
        "maxOpenFiles": 20000,
    }


def _cgroups() -> Iterator[Path]:
    root = Path("/sys/fs/cgroup")
    if (root / "cgroup.procs").exists():
        yield root / CGROUP
    else:
        for hierarchy in root.iterdir():
            if (hierarchy / "cgroup.procs").exists() and not hierarchy.is_symlink():
                yield hierarchy / CGROUP


def _command(pid: int | None) -> str:
    return "" if pid is None else Path(f"/proc/{pid}/comm").read_text(encoding="utf-8").strip()


def _write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")


def _run(*command: str) -> None:
    subprocess.run(command, check=True)
