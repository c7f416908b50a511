"""Which data a project has, and attaching more."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from jupyterhub_collab.access.models import Permission
from jupyterhub_collab.errors import CollabError, InvalidInputError
from jupyterhub_collab.volumes.models import Mode

from .page_base import ProjectForm, ProjectPage, in_one_state, page_route

if TYPE_CHECKING:
    from jupyterhub_collab.settings import DataVolume


async def attachable(page: ProjectPage, slug: str, attached: set[str]) -> dict[str, DataVolume]:
    """Return the data volumes that I may attach and that are not."""
    person = await page.factory.people.get(page.me())
    offered = page.factory.catalogue.data(page.me(), person.groups if person else frozenset(), slug)
    return {name: volume for name, volume in offered.items() if name not in attached}


async def data_context(page: ProjectPage, slug: str) -> dict[str, Any]:
    """Return what the list of data shows."""
    context = await page.load(slug, Permission.READ_MEMBERS)
    manages = context["may"]["manage_data"] and context["is_active"]
    offered = await attachable(page, slug, {a.name for a in context["data"]}) if manages else {}
    return context | {"offered": offered, "manages_data": manages, "values": {"name": "", "mode": Mode.READ_ONLY.value}}


class DataForm(ProjectForm):
    """The data page and its forms."""

    tab = "data"
    back = "data"

    async def again(self, problem: CollabError, *arguments: str) -> None:
        """Show the page with what is wrong."""
        context = await data_context(self, arguments[0])
        await self.page("projects/data.html", status=problem.status, **context, problem=problem)


@page_route("p/{slug}/data", get=Permission.READ_MEMBERS)
class Data(DataForm):
    """The list."""

    @in_one_state
    async def get(self, slug: str) -> None:
        """Show what is attached."""
        await self.page("projects/data.html", **await data_context(self, slug))


@page_route("p/{slug}/data/attach", post=Permission.MANAGE_DATA)
class Attach(DataForm):
    """Attaching a volume."""

    async def act(self, slug: str) -> None:
        """Attach it."""
        name, mode = self.field("name"), self.field("mode", Mode.READ_ONLY.value)
        if not name:
            raise InvalidInputError("Choose a data volume first.", field="name")
        if mode not in set(Mode):
            raise InvalidInputError("Attach it read-only or read-write.", field="mode")
        made = await self.factory.data.attach(self.who, slug, name, Mode(mode))
        undo = (self.project_url(slug, "data/detach"), {"name": name})
        self.leave_toast(f"{name} is attached. Servers have it under {made.path} from their next start on.", undo=undo)
        self.done(slug)


@page_route("p/{slug}/data/detach", post=Permission.MANAGE_DATA)
class Detach(DataForm):
    """Detaching one."""

    async def act(self, slug: str) -> None:
        """Detach it; servers that have it are asked about first."""
        name = self.field("name")
        running = await self.factory.servers.running_in(self.who, slug)
        if running and self.field("sure") != "1":
            await self.page(
                "confirm.html",
                heading=f"Detach {name}?",
                sentence="Members’ servers that have it are stopped at once. Unsaved changes in them are lost.",
                verb="Detach",
                fields={"name": name, "sure": "1"},
                cancel=self.project_url(slug, "data"),
                danger=True,
            )
            return
        await self.factory.data.detach(self.who, slug, name)
        self.leave_toast(f"{name} is detached.", undo=(self.project_url(slug, "data/attach"), {"name": name}))
        self.done(slug)
