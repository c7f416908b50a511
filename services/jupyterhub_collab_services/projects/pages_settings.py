"""Settings: what happens if I change this, and to whom."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from jupyterhub_collab.access.models import Permission
from jupyterhub_collab.errors import ChangedMeanwhileError, CollabError, InvalidInputError
from jupyterhub_collab.projects.service import ProjectChanges

from .page_base import ProjectForm, in_one_state, page_route
from .pages_data import attachable

if TYPE_CHECKING:
    from jupyterhub_collab.projects.models import Project

_FIELDS = ("title", "description", "visibility", "environment", "resource_class")


def _values(project: Project) -> dict[str, str]:
    return {name: str(getattr(project, name)) for name in _FIELDS} | {"version": project.etag, "confirm": ""}


def _gibibytes(size: int | None) -> str:
    return f"{size / 2**30:.4g}" if size else ""


class SettingsPage(ProjectForm):
    """The settings page and its forms."""

    tab = "settings"
    back = "settings"
    fields: ClassVar[tuple[str, ...]] = ()
    saved: ClassVar[str] = ""
    section: ClassVar[str] = ""

    async def context(self, slug: str) -> dict[str, Any]:
        """Return what the page shows."""
        context = await self.load(slug, Permission.CHANGE_SETTINGS)
        project, factory, who = context["project"], self.factory, self.me()
        person = await factory.people.get(who)
        groups, settings = person.groups if person else frozenset[str](), factory.settings
        environments: dict[str, Any] = factory.catalogue.environments(who, groups, slug)
        sizes: dict[str, Any] = factory.catalogue.resource_classes(who, groups, slug)
        is_there, manages = context["is_there"], context["may"]["manage_data"] and context["is_active"]
        return context | {
            # What the project has may be for others to choose, and stays on offer
            "environments": {**_one(settings.environments, project.environment), **environments},
            "sizes": {**_one(settings.resource_classes, project.resource_class), **sizes},
            "more_sizes": len(settings.resource_classes) > len(sizes),
            "running": await factory.servers.running_in(who, slug) if is_there else 0,
            "offered": await attachable(self, slug, {a.name for a in context["data"]}) if manages else {},
            "manages_data": manages,
            "undo_days": settings.limits.undo_days,
            "values": _values(project) | {"name": "", "mode": "read-only", "volume_size": _gibibytes(context["room"])},
            "theirs": {},
            "section": self.section,
        }

    async def act(self, slug: str) -> None:
        """Save the fields of one form, if nobody saved in between."""
        changes = ProjectChanges.model_validate({name: self.field(name) for name in self.fields})
        await self.factory.projects.change(self.who, slug, changes, etag=self.field("version") or None)
        self.leave_toast(self.saved)
        self.done(slug, self.section)

    async def again(self, problem: CollabError, *arguments: str) -> None:
        """Show the form with what was typed; where someone else saved in between, with their values beside it."""
        context = await self.context(arguments[0])
        now = context["values"]
        typed = {name: self.field(name) for name in self.fields}
        if isinstance(problem, ChangedMeanwhileError):
            context["theirs"] = {name: now[name] for name in self.fields if typed[name] != now[name]}
        elif "version" in self.request.body_arguments:
            typed["version"] = self.field("version")
        context["values"] = now | typed
        await self.page("projects/settings.html", status=problem.status, **context, problem=problem)


def _one(entries: dict[str, Any], name: str) -> dict[str, Any]:
    return {name: entries[name]} if name in entries else {}


@page_route("p/{slug}/settings", get=Permission.CHANGE_SETTINGS)
class Settings(SettingsPage):
    """The page."""

    @in_one_state
    async def get(self, slug: str) -> None:
        """Show it."""
        await self.page("projects/settings.html", **await self.context(slug))


@page_route("p/{slug}/settings/name", post=Permission.CHANGE_SETTINGS)
class ChangeName(SettingsPage):
    """Title and description."""

    fields = ("title", "description")
    saved = "The name is saved."
    section = "name"


@page_route("p/{slug}/settings/visibility", post=Permission.CHANGE_SETTINGS)
class ChangeVisibility(SettingsPage):
    """Who may find the project."""

    fields = ("visibility",)
    saved = "The visibility is saved."
    section = "visibility"


@page_route("p/{slug}/settings/runtime", post=Permission.CHANGE_SETTINGS)
class ChangeRuntime(SettingsPage):
    """What members' servers run."""

    fields = ("environment", "resource_class")
    saved = "Environment and size are saved. Servers get them at their next start."
    section = "runtime"


@page_route("p/{slug}/settings/volume", post=Permission.RESIZE)
class ChangeVolume(SettingsPage):
    """How much room the project has; for operators."""

    section = "volume"

    async def act(self, slug: str) -> None:
        """Save the size, given in GiB."""
        number = self.field("volume_size").strip()
        changes = ProjectChanges.model_validate({"volume_size": f"{number}GiB"})
        await self.factory.projects.change(self.who, slug, changes, etag=self.field("version") or None)
        self.leave_toast("The size is saved. The volume grows within minutes.")
        self.done(slug, self.section)

    async def again(self, problem: CollabError, *arguments: str) -> None:
        """Show the form with what was typed."""
        context = await self.context(arguments[0])
        context["values"] |= {"volume_size": self.field("volume_size")}
        await self.page("projects/settings.html", status=problem.status, **context, problem=problem)


@page_route("p/{slug}/settings/archive", post=Permission.ARCHIVE)
class Archive(SettingsPage):
    """Putting the project to rest."""

    section = "end"

    async def act(self, slug: str) -> None:
        """Archive it."""
        project = await self.factory.projects.archive(self.who, slug)
        self.leave_toast(f"{project.title} is archived.", undo=(self.project_url(slug, "restore"), {}))
        self.redirect(self.project_url(slug), status=303)


@page_route("p/{slug}/settings/delete", get=Permission.DELETE, post=Permission.DELETE)
class Delete(SettingsPage):
    """The end of the project: asks for its short name, and can be undone for some days."""

    section = "end"

    @in_one_state
    async def get(self, slug: str) -> None:
        """Ask."""
        await self.page("projects/delete.html", **await self.context(slug))

    async def act(self, slug: str) -> None:
        """Delete it, if the short name was typed."""
        access = await self.factory.projects.get(self.who, slug)
        if self.field("confirm").strip() != slug:
            await self.load(slug, Permission.DELETE)
            raise InvalidInputError(f"Type {slug} to delete the project.", field="confirm")
        until = await self.factory.projects.delete(self.who, slug)
        self.leave_toast(
            f"{access.project.title} is deleted. It can be restored until {until:%-d %B %Y}.",
            undo=(self.project_url(slug, "restore"), {}),
        )
        self.redirect(self.prefix, status=303)

    async def again(self, problem: CollabError, *arguments: str) -> None:
        """Ask again."""
        context = await self.context(arguments[0])
        context["values"] |= {"confirm": self.field("confirm")}
        await self.page("projects/delete.html", status=problem.status, **context, problem=problem)
