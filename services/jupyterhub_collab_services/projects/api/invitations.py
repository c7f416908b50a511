"""Invitations, by name and by link."""

from __future__ import annotations

from http import HTTPStatus
from urllib.parse import quote

from jupyterhub_collab.access.models import Permission
from jupyterhub_collab.projects.invitation_service import NewLink
from jupyterhub_collab.projects.models import Invitation, NewInvitation, Project
from jupyterhub_collab_services.base.routes import Answer, Call

from .table import PERSON, Items, api, items_of, project_answer


class ApiInvitation(Invitation):
    """An invitation; the url of a link is there only in the answer that makes it."""

    url: str | None = None


@api("GET", "/projects/{slug}/invitations", needs=Permission.MANAGE_MEMBERS, returns=items_of(ApiInvitation))
async def project_invitations(call: Call, slug: str) -> Items[ApiInvitation]:
    """Return the open invitations of a project."""
    found = await call.factory.invitations.of_project(call.who, slug)
    return Items(items=[ApiInvitation(**invitation.model_dump()) for invitation in found])


def join_url(call: Call, invitation: NewInvitation) -> str:
    """Return the address that the holder of a link opens."""
    return f"{call.handler.origin}{call.handler.settings['prefix']}join/{quote(invitation.code or '')}"


@api(
    "POST",
    "/projects/{slug}/invitations",
    needs=Permission.MANAGE_MEMBERS,
    body=NewLink,
    returns=ApiInvitation,
    status=HTTPStatus.CREATED,
)
async def create_invitation(call: Call, slug: str) -> ApiInvitation:
    """Make an invitation link; its url is shown this once."""
    made = await call.factory.invitations.make_link(call.who, slug, call.body)
    return ApiInvitation(**made.model_dump(exclude={"code"}), url=join_url(call, made))


@api(
    "DELETE",
    "/projects/{slug}/invitations/{id:int}",
    needs=Permission.MANAGE_MEMBERS,
    status=HTTPStatus.NO_CONTENT,
)
async def revoke_invitation(call: Call, slug: str, id: int) -> None:  # noqa: A002 - the word of the path
    """Revoke an invitation."""
    await call.factory.invitations.revoke(call.who, slug, id)


@api("GET", "/me/invitations", needs=PERSON, returns=items_of(ApiInvitation))
async def my_invitations(call: Call) -> Items[ApiInvitation]:
    """Return the open invitations that name me."""
    found = await call.factory.invitations.mine(call.who)
    return Items(items=[ApiInvitation(**invitation.model_dump()) for invitation in found])


def _invitation_key(text: str) -> int | str:
    """Return the id of an invitation that names me, or the code of a link: a code has hyphens or letters."""
    return int(text) if text.isascii() and text.isdigit() and len(text) < 16 else text  # noqa: PLR2004 - letters of a code


@api("POST", "/invitations/{id}/accept", needs="the invitation", returns=Project)
async def accept_invitation(call: Call, id: str) -> Answer:  # noqa: A002
    """Accept an invitation that names me, by its id, or one by a link, by its code."""
    return project_answer(await call.factory.invitations.accept(call.who, _invitation_key(id)))


@api("POST", "/invitations/{id:int}/decline", needs="the invitation", status=HTTPStatus.NO_CONTENT)
async def decline_invitation(call: Call, id: int) -> None:  # noqa: A002
    """Decline an invitation that names me."""
    await call.factory.invitations.decline(call.who, id)
