"""My server for a project, and the end of a member's."""

from __future__ import annotations

from http import HTTPStatus

from pydantic import BaseModel

from jupyterhub_collab.access.models import Permission
from jupyterhub_collab.servers.models import MountChange
from jupyterhub_collab_services.base.routes import Call
from jupyterhub_collab_services.projects.servers import HubServers, RunningServer

from .table import Body, api, me_of, token_of


class Server(RunningServer):
    """My server for a project."""

    restart_to_apply: bool = False
    changes: tuple[MountChange, ...] = ()
    refusal: str | None = None
    """Why a start would be refused now."""


class StopBody(Body):
    """Whose project server shall end; everyone's without a user."""

    user: str | None = None


class Stopped(BaseModel):
    """How many servers are being stopped."""

    servers: int


def _servers(call: Call) -> HubServers:
    servers: HubServers = call.handler.settings["hub_servers"]
    return servers


@api("GET", "/projects/{slug}/server", needs=Permission.RUN_SERVER, returns=Server)
async def my_server(call: Call, slug: str) -> Server:
    """Return the state of my server for a project."""
    return await _my_server(call, slug)


async def _my_server(call: Call, slug: str) -> Server:
    view = await call.factory.servers.view(call.who, slug)
    running = await _servers(call).one(token_of(call), me_of(call), slug)
    return Server(
        **running.model_dump(),
        restart_to_apply=view.restart_to_apply,
        changes=view.changes,
        refusal=view.refusal,
    )


@api(
    "POST",
    "/projects/{slug}/server",
    needs=Permission.RUN_SERVER,
    returns=Server,
    status=HTTPStatus.ACCEPTED,
    audited=False,
)
async def start_my_server(call: Call, slug: str) -> Server:
    """Start my server for a project, with my own token."""
    await call.factory.servers.view(call.who, slug)
    await _servers(call).start(token_of(call), me_of(call), slug)
    return await _my_server(call, slug)


@api(
    "DELETE",
    "/projects/{slug}/server",
    needs=Permission.RUN_SERVER,
    returns=Server,
    status=HTTPStatus.ACCEPTED,
    audited=False,
)
async def stop_my_server(call: Call, slug: str) -> Server:
    """Stop my server for a project, with my own token."""
    await call.factory.servers.view(call.who, slug)
    await _servers(call).stop(token_of(call), me_of(call), slug)
    return await _my_server(call, slug)


@api(
    "POST",
    "/projects/{slug}/servers/stop",
    needs=Permission.STOP_SERVERS,
    body=StopBody,
    returns=Stopped,
    status=HTTPStatus.ACCEPTED,
)
async def stop_member_servers(call: Call, slug: str) -> Stopped:
    """End the project server of a member, or of all."""
    return Stopped(servers=await call.factory.servers.stop_members(call.who, slug, call.body.user))
