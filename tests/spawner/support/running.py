"""A real Hub in a process of its own, as root or as an ordinary account, with the real core, proxy and JupyterLab."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import secrets
import signal
import socket
import subprocess
import time
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import httpx
from tornado.httpclient import HTTPRequest
from tornado.websocket import websocket_connect

from jupyterhub_collab.access.models import Role
from jupyterhub_collab.factory import Factory
from jupyterhub_collab.migrations import upgrade
from jupyterhub_collab.names import home_volume, project_volume
from jupyterhub_collab.projects.service import NewProject
from jupyterhub_collab.settings import FILE_VARIABLE, load_settings
from jupyterhub_collab_spawner import processes
from jupyterhub_collab_spawner.processes import Init
from jupyterhub_collab_spawner.records import Record, ServerFolder, default_folder
from tests.support.core import with_core

REPOSITORY = Path(__file__).parents[3]
CONFIGURATION = Path(__file__).with_name("jupyterhub_config.py")
ORDINARY = 65533  # an account that has nothing else on this machine
T = TypeVar("T")
SETTINGS = """
[database]
url = "sqlite+aiosqlite:///{state}/collab.sqlite"
[storage]
root = "{state}/storage"
[people]
consent = false
[data.noaa-co2]
source = "{state}/data"
[environments.default]
[environments.closed]
network = "none"
[resource_classes.small]
memory = "512MiB"
cpu = 1
[resource_classes.large]
memory = "4GiB"
allowed = {{names = ["ben"]}}
"""


@dataclass
class Site:
    """A Hub with its state, and what a test does with it."""

    state: Path
    uid: int
    more: str = ""
    token: str = field(default_factory=lambda: secrets.token_hex(16))
    port: int = 0
    hub: subprocess.Popen[bytes] | None = None

    def __post_init__(self) -> None:
        (self.state / "data").mkdir()
        (self.state / "data/co2.csv").write_text("1958-03-29,316.1\n", encoding="utf-8")
        (self.state / "data").chmod(0o755)
        (self.state / "data/co2.csv").chmod(0o666)
        self.settings_file.write_text(SETTINGS.format(state=self.state), encoding="utf-8")
        self.core(self._fill)
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]
        for path in (self.state, *self.state.rglob("*")):
            os.chown(path, self.uid, self.uid)

    @property
    def settings_file(self) -> Path:
        return self.state / "settings.toml"

    @property
    def storage(self) -> Path:
        return self.state / "storage"

    @property
    def log(self) -> str:
        return (self.state / "hub.log").read_text(encoding="utf-8")

    async def _fill(self, factory: Factory) -> None:
        await upgrade(factory.database)
        for name in ("ada", "ben", "eve"):
            await factory.people.sign_in(name, display_name="", groups=None)
        for owner, slug in (("ada", "co2"), ("ben", "secret")):
            await factory.projects.create(owner, NewProject(slug=slug, title=slug))
        await factory.members.put("ada", "co2", "ben", Role.EDITOR)
        await factory.members.put("ada", "co2", "eve", Role.VIEWER)
        await factory.data.attach("ada", "co2", "noaa-co2")

    def core(self, work: Callable[[Factory], Awaitable[T]]) -> T:
        """Do something with the core, as a service beside the Hub would."""
        return with_core(load_settings(self.settings_file), work)

    def start_hub(self, more: str | None = None) -> None:
        paths = [REPOSITORY / ".venv/bin", REPOSITORY / "node_modules/.bin"]
        environment = {
            "HOME": str(self.state),
            "LANG": "C.UTF-8",
            "PATH": ":".join([*map(str, paths), os.environ["PATH"]]),
            "PORT": str(self.port),
            "STATE": str(self.state),
            "TEST_TOKEN": self.token,
            "HUB_SECRET": "only the Hub knows",
            "MORE_CONFIG": self.more if more is None else more,
            FILE_VARIABLE: str(self.settings_file),
        }
        drop = (
            []
            if self.uid == os.geteuid()
            else ["setpriv", f"--reuid={self.uid}", f"--regid={self.uid}", "--clear-groups"]
        )
        with (self.state / "hub.log").open("ab") as log:
            self.hub = subprocess.Popen(
                [*drop, "jupyterhub", "-f", str(CONFIGURATION)],
                env=environment,
                cwd=self.state,
                stdout=log,
                stderr=log,
                stdin=subprocess.DEVNULL,
            )
        self.wait_until(self.answers, 40)

    def answers(self) -> bool:
        assert self.hub is not None
        if self.hub.poll() is not None:
            raise AssertionError("The Hub ended:\n" + self.log[-3000:])
        with contextlib.suppress(httpx.HTTPError):
            return self.api("GET", "/").status_code == 200
        return False

    def end_hub(self, number: signal.Signals = signal.SIGTERM) -> None:
        if self.hub is not None:
            self.hub.send_signal(number)
            self.hub.wait(timeout=30)
            self.hub = None

    def clean(self) -> None:
        """End all that this site started: its Hub, its proxy, its servers."""
        self.end_hub(signal.SIGKILL)
        for init in self.inits():
            processes.send(init, signal.SIGKILL)
        self.end_proxy()

    def end_proxy(self) -> None:
        """End the proxy that a killed Hub left behind; the next Hub would take its time for it."""
        for pid in self.processes_with(str(self.runtime / "proxy.sock")):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)

    @property
    def runtime(self) -> Path:
        if self.uid == 0:
            return default_folder(self.storage)
        digest = default_folder(self.storage).name.rpartition("-")[2]
        return Path(f"/tmp/jupyterhub-collab-{self.uid}-{digest}")

    def api(self, method: str, path: str, **options: Any) -> httpx.Response:
        return httpx.request(
            method,
            f"http://127.0.0.1:{self.port}/hub/api{path}",
            headers={"Authorization": f"token {self.token}"},
            timeout=60,
            **options,
        )

    def start(self, person: str, server: str = "", **options: Any) -> httpx.Response:
        self.api("POST", f"/users/{person}")
        return self.api("POST", f"/users/{person}/servers/{server}", json={"user_options": options})

    def stop(self, person: str, server: str = "") -> httpx.Response:
        return self.api("DELETE", f"/users/{person}/servers/{server}")

    def running(self, person: str) -> dict[str, Any]:
        return dict(self.api("GET", f"/users/{person}").json()["servers"])

    def url(self, person: str, server: str = "") -> str:
        return f"http://127.0.0.1:{self.port}/user/{person}/" + (f"{server}/" if server else "")

    def ask(self, person: str, server: str, method: str, path: str, **options: Any) -> httpx.Response:
        """Ask a person's server, through the proxy."""
        headers = {"Authorization": f"token {self.token}"}
        return httpx.request(method, self.url(person, server) + path, headers=headers, timeout=30, **options)

    def run(self, person: str, server: str, code: str) -> str:
        """Run Python in a kernel of a person's server; return what it prints."""
        kernel = self.ask(person, server, "POST", "api/kernels").json()["id"]
        try:
            return asyncio.run(self._run(person, server, kernel, code))
        finally:
            self.ask(person, server, "DELETE", f"api/kernels/{kernel}")

    async def _run(self, person: str, server: str, kernel: str, code: str) -> str:
        url = self.url(person, server).replace("http", "ws", 1) + f"api/kernels/{kernel}/channels"
        connection = await websocket_connect(HTTPRequest(url, headers={"Authorization": f"token {self.token}"}))
        header = {"msg_id": "1", "msg_type": "execute_request", "username": "", "session": "1", "version": "5.3"}
        content = {"code": code, "silent": False, "store_history": False, "allow_stdin": False}
        message = {"header": header, "parent_header": {}, "metadata": {}, "content": content, "channel": "shell"}
        await connection.write_message(json.dumps(message))
        printed = ""
        async with asyncio.timeout(40):
            while (received := await connection.read_message()) is not None:
                said = json.loads(received)
                if said.get("parent_header", {}).get("msg_id") != "1":
                    continue
                if said["msg_type"] == "stream":
                    printed += said["content"]["text"]
                elif said["msg_type"] == "error":
                    printed += "\n".join(said["content"]["traceback"])
                elif said["msg_type"] == "status" and said["content"]["execution_state"] == "idle":
                    break
        connection.close()
        return printed

    def folder(self, person: str, server: str = "") -> ServerFolder:
        return ServerFolder(self.runtime, person, server)

    def record(self, person: str, server: str = "") -> Record:
        record = self.folder(person, server).read()
        assert record is not None, "no record\n" + self.log[-3000:]
        return record

    def inits(self) -> list[Init]:
        """Return the inits of all sandboxes that show something of this site, on record or not.

        Only the outer bubblewrap names the site's folders; the init is a descendant of it.
        """
        found = [pid for outer in self.processes_with(str(self.storage)) for pid in descendants(outer) if _is_init(pid)]
        return [processes.identify(pid) for pid in dict.fromkeys(found)]

    def processes_with(self, *texts: str) -> list[int]:
        return [pid for pid, line in command_lines() if any(text in line for text in texts) and pid != os.getpid()]

    def home(self, person: str) -> Path:
        return self.storage / home_volume(person)

    def project(self, slug: str) -> Path:
        return self.storage / project_volume(slug)

    def put_file(self, slug: str, name: str, text: str) -> None:
        """Put a file into a project's folder, as one of its members would."""
        folder = self.project(slug)
        folder.mkdir(parents=True, exist_ok=True)
        folder.joinpath(name).write_text(text, encoding="utf-8")
        folder.joinpath(name).chmod(0o666)  # so that a refusal is the mount's, not the file's
        for path in (self.storage, folder):
            os.chown(path, self.uid, self.uid)

    def member(self, person: str, role: Role) -> None:
        """Make someone a member of the project co2, with this role."""
        self.core(lambda factory: factory.members.put("ada", "co2", person, role))

    def wait_until(self, holds: Callable[[], bool], seconds: float = 10) -> float:
        """Wait until something holds; return how long that took."""
        begun = time.monotonic()
        while not holds():
            if time.monotonic() - begun > seconds:
                raise AssertionError(f"Not within {seconds} s. The Hub says:\n" + self.log[-3000:])
            time.sleep(0.05)
        return time.monotonic() - begun


def command_lines() -> Iterator[tuple[int, str]]:
    for folder in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            yield int(folder.name), (folder / "cmdline").read_bytes().decode(errors="replace")


def descendants(pid: int) -> Iterator[int]:
    for child in processes.children(pid):
        yield child
        yield from descendants(child)


def _is_init(pid: int) -> bool:
    """Tell whether a process is the first one of a pid namespace below ours."""
    with contextlib.suppress(OSError):
        for line in Path(f"/proc/{pid}/status").read_text(encoding="utf-8").splitlines():
            if line.startswith("NSpid:"):
                return line.split()[-1] == "1" and len(line.split()) > 2
    return False
