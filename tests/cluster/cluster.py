"""A cluster that is brought up, used and taken down; each step may be repeated, also after it was killed half-way."""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import json
import os
import shutil
import subprocess
import tarfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final
from urllib.parse import quote

import httpx

from . import control_plane, node
from .api import Api
from .archives import tags, write_archive
from .binaries import build, program
from .errors import ClusterError
from .layout import CACHE, CHECKOUT, MACHINE_ADDRESS, MANIFESTS, NODE_ADDRESS, Layout
from .processes import Processes, within

STATE: Final = CHECKOUT / "cluster-state"
_SHELL: Final = ("sh", "nc", "sleep", "cat", "touch", "id", "ls", "stat", "nslookup", "wget", "httpd", "dd", "true")
_NEEDED: Final = ("pause", "etcd", "kwok", "kubernetes", "helm")
_PATIENCE: Final = 5.0
_BUSYBOX: Final = Path("/bin/busybox")


class Cluster:
    """One cluster of the tests: a control plane with two nodes that KWOK plays, or in full with a real node."""

    address: Final = NODE_ADDRESS
    machine: Final = MACHINE_ADDRESS

    def __init__(self, state: Path = STATE, *, full: bool = True) -> None:
        self.state = state.resolve()
        self.layout = Layout(self.state, full)
        self.processes = Processes(self.state)

    @classmethod
    def found(cls, state: Path) -> Cluster:
        """Return the cluster of a state folder, whichever it is.

        Raises
        ------
        ClusterError
            There is none.
        """
        try:
            kept = json.loads((state / "cluster.json").read_text(encoding="utf-8"))
        except FileNotFoundError:
            raise ClusterError(f"No cluster is in {state}. Bring one up: python -m tests.cluster up") from None
        return cls(state, full=kept["full"])

    @property
    def kubeconfig(self) -> Path:
        """The credentials of someone who may do everything."""
        return self.layout.authority.folder / "admin.kubeconfig"

    def up(self) -> None:
        """Bring up what does not run yet; return when all of it serves.

        Raises
        ------
        ClusterError
            Something is missing or does not start; or another kind of cluster is in this folder.
        """
        build((*_NEEDED, "coredns") if self.layout.full else _NEEDED)
        with self._alone():
            self._keep_kind()
            holder = self._open_node() if self.layout.full else None
            self._start_control_plane(holder)
            self.kubectl("apply", "--filename", str(MANIFESTS / "storage.yaml"))
            if holder is None:
                self._start_fake_nodes()
            else:
                self._start_node(holder)
            self.processes.wait("the nodes to be ready", self._nodes_ready)
            self._wait_for_account()

    def down(self) -> None:
        """End all that runs and remove all that is left of it."""
        with self._alone():
            if self.processes.pid(node.HOLDER) is not None:
                node.disconnect()
            self.processes.kill_all()
            if self.layout.full:
                self.processes.wait("the pods to end", _cgroups_gone)
            shutil.rmtree(self.state, ignore_errors=True)

    def load(self, archive: Path) -> None:
        """Give the node the images of an archive, without a registry, unless it has them from there.

        Raises
        ------
        ClusterError
            The archive can't be read; or this cluster has no node.
        """
        if not self.layout.full:
            raise ClusterError("A control plane without a node takes no images.")
        try:
            given = {tag: self.state / "loaded" / quote(tag, safe="") for tag in tags(archive)}
        except (OSError, KeyError, tarfile.TarError) as error:
            raise ClusterError(f"{archive} is no archive of images: {error}") from None
        mark = f"{archive.resolve()} {archive.stat().st_mtime_ns}"
        if not all(path.exists() and path.read_text(encoding="utf-8") == mark for path in given.values()):
            self._ctr("images", "import", str(archive))
            for path in given.values():
                path.parent.mkdir(exist_ok=True)
                path.write_text(mark, encoding="utf-8")

    def kubectl(self, *arguments: str, input: str | None = None) -> str:  # noqa: A002 - as subprocess calls it
        """Return what kubectl says.

        Raises
        ------
        ClusterError
            It failed.
        """
        return self._said(str(program("kubectl")), *arguments, given=input)

    def helm(self, *arguments: str) -> str:
        """Return what helm says.

        Raises
        ------
        ClusterError
            It failed.
        """
        return self._said(str(program("helm")), *arguments)

    def firewall(self) -> list[str]:
        """Return the rules that stand on the node."""
        enter = ["nsenter", f"--target={self.processes.pid(node.HOLDER)}", "--net", "--"]
        return self._said(*enter, "iptables-save", "--table", "filter").splitlines()

    def api(self) -> Api:
        """Return a client of the API server."""
        return Api(self.kubeconfig)

    def start_kubelet(self, *options: str) -> None:
        """Start the kubelet, unless it runs; with options other than usual where a test wants a node in trouble."""
        self.processes.start("kubelet", node.kubelet(self.layout, *options), inside=self.processes.pid(node.HOLDER))

    def _start_control_plane(self, holder: int | None) -> None:
        self.layout.admin  # noqa: B018 - is written for kubectl
        self.processes.start("etcd", control_plane.etcd(self.layout), inside=holder)
        self.processes.start("api", control_plane.api_server(self.layout), inside=holder)
        api = self.api()
        self.processes.wait_for("api", api.ready)
        for name, command in (
            ("controller-manager", control_plane.controller_manager(self.layout)),
            ("scheduler", control_plane.scheduler(self.layout)),
            ("provisioner", control_plane.provisioner(self.layout)),
        ):
            self.processes.start(name, command, inside=holder)

    def _start_fake_nodes(self) -> None:
        self.processes.start("kwok", control_plane.kwok(self.layout))
        nodes = str(MANIFESTS / "fake-nodes.yaml")
        with contextlib.suppress(ClusterError):  # a script that was killed may have left one that makes them just now
            self.kubectl("apply", "--filename", nodes)
        self.kubectl("apply", "--filename", nodes)

    def _open_node(self) -> int:
        if os.geteuid() != 0:
            raise ClusterError("A node with real pods needs root. Without it: --control-plane")
        with (CACHE / "node.lock").open("a+") as lock:
            holder = self.processes.pid(node.HOLDER)
            if holder is None:
                _take(lock.fileno(), self.state)
                self.processes.wait("the pods of before to end", _cgroups_gone)
                holder = node.open_namespaces(self.processes, lock.fileno())
        node.connect(holder)
        node.make_cgroups()
        return holder

    def _start_node(self, holder: int) -> None:
        node.write_configuration(self.layout)
        self.processes.start("containerd", node.containerd(self.layout), inside=holder)
        self.processes.wait_for("containerd", self._runtime_answers)
        self._load_small_images()
        self.start_kubelet()
        self.processes.start("kube-proxy", node.kube_proxy(self.layout), inside=holder)
        self.processes.start("enforcer", control_plane.enforcer(self.layout), inside=holder)
        self.kubectl("apply", "--filename", str(MANIFESTS / "dns.yaml"))
        self.processes.wait("the node to be ready", self._nodes_ready)
        self.kubectl("rollout", "status", "deployment/coredns", "--namespace=kube-system", "--timeout=60s")

    def _load_small_images(self) -> None:
        for tag, path, names in (
            ("pause", program("pause"), ()),
            ("coredns", program("coredns"), ()),
            ("busybox", _BUSYBOX, _SHELL),
        ):
            archive = self.state / f"{tag}.tar"
            if not archive.exists():
                made = archive.with_suffix(".part")
                write_archive(made, f"localhost/{tag}:1", path, other_names=names)
                made.rename(archive)
            self.load(archive)

    def _runtime_answers(self) -> bool:
        try:
            self._ctr("version")
        except ClusterError:
            return False
        return True

    def _ctr(self, *arguments: str) -> str:
        return self._said("ctr", "--address", str(self.layout.containerd), "--namespace=k8s.io", *arguments)

    def _nodes_ready(self) -> bool:
        try:
            nodes = self.api().get("/api/v1/nodes")["items"]
        except httpx.HTTPError:
            return False
        ready = [c["status"] for one in nodes for c in one["status"].get("conditions", ()) if c["type"] == "Ready"]
        return len(ready) == (1 if self.layout.full else 2) and set(ready) == {"True"}

    def _wait_for_account(self) -> None:
        """Wait for what every pod needs: the account that its namespace gets a moment after it."""
        path = "/api/v1/namespaces/default/serviceaccounts/default"
        self.processes.wait("the default account", lambda: self.api().http.get(path).is_success)

    def _keep_kind(self) -> None:
        path = self.state / "cluster.json"
        if not path.exists():
            path.write_text(json.dumps({"full": self.layout.full}), encoding="utf-8")
        elif Cluster.found(self.state).layout.full != self.layout.full:
            raise ClusterError(f"{self.state} holds a cluster of the other kind. Name another folder with --state.")

    def _said(self, *command: str, given: str | None = None) -> str:
        own = {"KUBECONFIG": str(self.kubeconfig), "HELM_CACHE_HOME": f"{self.state}/helm/cache"}
        own |= {"HELM_CONFIG_HOME": f"{self.state}/helm/config", "HELM_DATA_HOME": f"{self.state}/helm/data"}
        done = subprocess.run(command, env=os.environ | own, input=given, capture_output=True, text=True, check=False)
        if done.returncode:
            name = Path(command[0]).name
            raise ClusterError(f"{name} {' '.join(command[1:])} failed:\n{done.stdout[-2000:]}{done.stderr[-4000:]}")
        return done.stdout

    @contextmanager
    def _alone(self) -> Iterator[None]:
        """Let one script at a time change this cluster."""
        CACHE.mkdir(parents=True, exist_ok=True)
        name = hashlib.sha256(str(self.state).encode()).hexdigest()[:12]
        with (CACHE / f"state-{name}.lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            self.state.mkdir(parents=True, exist_ok=True)
            yield


@contextmanager
def lent() -> Iterator[Cluster]:
    """Lend a real node. One that runs in this checkout already is used, and left running."""
    there = STATE.exists()
    made = Cluster()
    try:
        made.up()
        yield made
    finally:
        if not there:
            made.down()


def _take(lock: int, state: Path) -> None:
    """Take the lock of the one full cluster on this machine, which the holder of its namespaces then keeps."""
    if not within(_PATIENCE, lambda: _locked(lock)):  # a holder that was killed takes a moment to let go
        other = os.pread(lock, 4096, 0).decode()
        raise ClusterError(
            f"A full cluster runs from {other}. Take it down: python -m tests.cluster --state {other} down"
        )
    os.ftruncate(lock, 0)
    os.pwrite(lock, str(state).encode(), 0)


def _locked(lock: int) -> bool:
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _cgroups_gone() -> bool:
    try:
        node.remove_cgroups()
    except OSError:  # a process is still on its way out
        return False
    return True
