"""What only operators see."""

from __future__ import annotations

from http import HTTPStatus

from pydantic import Field

from jupyterhub_collab.access.models import SiteRight
from jupyterhub_collab.audit.models import Event
from jupyterhub_collab.people.models import GroupPause, Person
from jupyterhub_collab.projects.models import Project
from jupyterhub_collab_services.base.routes import Call

from .table import Cursor, EventCursor, Items, address, api, items_of


class AllQuery(Cursor):
    """Which of all projects or persons."""

    deleted: bool = False
    q: str = Field(default="", max_length=100)


class AuditQuery(EventCursor):
    """What to look for among all events; every field given must match."""

    project: str | None = None
    actor: str | None = None
    action: str | None = None
    target: str | None = None


@api("GET", "/operator/projects", needs=SiteRight.OPERATOR, query=AllQuery, returns=items_of(Project))
async def all_projects(call: Call) -> Items[Project]:
    """Return all projects, or all deleted ones that can be restored."""
    query = call.query
    page = await call.factory.projects.all(call.who, deleted=query.deleted, after=query.cursor, search=query.q)
    rest = {"cursor": page.next, "deleted": query.deleted, "q": query.q}
    return Items(items=page.items, next=address(call, "/operator/projects", **rest) if page.next else None)


@api("GET", "/operator/people", needs=SiteRight.OPERATOR, query=AllQuery, returns=items_of(Person))
async def all_people(call: Call) -> Items[Person]:
    """Return all persons with their identity groups."""
    people, following = await call.factory.people.page(call.who, after=call.query.cursor, search=call.query.q)
    rest = {"cursor": following, "q": call.query.q}
    return Items(items=people, next=address(call, "/operator/people", **rest) if following else None)


@api("DELETE", "/people/{user}", needs=SiteRight.OPERATOR, status=HTTPStatus.NO_CONTENT)
async def remove_person(call: Call, user: str) -> None:
    """Remove a person from all projects and groups, close their invitations, and stop their servers."""
    await call.factory.departures.remove(call.who, user)


@api("GET", "/operator/audit", needs=SiteRight.OPERATOR, query=AuditQuery, returns=items_of(Event))
async def search_audit(call: Call) -> Items[Event]:
    """Search all audit events."""
    search = call.query.model_dump(exclude={"cursor"}, exclude_none=True)
    page = await call.factory.audit.search(call.who, before=call.query.cursor, **search)
    following = address(call, "/operator/audit", cursor=page.next, **search) if page.next else None
    return Items(items=page.items, next=following)


@api("GET", "/operator/groups", needs=SiteRight.OPERATOR, returns=items_of(GroupPause))
async def paused_groups(call: Call) -> Items[GroupPause]:
    """Return the identity groups whose losses are paused."""
    return Items(items=await call.factory.people.pauses(call.who))


@api("POST", "/operator/groups/{group}/resume", needs=SiteRight.OPERATOR, status=HTTPStatus.NO_CONTENT)
async def resume_group(call: Call, group: str) -> None:
    """Let the losses of a paused group apply."""
    await call.factory.people.resume_group(call.who, group)
