"""My servers: opening, starting, stopping, restarting, always with my own token."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, unquote

from jupyterhub_collab.access.models import Permission
from jupyterhub_collab.errors import CollabError, ConflictError
from jupyterhub_collab_services.base.errors import HubRefusedError

from .page_base import PERSON, ProjectPage, ProjectsPage, page_route
from .sentences import sentence
from .server_states import STARTING, STOPPED, STOPPING, combine, gains

if TYPE_CHECKING:
    from jupyterhub_collab.audit.models import Event
    from jupyterhub_collab.servers.models import ServerView

# Most servers answer by then, and a page that nobody has time to read would only delay them
_ANSWER_WITHIN = 5.0
_STOP_WITHIN = 20.0
_LOOK_EVERY = 0.2
_NEWS_WITHIN = 2.0
# Starts that go on after the page was sent, by person and server name
_STARTS: dict[tuple[str, str], asyncio.Task[None]] = {}


class StillStoppingError(ConflictError):
    """A server takes long to stop."""

    code = "still-stopping"
    title = "The server is still stopping"

    def __init__(self) -> None:
        super().__init__("It has not ended within 20 seconds. Look again in a minute, then open it once more.")


def _forget(task: asyncio.Task[None]) -> None:
    for key in [key for key, started in _STARTS.items() if started is task]:
        del _STARTS[key]
    if not task.cancelled():
        task.exception()  # the starting page finds out by looking


async def cause_of(page: ProjectsPage, slug: str, view: ServerView) -> tuple[Event, Any] | None:
    """Return the newest event that explains why a restart would change something."""
    if view.grant is None:
        return None
    names = {change.path.rsplit("/", 1)[-1] for change in gains(view)}
    events = await page.factory.audit.of_project(page.who, slug)
    for event in events.items:
        about_me = event.action.startswith("member.") and event.target == page.who
        about_data = event.action == "data.attach" and event.target in names
        about_runtime = view.other_runtime and {"environment", "resource_class"} & set(event.detail.get("fields", []))
        if event.at >= view.grant.granted_at and (about_me or about_data or about_runtime):
            return event, sentence(event, page.factory.settings)
    return None


async def server_context(page: ProjectsPage, slug: str) -> dict[str, Any]:
    """Return what the panel of my server for a project shows."""
    view = await page.factory.servers.view(page.me(), slug)
    found = await page.running()
    hub = None if found is None else found.get(slug)
    if found is not None and hub is None and view.grant is None:
        state = combine(slug, None, view)
    else:
        state = combine(slug, hub, view)
    plan = view.grant.plan if view.grant else view.plan
    return {
        "server": state,
        "plan": plan,
        "changes": {change.path: change for change in gains(view)},
        "cause": await cause_of(page, slug, view) if state.state == "restart" else None,
        "hub_away": found is None,
    }


@page_route("p/{slug}/server", get=Permission.RUN_SERVER)
class ServerPanel(ProjectPage):
    """The panel of my server, alone: it renews itself."""

    async def get(self, slug: str) -> None:
        """Show the panel, and the banner that goes with it."""
        context = await self.load(slug, Permission.RUN_SERVER)
        if not self.wants_part:
            self.redirect(f"{self.project_url(slug)}#server")
            return
        self.part("projects/server_update.html", **context, **await server_context(self, slug))


class MyServer(ProjectsPage):
    """Something done with one of my servers; the workspace server where there is no slug."""

    title: str = "Workspace"

    async def name_of(self, arguments: tuple[str, ...]) -> str:
        """Return the server's name, if I may run it."""
        who = self.me()
        if not arguments:
            return ""
        access = await self.factory.projects.get(who, arguments[0])
        self.title = access.project.title
        await self.factory.servers.view(who, arguments[0])
        return arguments[0]

    def place(self, name: str, path: str) -> str:
        """Return the address of something of a server."""
        return self.project_url(name, path) if name else f"{self.prefix}workspace/{path}"

    def home(self, name: str) -> str:
        """Return the page that shows the server."""
        return self.project_url(name) if name else self.prefix

    def file_url(self, name: str, url: str, path: str) -> str:
        """Return the address of a file of the project in a running server, or of the server."""
        if not path or not name or ".." in path.split("/"):
            return url
        return f"{url}lab/tree/projects/{quote(name)}/{quote(path)}"

    async def stopped(self, name: str) -> None:
        """Stop a server and wait until it is gone.

        Raises
        ------
        StillStoppingError, TokenScopeError, HubAwayError, HubRefusedError
        """
        await self.hub_servers.stop(self.token(), self.me(), name)
        ends = asyncio.get_running_loop().time() + _STOP_WITHIN
        while (await self.hub_servers.one(self.token(), self.me(), name)).state != STOPPED:
            if asyncio.get_running_loop().time() > ends:
                raise StillStoppingError
            await asyncio.sleep(_LOOK_EVERY)

    async def started(self, name: str) -> None:
        """Ask for a start, and wait a moment for what goes wrong at once; the rest shows the starting page.

        Raises
        ------
        TokenScopeError, HubAwayError, HubRefusedError
        """
        task = asyncio.create_task(self.hub_servers.start(self.token(), self.me(), name))
        _STARTS[self.me(), name] = task
        task.add_done_callback(_forget)
        done, _ = await asyncio.wait({task}, timeout=_ANSWER_WITHIN)
        if done:
            task.result()

    async def lead_in(self, name: str, path: str = "") -> None:
        """Start the server where it does not run, and lead to it or to the page that waits for it."""
        found = await self.hub_servers.one(self.token(), self.me(), name)
        if found.state == STOPPING:
            await self.stopped(name)
        if found.state in (STOPPED, STOPPING):
            await self.started(name)
            found = await self.hub_servers.one(self.token(), self.me(), name)
        if found.state == "running" and found.url:
            self.redirect(self.file_url(name, found.url, path), status=303)
        else:
            self.redirect(self.place(name, "starting") + (f"?path={quote(path)}" if path else ""), status=303)

    async def again(self, problem: CollabError, *arguments: str) -> None:
        """Say why it does not start, and what stands in the way."""
        name = arguments[0] if arguments else ""
        if not isinstance(problem, HubRefusedError):
            raise problem
        others = [s for s in (await self.server_states()).values() if s.name != name and s.state != STOPPED]
        full = len(others) >= self.factory.settings.limits.servers_per_person
        mine = await self.factory.projects.mine(self.me())
        await self.page(
            "projects/refused.html",
            status=problem.status,
            problem=problem,
            others=others if full else [],
            limit=self.factory.settings.limits.servers_per_person,
            titles={p.slug: p.title for p in mine},
            name=name,
            title=self.title,
            action=self.place(name, "open"),
            back=self.home(name),
        )


class Open(MyServer):
    """Opening starts what is stopped."""

    async def get(self, *arguments: str) -> None:
        """Lead into a running server; a link from elsewhere never starts one without a click here."""
        name, path = await self.name_of(arguments), unquote(self.get_query_argument("path", ""))
        found = await self.hub_servers.one(self.token(), self.me(), name)
        if found.state == "running" and found.url:
            self.redirect(self.file_url(name, found.url, path))
        elif found.state == STARTING:
            self.redirect(self.place(name, "starting"))
        else:
            await self.page("projects/open.html", name=name, title=self.title, open_path=path, back=self.home(name))

    async def act(self, *arguments: str) -> None:
        """Start it and lead there; first stop the one that stands in the way, where one was chosen."""
        name, path = await self.name_of(arguments), self.field("path")
        if "stop" in self.request.body_arguments:
            await self.stopped(self.field("stop"))
        await self.lead_in(name, path)


class Stop(MyServer):
    """Stopping my server."""

    async def get(self, *arguments: str) -> None:
        """Lead to the page that has the form."""
        self.redirect(self.home(await self.name_of(arguments)))

    async def act(self, *arguments: str) -> None:
        """Stop it."""
        name = await self.name_of(arguments)
        await self.hub_servers.stop(self.token(), self.me(), name)
        self.leave_toast(f"Your server for {self.title} is stopped." if name else "Your workspace server is stopped.")
        self.redirect(self.home(name) + ("#server" if name else "#workspace"), status=303)


class Restart(Stop):
    """Stopping my server and starting it with what I may have now."""

    async def act(self, *arguments: str) -> None:
        """Restart it and show the start."""
        name = await self.name_of(arguments)
        await self.stopped(name)
        await self.lead_in(name)


class Starting(MyServer):
    """How long still? Leads into the server when it answers."""

    async def get(self, *arguments: str) -> None:
        """Show the steps, or lead on."""
        name = await self.name_of(arguments)
        path = self.get_query_argument("path", "")
        if self.wants_part:
            await self._news(name)
        state = (await self.server_states()).get(name) or combine(name, None, None)
        if state.is_up and state.url:
            self._lead(self.file_url(name, state.url, path))
        elif state.state == STOPPED:
            # It ended while it was starting: the Hub's own page knows why
            self._lead(f"{self.hub_auth.hub_prefix}spawn-pending/{quote(self.me(), safe='')}/{quote(name)}")
        else:
            await self._show(name, path)

    async def _news(self, name: str) -> None:
        """Wait a moment for the Hub's answer to the start, so that the page leads on as soon as that is there."""
        if task := _STARTS.get((self.me(), name)):
            await asyncio.wait({task}, timeout=_NEWS_WITHIN)

    def _lead(self, url: str) -> None:
        if self.wants_part:
            self.set_header("HX-Redirect", url)
            self.finish()
        else:
            self.redirect(url)

    async def _show(self, name: str, path: str) -> None:
        view = await self.factory.servers.view(self.me(), name)
        role = (await self.factory.projects.get(self.who, name)).role if name else None
        plan = view.grant.plan if view.grant else view.plan
        since = view.grant.granted_at if view.grant else self.now
        context: dict[str, Any] = {
            "name": name,
            "title": self.title,
            "plan": plan,
            "granted": view.grant is not None,
            "role": role,
            "seconds": max(0, round((self.now - since).total_seconds())),
            "since": since,
            "open_path": path,
            "part_url": self.place(name, "starting") + (f"?path={quote(path)}" if path else ""),
            "stop_url": self.place(name, "stop"),
        }
        if self.wants_part:
            self.part("projects/starting_steps.html", **context)
        else:
            await self.page("projects/starting.html", **context)


page_route("p/{slug}/open", get=Permission.RUN_SERVER, post=Permission.RUN_SERVER)(Open)
page_route("p/{slug}/stop", get=Permission.RUN_SERVER, post=Permission.RUN_SERVER)(Stop)
page_route("p/{slug}/restart", get=Permission.RUN_SERVER, post=Permission.RUN_SERVER)(Restart)
page_route("p/{slug}/starting", get=Permission.RUN_SERVER)(Starting)
page_route("workspace/open", get=PERSON, post=PERSON)(Open)
page_route("workspace/stop", get=PERSON, post=PERSON)(Stop)
page_route("workspace/restart", get=PERSON, post=PERSON)(Restart)
page_route("workspace/starting", get=PERSON)(Starting)
