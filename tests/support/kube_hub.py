"""A real Hub process with KubeSpawner, stock or ours, on a cluster of which only the control plane is real."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import secrets
import signal
import subprocess
import sys
import threading
from collections.abc import Awaitable, Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final, Protocol, TypeVar

import httpx
from aiohttp import web

from jupyterhub_collab.factory import Factory
from jupyterhub_collab.settings import FILE_VARIABLE, load_settings
from jupyterhub_collab.state import free_port
from tests.support.core import with_core
from tests.support.demo import wait_until

CONFIGURATION: Final = Path(__file__).with_name("kube_hub_config.py")
REPOSITORY: Final = Path(__file__).parents[2]
T = TypeVar("T")


class ControlPlane(Protocol):
    """What is used of a cluster of the tests."""

    @property
    def kubeconfig(self) -> Path:
        """The credentials of someone who may do everything."""

    def kubectl(self, *arguments: str, input: str | None = None) -> str:  # noqa: A002 - as subprocess calls it
        """Return what kubectl says."""


class KubeHub:
    """A Hub with its state, its namespace, and what a test or benchmark does with it."""

    def __init__(self, cluster: ControlPlane, folder: Path, namespace: str, settings: str) -> None:
        self.cluster = cluster
        self.state = folder
        self.namespace = namespace
        self.token = secrets.token_hex(16)
        self.port = free_port()
        self.process: subprocess.Popen[bytes] | None = None
        self.settings_file = folder / "settings.toml"
        self.settings_file.write_text(settings, encoding="utf-8")
        self.address = ""

    @property
    def log(self) -> str:
        """What the Hub said."""
        return (self.state / "hub.log").read_text(encoding="utf-8", errors="replace")

    def start(self, spawner: str = "collab-kube", *, more: str = "", **traits: Any) -> None:
        """Run the Hub and wait until it serves."""
        paths = [Path(sys.executable).parent, REPOSITORY / "node_modules/.bin"]
        environment = {
            "HOME": str(self.state),
            "KUBECONFIG": str(self.cluster.kubeconfig),
            "LANG": "C.UTF-8",
            "MORE_CONFIG": more,
            "NAMESPACE": self.namespace,
            "PATH": ":".join([*map(str, paths), os.environ["PATH"]]),
            "PORT": str(self.port),
            "SERVERS_ANSWER_AT": self.address,
            "SPAWNER": spawner,
            "STATE": str(self.state),
            "TEST_TOKEN": self.token,
            "TRAITS": json.dumps(traits),
            FILE_VARIABLE: str(self.settings_file),
        }
        with (self.state / "hub.log").open("ab") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "jupyterhub", "-f", str(CONFIGURATION)],
                env=environment,
                cwd=self.state,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )
        self.until(self._serves, 400)

    def _serves(self) -> bool:
        assert self.process is not None
        assert self.process.poll() is None, "The Hub ended:\n" + self.log[-4000:]
        with contextlib.suppress(httpx.HTTPError):
            return self.api("GET", "/").status_code == httpx.codes.OK
        return False

    def stop(self, number: signal.Signals = signal.SIGTERM) -> None:
        """End the Hub; where it is killed, also the proxy that it leaves behind."""
        if self.process is None:
            return
        self.process.send_signal(number)
        self.process.wait(timeout=60)
        self.process = None
        with contextlib.suppress(OSError, ValueError):
            os.kill(int((self.state / "proxy.pid").read_text(encoding="ascii").split()[0]), signal.SIGKILL)

    def api(self, method: str, path: str, **options: Any) -> httpx.Response:
        """Ask the Hub's API."""
        headers = {"Authorization": f"token {self.token}"} | options.pop("headers", {})
        return httpx.request(method, self.url(path), headers=headers, timeout=600, **options)

    def url(self, path: str) -> str:
        """Return the address of something in the Hub's API."""
        return f"http://127.0.0.1:{self.port}/hub/api{path}"

    def start_server(self, person: str, server: str = "") -> httpx.Response:
        """Start a server and wait until it is ready or refused."""
        self.api("POST", f"/users/{person}")
        return self.api("POST", f"/users/{person}/servers/{server}", json={"user_options": {}})

    def stop_server(self, person: str, server: str = "") -> None:
        """Stop a server and wait until it is gone."""
        answer = self.api("DELETE", f"/users/{person}/servers/{server}")
        assert answer.status_code in {202, 204}, answer.text
        self.until(lambda: server not in self.servers(person))

    def servers(self, person: str) -> dict[str, Any]:
        """Return the servers that run, as the Hub tells."""
        return dict(self.api("GET", f"/users/{person}").json()["servers"])

    def objects(self, kind: str, *options: str) -> dict[str, Any]:
        """Return what there is of a kind in the namespace, by name."""
        found = json.loads(self.cluster.kubectl("-n", self.namespace, "get", kind, "-o", "json", *options))
        return {item["metadata"]["name"]: item for item in found["items"]}

    def kubectl(self, *arguments: str, given: Mapping[str, Any] | None = None) -> str:
        """Do something in the namespace."""
        return self.cluster.kubectl("-n", self.namespace, *arguments, input=json.dumps(given) if given else None)

    def core(self, work: Callable[[Factory], Awaitable[T]]) -> T:
        """Do something with the core, as a service beside the Hub would."""
        return with_core(load_settings(self.settings_file), work)

    def until(self, holds: Callable[[], bool], seconds: float = 30) -> float:
        """Wait until something holds; return how long that took."""
        return wait_until(holds, seconds, lambda: self.log[-6000:])


@contextmanager
def kube_hub(cluster: ControlPlane, folder: Path, settings: str, *, namespace: str = "") -> Iterator[KubeHub]:
    """Lend a Hub that is not started yet, in a namespace of its own; and end all of it.

    The namespace takes only what passes the Pod Security Standard `restricted`.
    """
    hub = KubeHub(cluster, folder, namespace or f"hub-{secrets.token_hex(4)}", settings)
    metadata = {"name": hub.namespace, "labels": {"pod-security.kubernetes.io/enforce": "restricted"}}
    cluster.kubectl(
        "apply", "-f", "-", input=json.dumps({"apiVersion": "v1", "kind": "Namespace", "metadata": metadata})
    )
    try:
        with _answering() as hub.address:
            yield hub
            hub.stop()
    finally:
        hub.stop(signal.SIGKILL)
        cluster.kubectl("delete", "namespace", hub.namespace, "--wait=false")


@contextmanager
def _answering() -> Iterator[str]:
    """Stand for all servers: answer whatever is asked as JupyterLab would, from a thread."""
    port, ready, loop = free_port(), threading.Event(), asyncio.new_event_loop()

    async def answer(_request: web.Request) -> web.Response:
        return web.Response(text="{}", headers={"X-JupyterHub-Version": "6.1.1"})

    async def serve() -> None:
        app = web.Application()
        app.router.add_route("*", "/{path:.*}", answer)
        runner = web.AppRunner(app, access_log=None)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", port, backlog=2048).start()
        ready.set()

    def run() -> None:
        loop.run_until_complete(serve())
        loop.run_forever()

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    ready.wait()
    try:
        yield f"http://127.0.0.1:{port}"
    finally:
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()
