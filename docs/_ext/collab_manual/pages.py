"""The addresses of the projects service's pages, from the table that dispatches."""

from __future__ import annotations

from jupyterhub_collab.access.models import Permission
from jupyterhub_collab.reserved import RESERVED_SLUGS
from jupyterhub_collab_services.projects.pages import PageRoute, table

from . import markdown
from .markdown import code, first_line


def text() -> str:
    """Return the reference."""
    rows = [[code(route.path or "/"), first_line(route.handler), _needs(route)] for route in sorted(table, key=_path)]
    return markdown.table(["Address", "Page", "Needs"], rows) + "\n"


def reserved_slugs() -> str:
    """Return the words that no project can have as its slug."""
    return ", ".join(map(code, sorted(RESERVED_SLUGS))) + "."


def _path(route: PageRoute) -> str:
    return route.path


def _needs(route: PageRoute) -> str:
    return ", ".join(
        f"{method} {{permission}}`{needed}`" if isinstance(needed, Permission) else f"{method} {needed}"
        for method, needed in sorted(route.needs.items())
    )
