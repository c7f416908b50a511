"""The command lines of the programs that make up a control plane, and of those that stand in for nodes."""

from __future__ import annotations

import sys

from .binaries import program, stages
from .layout import API_SERVICE, CHECKOUT, MANIFESTS, NODE, NODE_ADDRESS, PODS, SERVICES, Layout


def etcd(layout: Layout) -> list[str]:
    """Return the command of the database. What it holds need not outlive the machine: it never flushes."""
    client, peer = (f"http://127.0.0.1:{layout.ports[name]}" for name in ("etcd", "etcd-peer"))
    return [
        str(program("etcd")),
        f"--data-dir={layout.state / 'etcd'}",
        f"--listen-client-urls={client}",
        f"--advertise-client-urls={client}",
        f"--listen-peer-urls={peer}",
        f"--initial-advertise-peer-urls={peer}",
        f"--initial-cluster=default={peer}",
        "--unsafe-no-fsync",
        "--log-level=warn",
    ]


def api_server(layout: Layout) -> list[str]:
    """Return the command of the API server."""
    names = ("localhost", "kubernetes", "kubernetes.default", "kubernetes.default.svc")
    certificate, key = layout.authority.issue("api", "api", hosts=(*names, "127.0.0.1", NODE_ADDRESS, API_SERVICE))
    to_kubelet, to_kubelet_key = layout.authority.issue("api-to-kubelet", "api-to-kubelet", "system:masters")
    signing = layout.authority.signing_key("service-accounts")
    return [
        str(program("kube-apiserver")),
        f"--etcd-servers=http://127.0.0.1:{layout.ports['etcd']}",
        f"--bind-address={layout.address}",
        f"--advertise-address={NODE_ADDRESS}",
        f"--secure-port={layout.ports['api']}",
        f"--tls-cert-file={certificate}",
        f"--tls-private-key-file={key}",
        f"--client-ca-file={layout.authority.certificate}",
        f"--kubelet-client-certificate={to_kubelet}",
        f"--kubelet-client-key={to_kubelet_key}",
        "--kubelet-preferred-address-types=InternalIP",
        "--authorization-mode=Node,RBAC",
        "--service-account-issuer=https://kubernetes.default.svc",
        f"--service-account-key-file={signing}",
        f"--service-account-signing-key-file={signing}",
        f"--service-cluster-ip-range={SERVICES}",
    ]


def controller_manager(layout: Layout) -> list[str]:
    """Return the command of the controllers."""
    return [
        str(program("kube-controller-manager")),
        *_client(layout, "controller-manager"),
        f"--service-account-private-key-file={layout.authority.signing_key('service-accounts')}",
        f"--root-ca-file={layout.authority.certificate}",
        "--use-service-account-credentials",
        "--allocate-node-cidrs",
        f"--cluster-cidr={PODS}",
    ]


def scheduler(layout: Layout) -> list[str]:
    """Return the command of the scheduler."""
    return [str(program("kube-scheduler")), *_client(layout, "scheduler")]


def provisioner(layout: Layout) -> list[str]:
    """Return the command of what makes volumes for claims."""
    kubeconfig = layout.kubeconfig("provisioner", "provisioner", "system:masters")
    command = [*_module("provisioner"), str(kubeconfig), str(layout.state / "volumes")]
    return [*command, "--node", NODE] if layout.full else command


def kwok(layout: Layout) -> list[str]:
    """Return the command of what plays the kubelets of nodes that do not exist."""
    files = [*stages(), *sorted((MANIFESTS / "stages").glob("*.yaml"))]
    return [
        str(program("kwok")),
        f"--kubeconfig={layout.kubeconfig('kwok', 'kwok', 'system:masters')}",
        *(f"--config={path}" for path in files),
        "--manage-all-nodes=false",
        "--manage-nodes-with-annotation-selector=kwok.x-k8s.io/node=fake",
        "--node-lease-duration-seconds=40",
        f"--server-address=127.0.0.1:{layout.ports['kwok']}",
    ]


def enforcer(layout: Layout) -> list[str]:
    """Return the command of what makes network policies bite."""
    return [*_module("enforcer"), str(layout.kubeconfig("enforcer", "enforcer", "system:masters"))]


def _client(layout: Layout, name: str) -> list[str]:
    kubeconfig = layout.kubeconfig(name, f"system:kube-{name}", "")
    options = {
        "kubeconfig": kubeconfig,
        "authentication-kubeconfig": kubeconfig,
        "authorization-kubeconfig": kubeconfig,
        "bind-address": "127.0.0.1",
        "secure-port": layout.ports[name],
        "leader-elect": "false",
        "kube-api-qps": "1000",
        "kube-api-burst": "2000",
    }
    return [f"--{option}={value}" for option, value in options.items()]


def _module(name: str) -> list[str]:
    return ["env", f"PYTHONPATH={CHECKOUT}", sys.executable, "-m", f"tests.cluster.{name}"]
