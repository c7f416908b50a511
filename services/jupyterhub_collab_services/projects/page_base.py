"""What the pages of projects share: routes with what they need, the shell, a project's head and tabs."""

from __future__ import annotations

import functools
import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Concatenate, Final, ParamSpec, TypeVar
from urllib.parse import quote

from tornado.routing import URLSpec

from jupyterhub_collab.access.models import Permission, SiteRight
from jupyterhub_collab.access.service import missing
from jupyterhub_collab.errors import CollabError, LoginRequiredError, NotFoundError
from jupyterhub_collab.projects.models import ProjectState
from jupyterhub_collab_services.base.errors import HubAwayError
from jupyterhub_collab_services.base.page import ISOLATION, FormHandler, PageHandler

from .api import ANYONE, PERSON
from .needs import Need, needs_of
from .server_states import ServerState, combine

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Coroutine

    from jupyterhub_collab.access.service import Access
    from jupyterhub_collab.servers.models import ServerView

    from .servers import HubServers, RunningServer

__all__ = [
    "ANYONE",
    "PERSON",
    "PageRoute",
    "ProjectForm",
    "ProjectPage",
    "ProjectsPage",
    "in_one_state",
    "page_route",
    "table",
]

H = TypeVar("H", bound=type[PageHandler])
Page = TypeVar("Page", bound=PageHandler)
P = ParamSpec("P")
T = TypeVar("T")

_PARAMETER: Final = "([^/]+)"


@dataclass(frozen=True, kw_only=True, slots=True)
class PageRoute:
    """The address of a page or form, with what each method needs; for dispatch, the manual and the tests."""

    path: str
    handler: type[PageHandler]
    needs: dict[str, Permission | SiteRight | str]

    def spec(self, prefix: str) -> URLSpec:
        """Return what tornado needs to dispatch."""
        parts = [_PARAMETER if part.startswith("{") else part for part in self.path.split("/")]
        return URLSpec(prefix + "/".join(parts), self.handler)


table: Final[list[PageRoute]] = []


def page_route(path: str, **needs: Permission | SiteRight | str) -> Callable[[H], H]:
    """Put the decorated handler into the table: its methods by name, each with the permission that the core checks."""

    def add(handler: H) -> H:
        handler.route = f"/{path}"
        table.append(PageRoute(path=path, handler=handler, needs={k.upper(): v for k, v in needs.items()}))
        return handler

    return add


def in_one_state(
    method: Callable[Concatenate[Page, P], Awaitable[T]],
) -> Callable[Concatenate[Page, P], Coroutine[Any, Any, T]]:
    """Let all that a page reads in a method be of one moment; the method awaits nothing but the core."""

    @functools.wraps(method)
    async def wrapper(page: Page, /, *args: P.args, **kwargs: P.kwargs) -> T:
        async with page.factory.database.one_state():
            return await method(page, *args, **kwargs)

    return wrapper


class ProjectsPage(FormHandler):
    """A page of the projects service."""

    template_folders: ClassVar[tuple[Path, ...]] = (Path(__file__).parent / "templates",)
    area: ClassVar[str] = "projects"
    _needs: list[Need] | None = None
    _views: dict[str, ServerView] | None = None

    @property
    def hub_servers(self) -> HubServers:
        """The person's servers, through their own token."""
        servers: HubServers = self.settings["hub_servers"]
        return servers

    def token(self) -> str:
        """Return the person's own token.

        Raises
        ------
        LoginRequiredError
        """
        token = self.person_token
        if token is None:
            raise LoginRequiredError
        return token

    async def views(self) -> dict[str, ServerView]:
        """Return what my running servers were granted and what they would get now."""
        if self._views is None:
            self._views = await self.factory.servers.views(self.me())
        return self._views

    async def needs(self) -> list[Need]:
        """Return what waits for the person who looks."""
        if self._needs is None:
            self._needs = await needs_of(self.factory, self.me(), await self.views())
        return self._needs

    @in_one_state
    async def shell(self) -> dict[str, Any]:
        """Return the count of what needs the reader, and whether to show the operator's pages."""
        if self.who is None:
            return {"area": self.area}
        rights = await self.factory.people.rights(self.who)
        return {"area": self.area, "needs": len(await self.needs()), "is_operator": SiteRight.OPERATOR in rights}

    def error_context(self) -> dict[str, Any]:
        """Return what the shell of an error page shows."""
        return {"area": self.area}

    async def running(self) -> dict[str, RunningServer] | None:
        """Return the Hub's word on my servers; None where the Hub does not answer."""
        try:
            return await self.hub_servers.all(self.token(), self.me())
        except HubAwayError:
            return None

    async def server_states(self) -> dict[str, ServerState]:
        """Return the state of each of my servers that runs, starts or stops."""
        found, views = await self.running(), await self.views()
        if found is None:
            return {name: combine(name, None, view) for name, view in views.items()}
        return {name: combine(name, server, views.get(name)) for name, server in found.items()}

    def project_url(self, slug: str, path: str = "") -> str:
        """Return the address of a project's page."""
        return f"{self.prefix}p/{quote(slug, safe='')}" + (f"/{path}" if path else "")


class ProjectPage(ProjectsPage):
    """A page of one project: its head, its tabs and what the reader may do."""

    tab: ClassVar[str] = "overview"
    access: Access

    def leads_to_login(self, problem: CollabError) -> bool:
        """Ask a visitor to log in for any project that they may not see, whether it exists or not."""
        return super().leads_to_login(problem) or (self.who is None and isinstance(problem, NotFoundError))

    @in_one_state
    async def load(self, slug: str, permission: Permission = Permission.FIND) -> dict[str, Any]:
        """Return what head and tabs show.

        Raises
        ------
        NotFoundError, LoginRequiredError, MissingPermissionError
        """
        self.access = access = await self.factory.projects.get(self.who, slug)
        if not access.may(permission):
            self.me()
            raise missing(permission)
        may = {p.name.lower(): access.may(p) for p in Permission}
        is_there = access.project.deleted_at is None
        return {
            "project": access.project,
            "role": access.role,
            "may": may,
            "tab": self.tab,
            "is_active": is_there and access.project.state is ProjectState.ACTIVE,
            "is_there": is_there,
            "room": access.project.volume_size or self._usual_room(),
            "members_count": await self.factory.members.count(self.who, slug) if is_there else 0,
            "data": await self.factory.data.attached(self.who, slug) if is_there and may["read_members"] else [],
            "url": self.project_url(slug),
        }

    def _usual_room(self) -> int | None:
        """Return the size of a volume that nobody changed; None on one machine, where a folder has no size."""
        return int(self.factory.settings.storage.project_size) if os.environ.get(ISOLATION) == "pod" else None


class ProjectForm(ProjectPage):
    """An address that only takes a form of a project's page; looking at it leads to that page."""

    back: ClassVar[str] = ""

    async def get(self, slug: str) -> None:
        """Lead to the page that has the form."""
        await self.load(slug)
        self.redirect(self.project_url(slug, self.back))

    def done(self, slug: str, fragment: str = "") -> None:
        """Lead back to the page after the form was taken."""
        self.redirect(self.project_url(slug, self.back) + (f"#{fragment}" if fragment else ""), status=303)

    async def again(self, problem: CollabError, *arguments: str) -> None:
        """Show the page again, with what is wrong; pages with fields override this."""
        del arguments
        raise problem
