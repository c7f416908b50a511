"""Members and group grants."""

from __future__ import annotations

from http import HTTPStatus

from pydantic import BaseModel

from jupyterhub_collab.access.models import Permission
from jupyterhub_collab.projects.models import GroupGrant, Member
from jupyterhub_collab_services.base.routes import Answer, Call

from .invitations import ApiInvitation
from .table import Cursor, Items, RoleBody, address, api, items_of


class Membership(BaseModel):
    """What became of giving someone a role: a member, or an invitation that they have to accept."""

    member: Member | None = None
    invitation: ApiInvitation | None = None


@api("GET", "/projects/{slug}/members", needs=Permission.READ_MEMBERS, query=Cursor, returns=items_of(Member))
async def project_members(call: Call, slug: str) -> Items[Member]:
    """Return the members of a project by name."""
    page = await call.factory.members.page(call.who, slug, after=call.query.cursor)
    following = address(call, f"/projects/{slug}/members", cursor=page.next) if page.next else None
    return Items(items=page.items, next=following)


@api("PUT", "/projects/{slug}/members/{user}", needs=Permission.MANAGE_MEMBERS, body=RoleBody, returns=Membership)
async def put_member(call: Call, slug: str, user: str) -> Answer:
    """Give someone a role: a member's changes at once, anyone else is invited."""
    result = await call.factory.members.put(call.who, slug, user, call.body.role)
    if isinstance(result, Member):
        return Answer(body=Membership(member=result))
    return Answer(body=Membership(invitation=ApiInvitation(**result.model_dump())))


@api(
    "DELETE",
    "/projects/{slug}/members/{user}",
    needs=Permission.MANAGE_MEMBERS,
    status=HTTPStatus.NO_CONTENT,
)
async def remove_member(call: Call, slug: str, user: str) -> None:
    """Remove a member or withdraw their invitation. I may always remove myself."""
    await call.factory.members.remove(call.who, slug, user)


@api("GET", "/projects/{slug}/groups", needs=Permission.READ_MEMBERS, returns=items_of(GroupGrant))
async def project_groups(call: Call, slug: str) -> Items[GroupGrant]:
    """Return the identity groups that have a role in a project."""
    return Items(items=await call.factory.members.groups(call.who, slug))


@api("PUT", "/projects/{slug}/groups/{group}", needs=Permission.MANAGE_MEMBERS, body=RoleBody, returns=GroupGrant)
async def put_group(call: Call, slug: str, group: str) -> GroupGrant:
    """Give an identity group a role."""
    return await call.factory.members.put_group(call.who, slug, group, call.body.role)


@api(
    "DELETE",
    "/projects/{slug}/groups/{group}",
    needs=Permission.MANAGE_MEMBERS,
    status=HTTPStatus.NO_CONTENT,
)
async def remove_group(call: Call, slug: str, group: str) -> None:
    """Take an identity group's role away."""
    await call.factory.members.remove_group(call.who, slug, group)
