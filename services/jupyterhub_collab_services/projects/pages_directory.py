"""Finding a project, also without an account."""

from __future__ import annotations

from typing import Any

from pydantic import ValidationError

from jupyterhub_collab.access.models import SiteRight
from jupyterhub_collab.projects.service import DirectorySearch
from jupyterhub_collab_services.base.handlers import invalid_input

from .page_base import ANYONE, ProjectsPage, in_one_state, page_route

_MINE = {"member": True, "other": False}


@page_route("directory", get=ANYONE)
class Directory(ProjectsPage):
    """The directory: is there one for me, may I ask."""

    @in_one_state
    async def get(self) -> None:
        """Show what the search finds."""
        context = await self._context()
        if self.wants_part:
            self.part("projects/directory_results.html", **context)
        else:
            await self.page("projects/directory.html", **context)

    def _search(self) -> DirectorySearch:
        given = {
            name: self.get_query_argument(name, "") for name in ("q", "mine", "visibility", "recent", "sort", "cursor")
        }
        try:
            return DirectorySearch(
                q=given["q"],
                mine=_MINE.get(given["mine"]),
                visibility=given["visibility"] or None,
                recent=given["recent"] == "1",
                sort=given["sort"] or "active",
                cursor=given["cursor"] or None,
            )
        except ValidationError as error:
            raise invalid_input(error) from None

    async def _context(self) -> dict[str, Any]:
        search, who = self._search(), self.who
        found = await self.factory.projects.directory(who, search)
        asked = await self.factory.join_requests.mine(who) if who else []
        rights = await self.factory.people.rights(who) if who else frozenset()
        return {
            "search": search,
            "mine": self.get_query_argument("mine", ""),
            "found": found,
            "total": await self.factory.projects.count_directory(who, search),
            "asked": {request.project: request for request in asked},
            "may_create": SiteRight.CREATE_PROJECTS in rights,
        }
