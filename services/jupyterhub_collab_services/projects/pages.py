"""All pages of the projects service."""

from __future__ import annotations

from typing import Any

from jupyterhub_collab.errors import NotFoundError
from jupyterhub_collab_services.base.page import static_route

from . import (
    pages_data,
    pages_directory,
    pages_joining,
    pages_members,
    pages_mine,
    pages_operator,
    pages_project,
    pages_server,
    pages_settings,
)
from .page_base import PageRoute, ProjectsPage, table

__all__ = ["NotFoundPage", "PageRoute", "pages", "table"]

MODULES = (
    pages_mine,
    pages_directory,
    pages_joining,
    pages_project,
    pages_members,
    pages_data,
    pages_settings,
    pages_server,
    pages_operator,
)


class NotFoundPage(ProjectsPage):
    """Answers for addresses that do not exist."""

    async def prepare(self) -> None:
        """Answer before anything is asked of the Hub.

        Raises
        ------
        NotFoundError
        """
        raise NotFoundError("page")


def pages(prefix: str) -> list[Any]:
    """Return the routes of all pages."""
    return [static_route(prefix), *(route.spec(prefix) for route in table)]
