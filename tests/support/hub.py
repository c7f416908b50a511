"""A stateful fake of the Hub as services see it: who a token is, a person's servers, the login by OAuth.

It answers on one origin with the service that is tested, as the proxy makes it in the real thing. Knobs make it slow,
make a start fail, or take it away. With a core it asks that for the plan of each start, as our spawners do.
"""

from __future__ import annotations

import asyncio
import json
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import unquote

from jupyterhub._data import DATA_FILES_PATH
from jupyterhub.services.auth import HubOAuth
from tornado.httputil import url_concat
from tornado.netutil import bind_sockets
from tornado.web import Application, RequestHandler, StaticFileHandler

from jupyterhub_collab.errors import PlanRefusedError
from jupyterhub_collab_services.base.body_limit import DRAINED, LimitedServer
from jupyterhub_collab_services.projects.application import make_application

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from jupyterhub_collab.factory import Factory

STATIC: Final = Path(DATA_FILES_PATH) / "static"
PREFIX: Final = "/services/projects/"
SCOPES: Final = ["access:services!service=projects", "read:servers!user", "start:servers!user", "delete:servers!user"]


@dataclass
class FakeServer:
    """One server of a person."""

    started: datetime
    ready: bool = False
    pending: str | None = None


@dataclass
class FakeHub:
    """What the fake knows, and its knobs."""

    core: Factory | None = None
    start_seconds: float = 0.0
    answer_seconds: float = 0.2
    """How long the answer to a start waits for its end; a real Hub waits 10 seconds."""
    stop_seconds: float = 0.0
    refuses_start: str = ""
    """The sentence with which the next starts are refused; empty: they are not."""
    away: bool = False
    admins: frozenset[str] = frozenset()
    more_scopes: dict[str, list[str]] = field(default_factory=dict)
    """Scopes that someone's token has besides."""
    services: frozenset[str] = frozenset()
    """Names of services, not of persons."""
    browser_user: str = ""
    """Who has logged in with the browser; empty: nobody, and the login page asks."""
    servers: dict[tuple[str, str], FakeServer] = field(default_factory=dict)
    seen: list[str] = field(default_factory=list)
    """Method and path of each request to the API."""
    request_ids: list[str | None] = field(default_factory=list)
    """The header X-Request-ID of each of them."""
    _tasks: set[asyncio.Task[None]] = field(default_factory=set)

    def user(self, name: str) -> dict[str, Any]:
        """Return the Hub's model of a person."""
        mine = {server: found for (owner, server), found in self.servers.items() if owner == name}
        return {
            "name": name,
            "kind": "service" if name in self.services else "user",
            "admin": name in self.admins,
            "groups": [],
            "roles": ["user"],
            "scopes": [scope.replace("!user", f"!user={name}") for scope in SCOPES] + self.more_scopes.get(name, []),
            "session_id": None,
            "servers": {server: self._model(name, server, found) for server, found in mine.items()},
        }

    def _model(self, owner: str, name: str, server: FakeServer) -> dict[str, Any]:
        path = f"{owner}/{name}/" if name else f"{owner}/"
        return {
            "name": name,
            "ready": server.ready,
            "pending": server.pending,
            "stopped": False,
            "url": f"/user/{path}",
            "progress_url": f"/hub/api/users/{owner}/servers/{name}/progress",
            "started": server.started.isoformat(),
            "last_activity": server.started.isoformat(),
        }

    async def start(self, owner: str, name: str) -> None:
        """Start a server as far as anybody can see."""
        if self.core is not None:
            running = frozenset(server for person, server in self.servers if person == owner)
            await self.core.servers.grant(owner, name, running=running)
        self.servers[owner, name] = server = FakeServer(started=datetime.now(UTC), pending="spawn")
        if self.start_seconds:
            await asyncio.sleep(self.start_seconds)
        server.ready, server.pending = True, None

    async def stop(self, owner: str, name: str) -> None:
        """Stop a server, slowly where the knob says so."""
        self.servers[owner, name].pending = "stop"
        if self.stop_seconds:
            await asyncio.sleep(self.stop_seconds)
        self.servers.pop((owner, name), None)
        if self.core is not None:
            await self.core.servers.ended(owner, name)

    def later(self, work: Any) -> None:
        """Go on with something after the answer."""
        task = asyncio.ensure_future(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)


def token_of(name: str) -> str:
    """Return the token of a person; the real one is as opaque as this one is not."""
    return f"token{name.encode().hex()}"


def _name_of(token: str) -> str:
    return bytes.fromhex(token.removeprefix("token")).decode()


class _Handler(RequestHandler):
    hub: FakeHub

    def initialize(self, hub: FakeHub) -> None:
        self.hub = hub

    def check_xsrf_cookie(self) -> None:
        """Nothing to check: a fake."""

    def problem(self, status: int, message: str) -> None:
        self.set_status(status)
        self.finish({"status": status, "message": message})


class _Api(_Handler):
    name: str = ""

    def prepare(self) -> None:
        self.hub.seen.append(f"{self.request.method} {self.request.path}")
        self.hub.request_ids.append(self.request.headers.get("X-Request-ID"))
        if self.hub.away:
            self.set_status(503)
            self.finish("away")
            return
        token = self.request.headers.get("Authorization", "").partition(" ")[2]
        try:
            self.name = _name_of(token)
        except ValueError:
            self.problem(403, "Missing or invalid credentials.")


class _WhoAmI(_Api):
    def get(self) -> None:
        self.finish(self.hub.user(self.name))


class _User(_Api):
    def get(self, name: str) -> None:
        if name != self.name:
            self.problem(404, "Not found")
            return
        self.finish(self.hub.user(name))


class _Server(_Api):
    async def post(self, owner: str, name: str = "") -> None:
        """Start."""
        if (owner, name) in self.hub.servers:
            self.problem(400, f"{owner}:{name} is already running")
            return
        if self.hub.refuses_start:
            self.problem(409, self.hub.refuses_start)
            return
        try:
            if self.hub.start_seconds:
                task = asyncio.ensure_future(self.hub.start(owner, name))
                await asyncio.wait({task}, timeout=self.hub.answer_seconds)
                if task.done():
                    task.result()
                self.set_status(202)
            else:
                await self.hub.start(owner, name)
                self.set_status(201)
        except PlanRefusedError as error:
            self.problem(error.status, f"{error.title}. {error.detail}")

    async def delete(self, owner: str, name: str = "") -> None:
        """Stop."""
        if (owner, name) not in self.hub.servers:
            self.problem(404, f"{owner} has no server named {name!r}")
            return
        if self.hub.stop_seconds:
            self.hub.later(self.hub.stop(owner, name))
            self.set_status(202)
        else:
            await self.hub.stop(owner, name)
            self.set_status(204)


class _Authorize(_Handler):
    def get(self) -> None:
        if not self.hub.browser_user:
            self.finish("<title>Sign in</title><h1>Sign in</h1>")
            return
        code = {"code": token_of(self.hub.browser_user), "state": self.get_argument("state")}
        self.redirect(url_concat(self.get_argument("redirect_uri"), code))


class _Token(_Handler):
    def post(self) -> None:
        self.finish(json.dumps({"access_token": self.get_argument("code"), "token_type": "Bearer"}))


class _Lab(_Handler):
    def get(self, path: str) -> None:
        self.finish(f"<title>JupyterLab</title><h1>JupyterLab of {unquote(path).split('/')[0]}</h1>")


class _Logo(_Handler):
    def get(self) -> None:
        self.set_header("Content-Type", "image/png")
        self.finish((STATIC / "images" / "jupyterhub-80.png").read_bytes())


def routes(hub: FakeHub) -> list[Any]:
    """Return the routes of the fake."""
    with_hub = {"hub": hub}
    return [
        (r"/hub/api/user", _WhoAmI, with_hub),
        (r"/hub/api/users/([^/]+)", _User, with_hub),
        (r"/hub/api/users/([^/]+)/servers/([^/]*)", _Server, with_hub),
        (r"/hub/api/users/([^/]+)/server", _Server, with_hub),
        (r"/hub/api/oauth2/authorize", _Authorize, with_hub),
        (r"/hub/api/oauth2/token", _Token, with_hub),
        (r"/hub/logo", _Logo, with_hub),
        (r"/hub/static/(.*)", StaticFileHandler, {"path": str(STATIC)}),
        (r"/user/(.*)", _Lab, with_hub),
    ]


@dataclass(frozen=True)
class Site:
    """The service and its fake Hub on one origin."""

    origin: str
    hub: FakeHub
    application: Application

    @property
    def url(self) -> str:
        """Where the pages begin."""
        return self.origin + PREFIX


@asynccontextmanager
async def running_site(factory: Factory, *, fills_plans: bool = True, **settings: Any) -> AsyncIterator[Site]:
    """Run the projects service with a fake Hub on a free port of loopback."""
    (socket,) = bind_sockets(0, "127.0.0.1")
    origin = f"http://127.0.0.1:{socket.getsockname()[1]}"
    HubOAuth.clear_instance()
    hub_auth = HubOAuth.instance(
        api_url=f"{origin}/hub/api",
        api_token="s" * 32,
        base_url=PREFIX,
        hub_prefix="/hub/",
        oauth_client_id="service-projects",
        oauth_redirect_uri=f"{PREFIX}oauth_callback",
        access_scopes={"access:services!service=projects"},
        cache_max_age=1,
    )
    hub = FakeHub(core=factory if fills_plans else None)
    application = make_application(factory, hub_auth, **settings)
    application.add_handlers(r".*", routes(hub))
    server = LimitedServer(application, max_body_size=DRAINED, xheaders=True)
    server.add_sockets([socket])
    try:
        yield Site(origin=origin, hub=hub, application=application)
    finally:
        server.stop()
        await server.close_all_connections()
        HubOAuth.clear_instance()
