"""A project's overview, its README and activity, asking to join, pinning."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from jupyterhub_collab.access.models import Permission, SiteRight
from jupyterhub_collab.errors import ChangedMeanwhileError, CollabError, InvalidInputError
from jupyterhub_collab.projects.service import ProjectChanges
from jupyterhub_collab_services.base.page import row_number

from .page_base import ProjectForm, ProjectPage, ProjectsPage, in_one_state, page_route
from .pages_server import server_context
from .readme import readme_html
from .sentences import sentence

if TYPE_CHECKING:
    from jupyterhub_collab.audit.models import Event
    from jupyterhub_collab.projects.models import JoinRequest

_RECENT = 4


def told(page: ProjectsPage, events: list[Event]) -> list[tuple[Event, Any]]:
    """Return events with their sentences."""
    return [(event, sentence(event, page.factory.settings)) for event in events]


async def my_request(page: ProjectsPage, slug: str) -> JoinRequest | None:
    """Return my open join request to a project."""
    asked = await page.factory.join_requests.mine(page.who) if page.who else []
    return next((request for request in asked if request.project == slug), None)


async def overview(page: ProjectPage, slug: str) -> dict[str, Any]:
    """Return what the overview shows to whoever looks."""
    context = await _core_of_overview(page, slug)
    if context["is_there"] and context["may"]["run_server"]:
        context |= await server_context(page, slug)
    return context


@in_one_state
async def _core_of_overview(page: ProjectPage, slug: str) -> dict[str, Any]:
    context = await page.load(slug)
    project, may = context["project"], context["may"]
    opens = may["run_server"] and context["is_active"]
    context |= {
        "readme": readme_html(project.readme, context["url"], opens_files=opens),
        "asked": await my_request(page, slug),
        "events": [],
        "server": None,
        "values": {"message": ""},
    }
    if context["is_there"] and may["read_members"]:
        first = await page.factory.members.page(page.who, slug)
        leads = await page.factory.members.leads(page.who, slug)
        events = await page.factory.audit.of_project(page.who, slug, limit=_RECENT)
        context |= {"people": first.items[:6], "leads": leads, "events": told(page, events.items)}
    if context["is_there"] and may["run_server"]:
        context["pinned"] = slug in await page.factory.projects.pins(page.me())
    return context


@page_route("p/{slug}", get=Permission.FIND)
class Overview(ProjectPage):
    """The overview: what is this, may I write, does my server run, is it up to date."""

    async def get(self, slug: str) -> None:
        """Show the project."""
        await self.page("projects/overview.html", **await overview(self, slug))


@page_route("p/{slug}/readme", get=Permission.CHANGE_README, post=Permission.CHANGE_README)
class Readme(ProjectPage):
    """The README in its own words."""

    @in_one_state
    async def get(self, slug: str) -> None:
        """Show the form."""
        context = await self.load(slug, Permission.CHANGE_README)
        project = context["project"]
        values = {"readme": project.readme, "version": project.etag}
        await self.page("projects/readme.html", **context, values=values, theirs=None)

    async def act(self, slug: str) -> None:
        """Save it."""
        changes = ProjectChanges(readme=self.field("readme"))
        await self.factory.projects.change(self.who, slug, changes, etag=self.field("version") or None)
        self.leave_toast("The README is saved.")
        self.redirect(self.project_url(slug), status=303)

    async def again(self, problem: CollabError, *arguments: str) -> None:
        """Show the form with what was typed, and beside it what someone else saved."""
        context = await self.load(arguments[0], Permission.CHANGE_README)
        project, conflict = context["project"], isinstance(problem, ChangedMeanwhileError)
        values = {"readme": self.field("readme"), "version": project.etag if conflict else self.field("version")}
        theirs = project.readme if conflict else None
        await self.page(
            "projects/readme.html", status=problem.status, **context, values=values, theirs=theirs, problem=problem
        )


@page_route("p/{slug}/readme/preview", post=Permission.CHANGE_README)
class Preview(ProjectPage):
    """The README as it will look, while it is written."""

    async def act(self, slug: str) -> None:
        """Show it."""
        await self.load(slug, Permission.CHANGE_README)
        text = self.field("readme")
        if len(text.encode(errors="replace")) > self.factory.settings.limits.readme_bytes:
            raise InvalidInputError("The README is too long.", field="readme")
        self.part("projects/preview.html", readme=readme_html(text, self.project_url(slug), opens_files=True))


@page_route("p/{slug}/activity", get=Permission.READ_ACTIVITY)
class Activity(ProjectPage):
    """Who did what, when."""

    tab = "activity"

    @in_one_state
    async def get(self, slug: str) -> None:
        """Show the events, newest first."""
        before = self.get_query_argument("before", "")
        context = await self.load(slug, Permission.READ_ACTIVITY)
        cursor = row_number(before)
        found = await self.factory.audit.of_project(self.who, slug, before=cursor)
        await self.page("projects/activity.html", **context, events=told(self, found.items), older=found.next)


@page_route("p/{slug}/ask", get=Permission.FIND, post=Permission.ASK_TO_JOIN)
class Ask(ProjectForm):
    """Asking to join."""

    async def act(self, slug: str) -> None:
        """Ask."""
        await self.factory.join_requests.ask(self.who, slug, self.field("message"))
        self.leave_toast("You asked to join. A lead of the project decides.")
        self.done(slug)

    async def again(self, problem: CollabError, *arguments: str) -> None:
        """Show the form with what was typed."""
        context = await overview(self, arguments[0])
        context["values"] = {"message": self.field("message")}
        await self.page("projects/overview.html", status=problem.status, **context, problem=problem)


@page_route("p/{slug}/ask/withdraw", post=Permission.FIND)
class WithdrawAsk(ProjectForm):
    """Taking a request back."""

    async def act(self, slug: str) -> None:
        """Withdraw it."""
        await self.factory.join_requests.decline(self.me(), slug, self.number("id"))
        self.leave_toast("Your request to join is withdrawn.")
        if self.field("from") == "directory":
            self.redirect(f"{self.prefix}directory", status=303)
        else:
            self.done(slug)


@page_route("p/{slug}/pin", post=Permission.READ_FILES)
class Pin(ProjectForm):
    """Whether my workspace server has the project."""

    async def act(self, slug: str) -> None:
        """Pin it, or take it out."""
        pinned = self.field("pinned") == "1"
        await self.factory.projects.set_pin(self.who, slug, pinned=pinned)
        words = (
            "is in your workspace server from its next start on."
            if pinned
            else "is out of your workspace server from its next start on."
        )
        self.leave_toast(f"~/projects/{slug} {words}")
        self.done(slug, "workspace")


@page_route("p/{slug}/restore", post=Permission.RESTORE)
class Restore(ProjectForm):
    """Bringing an archived or deleted project back."""

    async def act(self, slug: str) -> None:
        """Restore it."""
        project = await self.factory.projects.restore(self.who, slug)
        self.leave_toast(f"{project.title} is restored.")
        rights = await self.factory.people.rights(self.me())
        operator = self.field("from") == "operator" and SiteRight.OPERATOR in rights
        self.redirect(f"{self.prefix}operator/deleted" if operator else self.project_url(slug), status=303)
