"""A real Hub in a process of its own, without a proxy: its pages and its API are asked directly."""

from __future__ import annotations

import asyncio
import os
import re
import socket
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiohttp
from yarl import URL

from jupyterhub_collab.authenticator.mixin import INVITATION_COOKIE

TOKEN = "made-up-token-of-the-test"
_BASE = """
from jupyterhub.proxy import Proxy

class NoProxy(Proxy):
    should_start = False
    routes = {{}}

    async def add_route(self, routespec, target, data):
        self.routes[routespec] = {{"routespec": routespec, "target": target, "data": data}}

    async def delete_route(self, routespec):
        self.routes.pop(routespec, None)

    async def get_all_routes(self):
        return self.routes

c = get_config()
c.JupyterHub.proxy_class = NoProxy
c.JupyterHub.bind_url = "http://127.0.0.1:{unused}"
c.JupyterHub.hub_bind_url = "http://127.0.0.1:{port}"
c.JupyterHub.db_url = "sqlite:///{folder}/hub.sqlite"
c.JupyterHub.default_url = "/hub/home"
c.JupyterHub.cookie_secret_file = "{folder}/cookie-secret"
c.JupyterHub.services = [{{"name": "looker", "api_token": "{token}"}}]
c.JupyterHub.load_roles = [{{"name": "looker", "scopes": ["read:users", "read:servers"], "services": ["looker"]}}]
"""


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@dataclass
class Answer:
    status: int
    text: str
    url: URL

    @property
    def xsrf(self) -> str:
        found = re.search(r'name="_xsrf" value="([^"]+)"', self.text)
        assert found, self.text
        return found.group(1)


@dataclass
class Browser:
    """One browser at the Hub."""

    hub: str
    session: aiohttp.ClientSession

    async def get(self, path: str) -> Answer:
        async with self.session.get(self.hub + path, headers={"Sec-Fetch-Mode": "navigate"}) as answer:
            return Answer(answer.status, await answer.text(), answer.url)

    async def post(self, path: str, **form: str) -> Answer:
        headers = {"Sec-Fetch-Mode": "navigate"}
        async with self.session.post(self.hub + path, data=form, allow_redirects=False, headers=headers) as answer:
            return Answer(answer.status, await answer.text(), answer.url)

    async def log_in(self, username: str, password: str = "") -> Answer:
        page = await self.get("/hub/login")
        return await self.post("/hub/login", username=username, password=password, _xsrf=page.xsrf)

    def hold_link(self, code: str) -> None:
        """Have opened an invitation link: the join page sets this cookie."""
        self.session.cookie_jar.update_cookies({INVITATION_COOKIE: code}, URL(self.hub + "/hub/"))

    def is_logged_in(self) -> bool:
        return "jupyterhub-hub-login" in self.session.cookie_jar.filter_cookies(URL(self.hub + "/hub/"))


@dataclass
class RunningHub:
    url: str
    log: Path
    process: asyncio.subprocess.Process
    browsers: list[Browser] = field(default_factory=list)

    def browser(self) -> Browser:
        opened = Browser(self.url, aiohttp.ClientSession(cookie_jar=aiohttp.CookieJar(unsafe=True)))
        self.browsers.append(opened)
        return opened

    async def user(self, name: str) -> dict[str, Any] | None:
        """Return what the Hub's API says of a user."""
        url = f"{self.url}/hub/api/users/{name}"
        async with (
            aiohttp.ClientSession(headers={"Authorization": f"token {TOKEN}"}) as session,
            session.get(url) as answer,
        ):
            return dict(await answer.json()) if answer.ok else None

    async def wait(self) -> None:
        async with asyncio.timeout(60):
            while not await self._answers():
                assert self.process.returncode is None, self.log.read_text()
                await asyncio.sleep(0.1)

    async def _answers(self) -> bool:
        try:
            async with aiohttp.ClientSession() as session, session.get(f"{self.url}/hub/health") as answer:
                return answer.ok
        except aiohttp.ClientError:
            return False

    async def close(self) -> None:
        for browser in self.browsers:
            await browser.session.close()
        if self.process.returncode is None:
            self.process.terminate()
        await asyncio.wait_for(self.process.wait(), 30)


@asynccontextmanager
async def running_hub(folder: Path, config: str, **environment: str) -> AsyncIterator[RunningHub]:
    """Run a Hub whose core database is ``collab.sqlite`` in the folder."""
    port, log = free_port(), folder / "hub.log"
    base = _BASE.format(folder=folder, port=port, unused=free_port(), token=TOKEN)
    (folder / "jupyterhub_config.py").write_text(base + config.replace("{port}", str(port)))
    variables = {
        "PATH": os.environ["PATH"],
        "HOME": str(folder),
        "JUPYTERHUB_COLLAB__DATABASE__URL": f"sqlite+aiosqlite:///{folder}/collab.sqlite",
        **environment,
    }
    command = [sys.executable, "-m", "jupyterhub", "-f", "jupyterhub_config.py", "--debug"]
    with log.open("wb") as file:
        process = await asyncio.create_subprocess_exec(
            *command, cwd=folder, env=variables, stdout=file, stderr=subprocess.STDOUT
        )
    hub = RunningHub(f"http://127.0.0.1:{port}", log, process)
    try:
        await hub.wait()
        yield hub
    finally:
        await hub.close()
