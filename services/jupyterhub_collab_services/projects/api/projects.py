"""Projects: find, make, change, archive, delete."""

from __future__ import annotations

from datetime import datetime
from http import HTTPStatus

from pydantic import BaseModel

from jupyterhub_collab.access.models import Permission, SiteRight
from jupyterhub_collab.audit.models import Event
from jupyterhub_collab.errors import PreconditionRequiredError
from jupyterhub_collab.projects.models import Project, ProjectSummary
from jupyterhub_collab.projects.service import DirectorySearch, NewProject, ProjectChanges
from jupyterhub_collab_services.base.routes import Answer, Call

from .table import ANYONE, PERSON, Body, EventCursor, Items, address, api, items_of, project_answer


class MineQuery(Body):
    """Which of my projects."""

    archived: bool = False


class Pin(Body):
    """Whether my workspace server mounts the project."""

    pinned: bool


class Deleted(BaseModel):
    """A deleted project can be restored until then."""

    restorable_until: datetime


@api("GET", "/projects", needs=ANYONE, query=DirectorySearch, returns=items_of(ProjectSummary))
async def find_projects(call: Call) -> Items[ProjectSummary]:
    """Find active projects that I may know of."""
    page = await call.factory.projects.directory(call.who, call.query)
    query = call.query.model_dump(mode="json", exclude_defaults=True) | {"cursor": page.next}
    return Items(items=page.items, next=address(call, "/projects", **query) if page.next else None)


@api("GET", "/me/projects", needs=PERSON, query=MineQuery, returns=items_of(ProjectSummary))
async def my_projects(call: Call) -> Items[ProjectSummary]:
    """Return my projects, last active first."""
    return Items(items=await call.factory.projects.mine(call.who, archived=call.query.archived))


@api(
    "POST",
    "/projects",
    needs=SiteRight.CREATE_PROJECTS,
    body=NewProject,
    returns=Project,
    status=HTTPStatus.CREATED,
)
async def create_project(call: Call) -> Answer:
    """Make a project; I become its first lead."""
    project = await call.factory.projects.create(call.who, call.body)
    return project_answer(project, HTTPStatus.CREATED, Location=address(call, f"/projects/{project.slug}"))


@api("GET", "/projects/{slug}", needs=Permission.FIND, returns=Project)
async def get_project(call: Call, slug: str) -> Answer:
    """Return a project, with its version as ETag."""
    return project_answer((await call.factory.projects.get(call.who, slug)).project)


@api("PATCH", "/projects/{slug}", needs=Permission.CHANGE_SETTINGS, body=ProjectChanges, returns=Project)
async def change_project(call: Call, slug: str) -> Answer:
    """Change a project; If-Match names the version that I saw. The README alone needs readme:change."""
    if call.if_match is None:
        await call.factory.projects.get(call.who, slug)
        raise PreconditionRequiredError
    etag = None if call.if_match == "*" else call.if_match
    return project_answer(await call.factory.projects.change(call.who, slug, call.body, etag=etag))


@api("DELETE", "/projects/{slug}", needs=Permission.DELETE, returns=Deleted)
async def delete_project(call: Call, slug: str) -> Deleted:
    """Delete a project; it can be restored for some days."""
    return Deleted(restorable_until=await call.factory.projects.delete(call.who, slug))


@api("POST", "/projects/{slug}/archive", needs=Permission.ARCHIVE, returns=Project)
async def archive_project(call: Call, slug: str) -> Answer:
    """Archive a project."""
    return project_answer(await call.factory.projects.archive(call.who, slug))


@api("POST", "/projects/{slug}/restore", needs=Permission.RESTORE, returns=Project)
async def restore_project(call: Call, slug: str) -> Answer:
    """Bring an archived or deleted project back."""
    return project_answer(await call.factory.projects.restore(call.who, slug))


@api("PUT", "/projects/{slug}/pin", needs=Permission.READ_FILES, body=Pin, status=HTTPStatus.NO_CONTENT)
async def pin_project(call: Call, slug: str) -> None:
    """Pin a project into my workspace server, or take it out."""
    await call.factory.projects.set_pin(call.who, slug, pinned=call.body.pinned)


@api("GET", "/projects/{slug}/activity", needs=Permission.READ_ACTIVITY, query=EventCursor, returns=items_of(Event))
async def project_activity(call: Call, slug: str) -> Items[Event]:
    """Return what happened in a project, newest first."""
    page = await call.factory.audit.of_project(call.who, slug, before=call.query.cursor)
    following = address(call, f"/projects/{slug}/activity", cursor=page.next) if page.next else None
    return Items(items=page.items, next=following)
