"""The product as a whole, in processes of its own: the demo, or the same Hub without the demo around it."""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, Protocol

import httpx

from jupyterhub_collab.demo.running import CHECKOUT, configuration
from jupyterhub_collab.names import home_volume, project_volume
from jupyterhub_collab.settings import FILE_VARIABLE
from jupyterhub_collab.state import STATE_VARIABLE, free_port

ORDINARY: Final = 65533  # an account that has nothing else on this machine
PASSWORD: Final = "demo-password"
PREPARE: Final = """
import sys
from jupyterhub_collab.demo.preparation import prepare
from jupyterhub_collab.state import StateFolder
prepare(StateFolder(sys.argv[1]).prepare(), sys.argv[2])
"""
# How browsers mark that someone opens a page; without it a cookie alone is not believed
NAVIGATION: Final = {"Sec-Fetch-Mode": "navigate", "Sec-Fetch-Dest": "document", "Sec-Fetch-Site": "same-origin"}
# A connection for each request: whatever stood behind the last one may have been killed. One client, since making one
# reads all certificates of the machine.
_CLIENT: Final = httpx.Client(timeout=90, limits=httpx.Limits(max_keepalive_connections=0))
_XSRF: Final = re.compile(r'name="_xsrf" value="([^"]+)"')


class Place(Protocol):
    """Where the product runs, whatever it runs on."""

    @property
    def address(self) -> str:
        """Where people come in."""

    @property
    def log(self) -> str:
        """The end of what the Hub and all that it started said."""

    def project(self, slug: str) -> Path:
        """Return a project's folder on the disk."""

    def wait_until(self, holds: Callable[[], bool], seconds: float = 15) -> float:
        """Wait until something holds; return how long that took."""


class Person:
    """Someone who uses the product by HTTP: a session as a browser has it, and a Hub token for the JSON API."""

    def __init__(self, site: Place, name: str) -> None:
        self.site = site
        self.name = name
        self.web = httpx.Client(base_url=site.address, follow_redirects=True, timeout=90, headers=NAVIGATION)
        self.token = ""

    def log_in(self) -> httpx.Response:
        """Log in on the Hub's page; return the page on which one lands."""
        form = self.web.get("/hub/login")
        data = {"username": self.name, "password": PASSWORD, "_xsrf": _hidden(form.text)}
        landed = self.web.post("/hub/login", data=data, params={"_xsrf": data["_xsrf"]})
        assert landed.status_code == 200, f"{landed.url}: {landed.text[:2000]}"
        return landed

    def make_token(self) -> None:
        """Make a Hub token for the JSON API, as the Hub's token page does."""
        xsrf = self.web.cookies.get("_xsrf", path="/hub/") or ""
        made = self.web.post(
            f"/hub/api/users/{self.name}/tokens", json={"note": "tests"}, headers={"X-XSRFToken": xsrf}
        )
        assert made.status_code == 201, made.text
        self.token = made.json()["token"]

    def hub(self, method: str, path: str, **options: Any) -> httpx.Response:
        """Ask the Hub's API."""
        return self.request(method, f"/hub/api{path}", **options)

    def api(self, method: str, path: str, status: int = 200, **options: Any) -> Any:
        """Ask the projects service's API, and check the status of its answer."""
        answer = self.request(method, f"/services/projects/api/v1{path}", **options)
        assert answer.status_code == status, f"{method} {path}: {answer.status_code} {answer.text[:1000]}"
        return answer.json() if answer.content else None

    def ask(self, server: str, method: str, path: str, **options: Any) -> httpx.Response:
        """Ask one's own server."""
        return self.request(method, self.server_path(server) + path, **options)

    def server_path(self, server: str) -> str:
        """Return the path of one's server."""
        return f"/user/{self.name}/" + (f"{server}/" if server else "")

    def request(self, method: str, path: str, **options: Any) -> httpx.Response:
        """Ask for any address of the site, with the token."""
        headers = {"Authorization": f"token {self.token}"} | options.pop("headers", {})
        return _CLIENT.request(method, f"{self.site.address}{path}", headers=headers, **options)

    def start(self, server: str = "") -> None:
        """Start one's server and wait until it is ready."""
        answer = self.hub("POST", f"/users/{self.name}/servers/{server}", json={"user_options": {}})
        assert answer.status_code in {201, 202}, f"{answer.status_code} {answer.text}"
        self.site.wait_until(lambda: self.servers().get(server, {}).get("ready", False), 90)

    def stop(self, server: str = "") -> None:
        """Stop one's server and wait until it is gone."""
        assert self.hub("DELETE", f"/users/{self.name}/servers/{server}").status_code in {202, 204}
        self.site.wait_until(lambda: server not in self.servers())

    def servers(self) -> dict[str, Any]:
        """Return one's servers that run, as the Hub tells."""
        return dict(self.hub("GET", f"/users/{self.name}").json()["servers"])


@dataclass
class Site:
    """A state folder, and a Hub that runs on it."""

    uid: int = field(default_factory=os.geteuid)
    environment: Mapping[str, str] = field(default_factory=dict)
    port: int = field(default_factory=free_port)
    process: subprocess.Popen[bytes] | None = None
    configuration: Path = field(default_factory=configuration)
    """What the Hub reads; the product's own if nothing else is said."""

    def __post_init__(self) -> None:
        folder = Path(tempfile.mkdtemp(prefix="collab-site-")).resolve()
        self.state = folder / "state"
        self.output = folder / "output"
        self.home = folder / "home"
        self.home.mkdir()
        for path in (folder, self.home):
            os.chown(path, self.uid, self.uid)

    @property
    def address(self) -> str:
        """Where people come in."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def log(self) -> str:
        """The end of what the Hub and all that it started said."""
        files = (self.output, self.state / "hub.log")
        return "\n".join(path.read_text(encoding="utf-8", errors="replace")[-6000:] for path in files if path.exists())

    def start_demo(self) -> None:
        """Run ``jupyterhub-collab demo`` and wait until it says that it is ready."""
        command = ["-m", "jupyterhub_collab.cli", "--state", str(self.state), "demo", "--port", str(self.port)]
        self._run([sys.executable, *command], {"DEMO_PASSWORD": PASSWORD})
        self.wait_until(self.says_ready, 120)

    def start_hub(self) -> None:
        """Run the Hub as an operator does: servers outlive it."""
        if not self.state.exists():
            prepare = [sys.executable, "-c", PREPARE, str(self.state), PASSWORD]
            subprocess.run([*self._drop(), *prepare], env=self._environment({}), check=True, cwd=self.home)
        settings = str(self.state / "settings.toml")
        places = {STATE_VARIABLE: str(self.state), FILE_VARIABLE: settings, "PORT": str(self.port)}
        options = [
            "--JupyterHub.authenticator_class=collab-demo",
            f"--DemoAuthenticator.accounts_file={self.state / 'accounts.json'}",
            "--DemoAuthenticator.attempts_per_minute=1000",
        ]
        self._run([sys.executable, "-m", "jupyterhub", "--config", str(self.configuration), *options], places)
        self.wait_until(self.serves, 120)

    def _run(self, command: list[str], more: dict[str, str]) -> None:
        with self.output.open("ab") as output:
            self.process = subprocess.Popen(
                [*self._drop(), *command],
                env=self._environment(more),
                cwd=self.home,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                start_new_session=True,
            )

    def _environment(self, more: dict[str, str]) -> dict[str, str]:
        own = (Path(sys.executable).parent, CHECKOUT / "node_modules" / ".bin")
        path = os.pathsep.join([*map(str, own), os.environ.get("PATH", os.defpath)])
        return {"HOME": str(self.home), "LANG": "C.UTF-8", "PATH": path, **self.environment, **more}

    def _drop(self) -> list[str]:
        if self.uid == os.geteuid():
            return []
        return ["setpriv", f"--reuid={self.uid}", f"--regid={self.uid}", "--clear-groups", "--"]

    def says_ready(self) -> bool:
        """Tell whether the demo has said that it is ready."""
        self.assert_runs()
        return "is ready" in self.output.read_text(encoding="utf-8")

    def assert_runs(self) -> None:
        """Check that what was started has not ended by itself."""
        assert self.process is not None
        assert self.process.poll() is None, f"It ended by itself:\n{self.log}"

    def serves(self) -> bool:
        """Tell whether the Hub and the projects service answer."""
        self.assert_runs()
        with contextlib.suppress(httpx.HTTPError):
            pages = ("/hub/login", "/services/projects/healthz")
            return all(_CLIENT.get(self.address + page).status_code == 200 for page in pages)
        return False

    def stop(self, number: signal.Signals = signal.SIGTERM) -> None:
        """End the Hub, or the demo, and wait for its end."""
        assert self.process is not None
        self.process.send_signal(number)
        self.process.wait(timeout=90)
        self.process = None

    def clean(self) -> None:
        """End whatever is left and remove the folders."""
        if self.process is not None:
            self.process.kill()
            self.process.wait()
        for _ in range(100):
            left = list(self.processes())
            for pid in left:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            if not left:
                break
            time.sleep(0.05)
        shutil.rmtree(self.runtime, ignore_errors=True)
        shutil.rmtree(self.state.parent)

    @property
    def runtime(self) -> Path:
        """The folder of sockets and records."""
        from jupyterhub_collab_spawner.records import default_folder  # noqa: PLC0415 - the Hub's stack, where needed

        folder = default_folder(self.state / "volumes")
        if self.uid == os.geteuid():
            return folder
        return Path(tempfile.gettempdir()) / f"jupyterhub-collab-{self.uid}-{folder.name.rpartition('-')[2]}"

    def processes(self) -> Iterator[int]:
        """Find all processes of this site: by command line, environment, or what their sandbox shows."""
        marks = [os.fsencode(self.state), os.fsencode(self.runtime), os.fsencode(self.runtime).replace(b"/", b"%2F")]
        for folder in Path("/proc").glob("[0-9]*"):
            if int(folder.name) != os.getpid() and any(mark in _known_of(folder) for mark in marks):
                yield int(folder.name)

    def sandboxes(self) -> list[int]:
        """Find the processes inside sandboxes of this site."""
        mark = os.fsencode(self.state / "volumes")
        return [
            int(folder.name)
            for folder in Path("/proc").glob("[0-9]*")
            if mark in _read(folder / "mountinfo") and _is_below(folder)
        ]

    def assert_nothing_left(self) -> None:
        """Check that no process of this site is left, and no folder of sockets."""
        self.wait_until(lambda: not list(self.processes()), 10)
        assert not self.runtime.exists(), list(self.runtime.rglob("*"))

    def person(self, name: str) -> Person:
        """Return someone who is logged in and has a token."""
        person = Person(self, name)
        person.log_in()
        person.make_token()
        return person

    def pid_of(self, *words: str) -> int:
        """Find the one process of this site whose command line holds all words."""
        found = [pid for pid in self.processes() if all(word in _line(pid) for word in words)]
        assert len(found) == 1, [(pid, _line(pid)) for pid in found]
        return found[0]

    def project(self, slug: str) -> Path:
        """Return a project's folder on the disk."""
        return self.state / "volumes" / project_volume(slug)

    def home_of(self, person: str) -> Path:
        """Return a person's home on the disk."""
        return self.state / "volumes" / home_volume(person)

    def wait_until(self, holds: Callable[[], bool], seconds: float = 15) -> float:
        """Wait until something holds; return how long that took."""
        return wait_until(holds, seconds, lambda: self.log)


def wait_until(holds: Callable[[], bool], seconds: float, log: Callable[[], str]) -> float:
    """Wait until something holds; return how long that took. If it never does, show the log."""
    begun = time.monotonic()
    while not holds():
        assert time.monotonic() - begun < seconds, f"Not within {seconds} s.\n{log()}"
        time.sleep(0.05)
    return time.monotonic() - begun


@contextlib.contextmanager
def site(uid: int | None = None, **environment: str) -> Iterator[Site]:
    """Lend a site, and end all that it started, whatever happens."""
    made = Site(uid=os.geteuid() if uid is None else uid, environment=environment)
    try:
        yield made
    finally:
        made.clean()


@contextlib.contextmanager
def demo(uid: int | None = None, **environment: str) -> Iterator[Site]:
    """Lend a running demo; at its end it must have ended all that it started."""
    with site(uid, **environment) as made:
        made.start_demo()
        yield made
        made.stop()
        made.assert_nothing_left()


def _hidden(page: str) -> str:
    found = _XSRF.search(page)
    assert found is not None, page[:2000]
    return found.group(1)


def _known_of(process: Path) -> bytes:
    return b"\n".join(_read(process / name) for name in ("cmdline", "environ", "mountinfo"))


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError:
        return b""


def _line(pid: int) -> str:
    return os.fsdecode(_read(Path(f"/proc/{pid}/cmdline"))).replace("\0", " ")


def _is_below(process: Path) -> bool:
    """Tell whether a process is in a pid namespace below ours."""
    status = _read(process / "status").decode(errors="replace")
    return any(line.startswith("NSpid:") and len(line.split()) > 2 for line in status.splitlines())
