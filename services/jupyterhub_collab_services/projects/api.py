"""The JSON API: everything that a page does. Parse, call one service, shape the answer."""

from __future__ import annotations

from datetime import datetime
from http import HTTPStatus
from typing import Any, Generic, TypeVar
from urllib.parse import quote, urlencode

from pydantic import BaseModel, ConfigDict, Field, create_model

from jupyterhub_collab.access.models import Permission, Role, SiteRight
from jupyterhub_collab.audit.models import Event
from jupyterhub_collab.errors import LoginRequiredError, PreconditionRequiredError
from jupyterhub_collab.people.models import FoundGroup, FoundPerson, GroupPause, Person
from jupyterhub_collab.projects.invitation_service import NewLink
from jupyterhub_collab.projects.models import (
    GroupGrant,
    Invitation,
    JoinRequest,
    Member,
    NewInvitation,
    Project,
    ProjectSummary,
)
from jupyterhub_collab.projects.service import DirectorySearch, NewProject, ProjectChanges
from jupyterhub_collab.servers.models import MountChange
from jupyterhub_collab.volumes.models import DataAttachment, Mode
from jupyterhub_collab_services.base.rate import PerMinute
from jupyterhub_collab_services.base.routes import Answer, Call, Routes

from .servers import HubServers, RunningServer

PREFIX = "api/v1"
PERSON = "an account"
ANYONE = "nothing"

api = Routes()
T = TypeVar("T")


class Items(BaseModel, Generic[T]):
    """Some items of a list, and the address of the next ones."""

    items: list[T]
    next: str | None = None


class _Body(BaseModel):
    model_config = ConfigDict(extra="forbid")


class Cursor(_Body):
    """Where a page of a list begins."""

    cursor: str = Field(default="", max_length=500)


class EventCursor(_Body):
    """Where a page of events begins."""

    cursor: int | None = Field(default=None, ge=1, lt=2**63)


class RoleBody(_Body):
    """A role to give."""

    role: Role


class Approval(_Body):
    """The role in which someone who asked is let in."""

    role: Role = Role.VIEWER


class JoinMessage(_Body):
    """A word to those who decide."""

    message: str = ""


class Attach(_Body):
    """How to attach a data volume."""

    mode: Mode = Mode.READ_ONLY


class PeopleQuery(_Body):
    """The beginning of a name."""

    q: str = Field(max_length=100)


class MineQuery(_Body):
    """Which of my projects."""

    archived: bool = False


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


class StopBody(_Body):
    """Whose project server shall end; everyone's without a user."""

    user: str | None = None


class Pin(_Body):
    """Whether my workspace server mounts the project."""

    pinned: bool


class Me(BaseModel):
    """Who I am here."""

    user: str
    display_name: str
    groups: list[str]
    rights: list[str]


class CatalogueEntry(BaseModel):
    """An environment, a resource class or a data volume that I may use."""

    name: str
    title: str
    description: str


class Catalogue(BaseModel):
    """What I may use."""

    environments: list[CatalogueEntry]
    resource_classes: list[CatalogueEntry]
    data: list[CatalogueEntry]


class Found(BaseModel):
    """Persons and groups whose name begins so."""

    items: list[FoundPerson]
    groups: list[FoundGroup]


class ApiInvitation(Invitation):
    """An invitation; the url of a link is there only in the answer that makes it."""

    url: str | None = None


class Server(RunningServer):
    """My server for a project."""

    restart_to_apply: bool = False
    changes: tuple[MountChange, ...] = ()
    refusal: str | None = None
    """Why a start would be refused now."""


class Membership(BaseModel):
    """What became of giving someone a role: a member, or an invitation that they have to accept."""

    member: Member | None = None
    invitation: ApiInvitation | None = None


class Deleted(BaseModel):
    """A deleted project can be restored until then."""

    restorable_until: datetime


class Stopped(BaseModel):
    """How many servers are being stopped."""

    servers: int


def items_of(model: type[BaseModel]) -> type[BaseModel]:
    """Return the model of a list, with a name that reads well in the OpenAPI document."""
    return create_model(f"{model.__name__}List", __base__=Items[model])  # type: ignore[valid-type]


def me_of(call: Call) -> str:
    """Return who asks.

    Raises
    ------
    LoginRequiredError
    """
    if call.who is None:
        raise LoginRequiredError
    return call.who


def address(call: Call, path: str = "", **query: str | int | None) -> str:
    """Return an absolute path of the API."""
    prefix = call.handler.settings["prefix"]
    wanted = {key: value for key, value in query.items() if value not in (None, "", False)}
    return f"{prefix}{PREFIX}{path}" + (f"?{urlencode(wanted)}" if wanted else "")


def _servers(call: Call) -> HubServers:
    servers: HubServers = call.handler.settings["hub_servers"]
    return servers


def _token(call: Call) -> str:
    if call.token is None:
        raise LoginRequiredError
    return call.token


def _project(project: Project, status: HTTPStatus = HTTPStatus.OK, **headers: str) -> Answer:
    return Answer(body=project, status=status, headers={"ETag": project.etag, **headers})


# Who I am and what there is ------------------------------------------------------------------------------


@api("GET", "/me", needs=PERSON, returns=Me)
async def get_me(call: Call) -> Me:
    """Return who I am, with my identity groups and site-wide rights."""
    person = await call.factory.people.get(me_of(call))
    if person is None:
        raise LoginRequiredError
    rights = await call.factory.people.rights(person.name)
    return Me(
        user=person.name,
        display_name=person.display_name,
        groups=sorted(person.groups),
        rights=sorted(right.value for right in rights),
    )


@api("GET", "/catalogue", needs=PERSON, returns=Catalogue)
async def get_catalogue(call: Call) -> Catalogue:
    """Return the environments, resource classes and data volumes that I may use."""
    person = await call.factory.people.get(me_of(call))
    groups = person.groups if person else frozenset()
    catalogue, who = call.factory.catalogue, me_of(call)
    return Catalogue(
        environments=_entries(catalogue.environments(who, groups, None)),
        resource_classes=_entries(catalogue.resource_classes(who, groups, None)),
        data=_entries(catalogue.data(who, groups, None)),
    )


def _entries(entries: dict[str, Any]) -> list[CatalogueEntry]:
    return [CatalogueEntry(name=n, title=e.title or n, description=e.description) for n, e in entries.items()]


@api("GET", "/people", needs=PERSON, query=PeopleQuery, returns=Found)
async def find_people(call: Call) -> Found:
    """Find persons and groups by the beginning of a name."""
    limit: PerMinute = call.handler.settings["people_limit"]
    limit.count(me_of(call))
    people = await call.factory.people.search(call.who, call.query.q)
    return Found(items=people, groups=await call.factory.people.search_groups(call.who, call.query.q))


# Projects ------------------------------------------------------------------------------------------------


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
    return _project(project, HTTPStatus.CREATED, Location=address(call, f"/projects/{project.slug}"))


@api("GET", "/projects/{slug}", needs=Permission.FIND, returns=Project)
async def get_project(call: Call, slug: str) -> Answer:
    """Return a project, with its version as ETag."""
    return _project((await call.factory.projects.get(call.who, slug)).project)


@api("PATCH", "/projects/{slug}", needs=Permission.CHANGE_SETTINGS, body=ProjectChanges, returns=Project)
async def change_project(call: Call, slug: str) -> Answer:
    """Change a project; If-Match names the version that I saw. The README alone needs readme:change."""
    if call.if_match is None:
        await call.factory.projects.get(call.who, slug)
        raise PreconditionRequiredError
    etag = None if call.if_match == "*" else call.if_match
    return _project(await call.factory.projects.change(call.who, slug, call.body, etag=etag))


@api("DELETE", "/projects/{slug}", needs=Permission.DELETE, returns=Deleted)
async def delete_project(call: Call, slug: str) -> Deleted:
    """Delete a project; it can be restored for some days."""
    return Deleted(restorable_until=await call.factory.projects.delete(call.who, slug))


@api("POST", "/projects/{slug}/archive", needs=Permission.ARCHIVE, returns=Project)
async def archive_project(call: Call, slug: str) -> Answer:
    """Archive a project."""
    return _project(await call.factory.projects.archive(call.who, slug))


@api("POST", "/projects/{slug}/restore", needs=Permission.RESTORE, returns=Project)
async def restore_project(call: Call, slug: str) -> Answer:
    """Bring an archived or deleted project back."""
    return _project(await call.factory.projects.restore(call.who, slug))


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


# Members and groups --------------------------------------------------------------------------------------


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


# Invitations and join requests ---------------------------------------------------------------------------


@api("GET", "/projects/{slug}/invitations", needs=Permission.MANAGE_MEMBERS, returns=items_of(ApiInvitation))
async def project_invitations(call: Call, slug: str) -> Items[ApiInvitation]:
    """Return the open invitations of a project."""
    found = await call.factory.invitations.of_project(call.who, slug)
    return Items(items=[ApiInvitation(**invitation.model_dump()) for invitation in found])


def join_url(call: Call, invitation: NewInvitation) -> str:
    """Return the address that the holder of a link opens."""
    request = call.handler.request
    origin = call.handler.settings["public_origin"] or f"{request.protocol}://{request.host}"
    return f"{origin}{call.handler.settings['prefix']}join/{quote(invitation.code or '')}"


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
    return _project(await call.factory.invitations.accept(call.who, _invitation_key(id)))


@api("POST", "/invitations/{id:int}/decline", needs="the invitation", status=HTTPStatus.NO_CONTENT)
async def decline_invitation(call: Call, id: int) -> None:  # noqa: A002
    """Decline an invitation that names me."""
    await call.factory.invitations.decline(call.who, id)


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


# Data ----------------------------------------------------------------------------------------------------


@api("GET", "/projects/{slug}/data", needs=Permission.READ_MEMBERS, returns=items_of(DataAttachment))
async def project_data(call: Call, slug: str) -> Items[DataAttachment]:
    """Return the data volumes that are attached to a project."""
    return Items(items=await call.factory.data.attached(call.who, slug))


@api("PUT", "/projects/{slug}/data/{name}", needs=Permission.MANAGE_DATA, body=Attach, returns=DataAttachment)
async def attach_data(call: Call, slug: str, name: str) -> DataAttachment:
    """Attach a data volume."""
    return await call.factory.data.attach(call.who, slug, name, call.body.mode)


@api("DELETE", "/projects/{slug}/data/{name}", needs=Permission.MANAGE_DATA, status=HTTPStatus.NO_CONTENT)
async def detach_data(call: Call, slug: str, name: str) -> None:
    """Detach a data volume; servers that mount it are stopped."""
    await call.factory.data.detach(call.who, slug, name)


# Servers -------------------------------------------------------------------------------------------------


@api("GET", "/projects/{slug}/server", needs=Permission.RUN_SERVER, returns=Server)
async def my_server(call: Call, slug: str) -> Server:
    """Return the state of my server for a project."""
    return await _my_server(call, slug)


async def _my_server(call: Call, slug: str) -> Server:
    view = await call.factory.servers.view(call.who, slug)
    running = await _servers(call).one(_token(call), me_of(call), slug)
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
    await _servers(call).start(_token(call), me_of(call), slug)
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
    await _servers(call).stop(_token(call), me_of(call), slug)
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


# The operator --------------------------------------------------------------------------------------------


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
