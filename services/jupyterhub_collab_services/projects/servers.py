"""Start, stop and state of a person's servers, through the person's own token.

This service has no right over anybody's servers. The Hub decides whether the token may do it.
"""

from __future__ import annotations

from datetime import datetime
from http import HTTPStatus
from typing import Any
from urllib.parse import quote

import aiohttp
from jupyterhub.httpclient import fetch
from pydantic import BaseModel, ConfigDict

from jupyterhub_collab_services.base.errors import HubAwayError, HubRefusedError, TokenScopeError

_TIMEOUT = aiohttp.ClientTimeout(total=30)


class RunningServer(BaseModel):
    """The Hub's word on one server of a person."""

    model_config = ConfigDict(frozen=True)

    server_name: str
    state: str = "stopped"
    """``stopped``, ``starting``, ``running`` or ``stopping``."""
    url: str | None = None
    progress_url: str | None = None
    started: datetime | None = None
    last_activity: datetime | None = None


def _state(model: dict[str, Any]) -> str:
    pending = model.get("pending")
    if pending == "stop":
        return "stopping"
    if pending == "spawn" or (not model.get("ready") and not model.get("stopped", False)):
        return "starting"
    return "running" if model.get("ready") else "stopped"


def _server(name: str, model: dict[str, Any]) -> RunningServer:
    return RunningServer(
        server_name=name,
        state=_state(model),
        url=model.get("url"),
        progress_url=model.get("progress_url"),
        started=model.get("started"),
        last_activity=model.get("last_activity"),
    )


class HubServers:
    """A person's servers, seen and driven with that person's token."""

    def __init__(self, api_url: str) -> None:
        self._api_url = api_url.rstrip("/")

    async def all(self, token: str, person: str) -> dict[str, RunningServer]:
        """Return the person's servers that run, start or stop, by name.

        Raises
        ------
        TokenScopeError, HubAwayError
        """
        answer = await self._ask("GET", f"/users/{quote(person, safe='')}", token, scope="read:servers!user")
        servers = (answer or {}).get("servers")
        if servers is None:
            raise TokenScopeError("read:servers!user")
        return {name: _server(name, model) for name, model in servers.items()}

    async def one(self, token: str, person: str, server_name: str) -> RunningServer:
        """Return one server of the person; raises as `all`."""
        return (await self.all(token, person)).get(server_name) or RunningServer(server_name=server_name)

    async def start(self, token: str, person: str, server_name: str, options: dict[str, Any] | None = None) -> None:
        """Ask the Hub to start a server; one that runs already stays as it is.

        Raises
        ------
        TokenScopeError, HubAwayError, HubRefusedError
            The last one with the spawner's sentence.
        """
        body = {"user_options": options or {}}
        await self._ask("POST", _path(person, server_name), token, scope="start:servers!user", json=body)

    async def stop(self, token: str, person: str, server_name: str) -> None:
        """Ask the Hub to stop a server; one that does not run stays as it is. Raises as `start`."""
        await self._ask("DELETE", _path(person, server_name), token, scope="delete:servers!user")

    async def _ask(self, method: str, path: str, token: str, *, scope: str, **kwargs: Any) -> dict[str, Any] | None:
        headers = {"Authorization": f"token {token}"}
        try:
            response = await fetch(
                self._api_url + path, method=method, raise_for_status=False, headers=headers, timeout=_TIMEOUT, **kwargs
            )
            content = await response.json(content_type=None) if response.status != HTTPStatus.NO_CONTENT else None
        except (TimeoutError, aiohttp.ClientError, ValueError) as error:
            raise HubAwayError from error
        return _read(method, response.status, content, scope)


def _path(person: str, server_name: str) -> str:
    user = f"/users/{quote(person, safe='')}"
    return f"{user}/servers/{quote(server_name, safe='')}" if server_name else f"{user}/server"


def _read(method: str, status: int, content: Any, scope: str) -> dict[str, Any] | None:
    message = str(content.get("message", "")) if isinstance(content, dict) else ""
    if status < HTTPStatus.BAD_REQUEST:
        return content if isinstance(content, dict) else None
    if status in (HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN) and "scope" in message.lower():
        raise TokenScopeError(scope)
    if method == "POST" and "already running" in message:
        return None
    if method == "DELETE" and status in (HTTPStatus.NOT_FOUND, HTTPStatus.BAD_REQUEST):
        return None  # it does not run
    if status >= HTTPStatus.INTERNAL_SERVER_ERROR and not message:
        raise HubAwayError
    raise HubRefusedError(message or f"The Hub answered {status}. Look at the server's page on the Hub.")
