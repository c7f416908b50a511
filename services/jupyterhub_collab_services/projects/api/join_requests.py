"""Join requests."""

from __future__ import annotations

from http import HTTPStatus

from jupyterhub_collab.access.models import Permission, Role
from jupyterhub_collab.projects.models import JoinRequest
from jupyterhub_collab_services.base.routes import Call

from .table import Body, Items, api, items_of


class Approval(Body):
    """The role in which someone who asked is let in."""

    role: Role = Role.VIEWER


class JoinMessage(Body):
    """A word to those who decide."""

    message: str = ""


@api("GET", "/projects/{slug}/join-requests", needs=Permission.MANAGE_MEMBERS, returns=items_of(JoinRequest))
async def project_join_requests(call: Call, slug: str) -> Items[JoinRequest]:
    """Return the open join requests of a project."""
    return Items(items=await call.factory.join_requests.of_project(call.who, slug))


@api(
    "POST",
    "/projects/{slug}/join-requests",
    needs=Permission.ASK_TO_JOIN,
    body=JoinMessage,
    returns=JoinRequest,
    status=HTTPStatus.CREATED,
)
async def ask_to_join(call: Call, slug: str) -> JoinRequest:
    """Ask to join a project."""
    return await call.factory.join_requests.ask(call.who, slug, call.body.message)


@api(
    "POST",
    "/projects/{slug}/join-requests/{id:int}/approve",
    needs=Permission.MANAGE_MEMBERS,
    body=Approval,
    status=HTTPStatus.NO_CONTENT,
)
async def approve_join_request(call: Call, slug: str, id: int) -> None:  # noqa: A002
    """Let someone in who asked."""
    await call.factory.join_requests.approve(call.who, slug, id, call.body.role)


@api(
    "POST",
    "/projects/{slug}/join-requests/{id:int}/decline",
    needs=Permission.MANAGE_MEMBERS,
    status=HTTPStatus.NO_CONTENT,
)
async def decline_join_request(call: Call, slug: str, id: int) -> None:  # noqa: A002
    """Decline a join request, or withdraw mine."""
    await call.factory.join_requests.decline(call.who, slug, id)
