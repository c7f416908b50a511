"""What the operator watches and puts in order. None of it opens anybody's files."""

from __future__ import annotations

import asyncio
import functools
import os
import time
from datetime import timedelta
from importlib.metadata import entry_points
from typing import Any, ClassVar, Final, Protocol

from jupyterhub_collab.access.models import SiteRight
from jupyterhub_collab.errors import CollabError, NotFoundError
from jupyterhub_collab_services.base.page import ISOLATION, row_number

from .page_base import ProjectsPage, in_one_state, page_route
from .pages_project import told

CHECKS: Final = "jupyterhub_collab.checks"
_KEEP_SECONDS: Final = 60


class Check(Protocol):
    """One promise: whether it holds on this machine."""

    @property
    def name(self) -> str:
        """What is promised."""

    @property
    def ok(self) -> bool:
        """Whether it holds."""

    @property
    def sentence(self) -> str:
        """The words for it, with the fix where it does not hold."""


@functools.lru_cache(maxsize=1)
def run_checks(_minute: int) -> tuple[Check, ...]:
    """Return what installed packages promise and whether it holds; kept for a minute, since a check starts programs."""
    isolation = os.environ.get(ISOLATION) or "sandbox"
    if isolation == "pod":  # what holds in a cluster only the Hub's account may ask
        return ()
    checks = sorted(entry_points(group=CHECKS), key=lambda entry: entry.name)
    return tuple(c.load()(isolation=isolation) if c.name == "sandbox" else c.load()() for c in checks)


class OperatorPage(ProjectsPage):
    """A page for operators."""

    area = "operator"
    tab: ClassVar[str] = ""

    def query(self) -> dict[str, str]:
        """Return what is searched for, and where the page begins."""
        return {name: self.get_query_argument(name, "") for name in ("q", "after")}

    async def show(self, template: str, **context: Any) -> None:
        """Show one of the tabs."""
        pauses = await self.factory.people.pauses(self.who)
        await self.page(template, tab=self.tab, pauses=pauses, **context)


@page_route("operator", get=SiteRight.OPERATOR)
class AllProjects(OperatorPage):
    """All projects with size, members and running servers."""

    tab = "projects"

    @in_one_state
    async def get(self) -> None:
        """Show them by short name."""
        query = self.query()
        found = await self.factory.projects.all(self.who, after=query["after"], search=query["q"].strip())
        slugs = [project.slug for project in found.items]
        await self.show(
            "projects/operator_projects.html",
            found=found,
            query=query,
            servers=await self.factory.servers.counts(self.who, slugs),
            members=await self.factory.members.counts(self.who, slugs),
        )


@page_route("operator/deleted", get=SiteRight.OPERATOR)
class DeletedProjects(OperatorPage):
    """Deleted projects that can be restored."""

    tab = "deleted"

    @in_one_state
    async def get(self) -> None:
        """Show them."""
        query = self.query()
        found = await self.factory.projects.all(self.who, deleted=True, after=query["after"], search=query["q"].strip())
        grace = timedelta(days=self.factory.settings.limits.undo_days)
        await self.show("projects/operator_deleted.html", found=found, query=query, grace=grace)


@page_route("operator/persons", get=SiteRight.OPERATOR)
class Persons(OperatorPage):
    """Everyone who has logged in, with identity groups."""

    tab = "persons"

    @in_one_state
    async def get(self) -> None:
        """Show them by name."""
        await self._list()

    async def _list(self, **context: Any) -> None:
        query = self.query()
        people, following = await self.factory.people.page(self.who, after=query["after"], search=query["q"].strip())
        await self.show("projects/operator_persons.html", people=people, next=following, query=query, **context)


@page_route("operator/persons/remove", post=SiteRight.OPERATOR)
class RemovePerson(Persons):
    """Removing a person from everything, after one question."""

    async def get(self) -> None:
        """Lead to the list, which has the button."""
        self.redirect(f"{self.prefix}operator/persons")

    async def act(self) -> None:
        """Ask, or remove them."""
        user = self.field("user")
        await self.factory.people.pauses(self.who)  # only for operators
        if await self.factory.people.get(user) is None:
            raise NotFoundError("person")
        if self.field("sure") == "1":
            await self.factory.departures.remove(self.who, user)
            self.leave_toast(f"{user} is removed. Their servers are being stopped.")
            self.redirect(f"{self.prefix}operator/persons", status=303)
            return
        await self.page(
            "confirm.html",
            heading=f"Remove {user} from everything?",
            sentence="Their roles, pins, groups and invitations go, and all their servers stop. Files stay. Should"
            " somebody get this account name later, nothing of it is theirs. Keep the account from logging in as well:"
            " where it does, it begins anew. This can’t be undone.",
            fields={"user": user, "sure": "1"},
            verb=f"Remove {user}",
            danger=True,
            cancel=f"{self.prefix}operator/persons",
        )

    async def again(self, problem: CollabError, *arguments: str) -> None:
        """Say above the list why it can't be."""
        del arguments
        await self._list(problem=problem, status=problem.status)


@page_route("operator/machine", get=SiteRight.OPERATOR)
class Machine(OperatorPage):
    """Which promises of isolation and limits hold here."""

    tab = "machine"

    async def get(self) -> None:
        """Show them, with the fix for those that don't."""
        await self.factory.people.pauses(self.who)  # only for operators; before any check runs
        checks = await asyncio.to_thread(run_checks, int(time.monotonic() // _KEEP_SECONDS))
        await self.show("projects/operator_machine.html", checks=checks, settings=self.factory.settings)


@page_route("operator/audit", get=SiteRight.OPERATOR)
class Audit(OperatorPage):
    """Who did what, on the whole site."""

    tab = "audit"

    @in_one_state
    async def get(self) -> None:
        """Show the events that match."""
        names = ("project", "actor", "action", "target")
        search: dict[str, Any] = {name: self.get_query_argument(name, "").strip() for name in names}
        before = self.get_query_argument("before", "")
        cursor = row_number(before)
        found = await self.factory.audit.search(self.who, before=cursor, **search)
        await self.show("projects/operator_audit.html", search=search, events=told(self, found.items), older=found.next)


@page_route("operator/resume", post=SiteRight.OPERATOR)
class ResumeGroup(OperatorPage):
    """Letting the losses of a paused group apply."""

    async def act(self) -> None:
        """Resume it."""
        group = self.field("group")
        await self.factory.people.resume_group(self.who, group)
        self.leave_toast(f"Losses of {group} apply from the next logins on.")
        self.redirect(f"{self.prefix}operator/persons", status=303)
