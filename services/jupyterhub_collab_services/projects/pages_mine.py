"""My projects, a new project, logging in."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from jupyterhub_collab.access.models import SiteRight
from jupyterhub_collab.names import suggest_slug
from jupyterhub_collab.projects.service import NewProject
from jupyterhub_collab.projects.words import words_of

from .page_base import ANYONE, PERSON, ProjectsPage, in_one_state, page_route
from .server_states import combine

if TYPE_CHECKING:
    from jupyterhub_collab.errors import CollabError
    from jupyterhub_collab.projects.models import ProjectSummary

    from .server_states import ServerState


def _matches(project: ProjectSummary, search: str) -> bool:
    found = words_of(project.title, project.description, project.slug)
    return all(any(word.startswith(part) for word in found) for part in words_of(search))


@page_route("", get=PERSON)
class MyProjects(ProjectsPage):
    """Does anything need me? Where was I? One click to be there."""

    async def get(self) -> None:
        """Show my projects, or how to begin."""
        servers = await self.server_states()
        context = await self._context(servers)
        if self.wants_part:
            self.part("projects/mine_update.html", **context)
        elif context["total"] or context["archived_total"]:
            await self.page("projects/mine.html", **context)
        else:
            await self.page("projects/empty.html", **context)

    @in_one_state
    async def _context(self, servers: dict[str, ServerState]) -> dict[str, Any]:
        who, archived = self.me(), self.get_query_argument("archived", "") == "1"
        search, sort = self.get_query_argument("q", ""), self.get_query_argument("sort", "active")
        mine = await self.factory.projects.mine(who)
        gone = await self.factory.projects.mine(who, archived=True)
        shown = [p for p in (gone if archived else mine) if _matches(p, search)]
        if sort == "title":
            shown.sort(key=lambda p: p.title.casefold())
        return {
            "projects": shown,
            "total": len(mine),
            "archived_total": len(gone),
            "archived": archived,
            "search": search,
            "sort": sort,
            "servers": servers,
            "workspace": servers.get("") or combine("", None, None),
            "pins": len(await self.factory.projects.pins(who)),
            "scratch_days": self.factory.settings.storage.scratch_days,
            "scratch": await self.factory.scratch.mine(who),
            "last_used": await self.factory.servers.last_used(who),
            "titles": {p.slug: p.title for p in [*mine, *gone]},
            "rows": await self.needs(),
            "may_create": SiteRight.CREATE_PROJECTS in await self.factory.people.rights(who),
            "code_problem": None,
        }


@page_route("needs-you", get=PERSON)
class NeedsYou(ProjectsPage):
    """The panel of what waits for me, alone: it renews itself."""

    @in_one_state
    async def get(self) -> None:
        """Show the panel."""
        mine = await self.factory.projects.mine(self.me())
        titles = {p.slug: p.title for p in mine}
        self.part("projects/needs.html", rows=await self.needs(), titles=titles)


@page_route("needs-you.js", get=ANYONE)
class NeedsYouCount(ProjectsPage):
    """The count beside Projects on the Hub's own pages: a script, so that the browser sends this service's cookie."""

    @in_one_state
    async def get(self) -> None:
        """Write the script; it does nothing for whoever has not been here yet."""
        count = len(await self.needs()) if self.who else 0
        self.set_header("Content-Type", "text/javascript; charset=UTF-8")
        self.set_header("Cross-Origin-Resource-Policy", "same-origin")
        self.part("projects/needs_count.js", count=count)


@page_route("login", get=ANYONE)
class LogIn(ProjectsPage):
    """Leads a visitor through the login to where they wanted to go."""

    async def get(self) -> None:
        """Lead on who is logged in, and to the login who is not."""
        wanted = self.get_query_argument("next", self.prefix)
        if self.who is None:
            self.redirect(self.get_login_url())
        else:
            self.redirect(wanted if wanted.startswith(self.prefix) else self.prefix)


@page_route("new", get=SiteRight.CREATE_PROJECTS, post=SiteRight.CREATE_PROJECTS)
class NewProjectPage(ProjectsPage):
    """A title is enough to begin."""

    @in_one_state
    async def get(self) -> None:
        """Show the form."""
        self.me()
        visibility = self.factory.settings.people.default_visibility
        values = {"title": "", "slug": "", "description": "", "visibility": visibility.value}
        await self.page("projects/new.html", values=values)

    async def act(self) -> None:
        """Make the project and lead to it."""
        who, values = self.me(), self._values()
        new = NewProject.model_validate({**values, "slug": values["slug"].strip() or None})
        project = await self.factory.projects.create(who, new)
        self.leave_toast(f"{project.title} is made. You lead it.")
        self.redirect(self.project_url(project.slug), status=303)

    def _values(self) -> dict[str, str]:
        return {name: self.field(name) for name in ("title", "slug", "description", "visibility")}

    async def again(self, problem: CollabError, *arguments: str) -> None:
        """Show the form with what was typed."""
        del arguments
        await self.page("projects/new.html", status=problem.status, problem=problem, values=self._values())


@page_route("new/slug", get=ANYONE)
class SuggestSlug(ProjectsPage):
    """The short name that fits a title, while it is typed."""

    async def get(self) -> None:
        """Show the field."""
        title = self.get_query_argument("title", "").strip()
        self.part("projects/slug_field.html", values={"slug": suggest_slug(title) if title else ""})
