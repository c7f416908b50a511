"""A client of the JSON API that is everyone of the permission table."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import quote

import aiohttp
from yarl import URL

from jupyterhub_collab.factory import Factory
from jupyterhub_collab_services.projects.api import PREFIX as API_PREFIX

from .hub import FakeHub, Site, running_site, token_of

PROBLEM: Final = "application/problem+json"
PROBLEM_MEMBERS: Final = {"type", "title", "status", "detail", "code", "instance", "request_id"}


@dataclass(frozen=True)
class Reply:
    """An answer, read to its end."""

    status: int
    headers: Any
    content: bytes

    @property
    def json(self) -> Any:
        """The body as data."""
        return json.loads(self.content)

    def problem(self, status: int, code: str, field: str | None = None) -> dict[str, Any]:
        """Check that this is a problem document with a status, a code and perhaps a field; return it."""
        assert self.status == status, (self.status, self.content[:500])
        assert self.headers["Content-Type"] == PROBLEM
        problem: dict[str, Any] = self.json
        assert problem.keys() >= PROBLEM_MEMBERS
        assert (problem["status"], problem["code"]) == (status, code), problem
        assert problem["type"].endswith(f":{code}")
        assert problem["detail"].endswith((".", "!", "?"))
        assert problem.get("field") == field, problem
        return problem


@dataclass
class Client:
    """Asks the API as anyone."""

    site: Site
    session: aiohttp.ClientSession

    @property
    def hub(self) -> FakeHub:
        """The Hub behind the service."""
        return self.site.hub

    async def __call__(
        self,
        who: str | None,
        method: str,
        path: str,
        body: object = None,
        *,
        headers: dict[str, str] | None = None,
        raw: bytes | None = None,
    ) -> Reply:
        """Send a request below the API's prefix, with the token of a person."""
        sent = dict(headers or {})
        if who is not None:
            sent["Authorization"] = f"Bearer {token_of(who)}"
        data = raw if raw is not None or body is None else json.dumps(body).encode()
        return await self.send(method, f"{self.site.url}{API_PREFIX}{path}", headers=sent, data=data)

    async def send(self, method: str, url: str, **rest: Any) -> Reply:
        """Send any request."""
        async with self.session.request(method, URL(url, encoded=True), **rest) as answer:
            return Reply(answer.status, answer.headers, await answer.read())


@asynccontextmanager
async def running_client(factory: Factory, **settings: Any) -> AsyncIterator[Client]:
    """Run the service with a fake Hub, and a client of it."""
    async with running_site(factory, **settings) as site, aiohttp.ClientSession() as session:
        yield Client(site, session)


def path_of(template: str, **parameters: object) -> str:
    """Return the path of a route, such as ``/projects/{slug}/invitations/{id:int}``, with its parameters filled in."""
    for name, value in parameters.items():
        for form in (f"{{{name}}}", f"{{{name}:int}}"):
            template = template.replace(form, quote(str(value), safe=""))
    return template
