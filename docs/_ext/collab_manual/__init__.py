"""The Sphinx extension of this manual: reference pages from the code itself, and pictures that tests make.

A page holds a line such as ``<!-- generated: settings -->``; the text for it comes from `PARTS`. Each thing that it
describes becomes an object of its own, so that a page that speaks of a setting, an option or a permission links to it
by a role, and the build fails where there is none of that name.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any, Final

from sphinx.application import Sphinx
from sphinx.environment import BuildEnvironment
from sphinx.errors import ExtensionError

from . import commands, errors, events, hub, metrics, options, pages, rights, routes, settings, values, verbs
from .screenshots import Screenshot, say_what_is_missing

PARTS: Final[dict[str, Callable[[], str]]] = {
    "settings": settings.text,
    "options": options.text,
    "roles": rights.roles,
    "permissions": rights.permission_table,
    "visibility": rights.visibility_table,
    "site-rights": rights.site_rights,
    "errors": errors.text,
    "routes": routes.text,
    "models": routes.models,
    "pages": pages.text,
    "reserved-slugs": pages.reserved_slugs,
    "commands": commands.text,
    "verbs": verbs.text,
    "audit-events": events.text,
    "alerts": metrics.alerts,
    "metrics": metrics.text,
    "hub-scopes": hub.scopes,
    "values": values.text,
    "renamed-values": values.renamed_table,
    "hub-calls": hub.calls,
}
OBJECTS: Final = ("setting", "trait", "permission", "problem", "route", "cli", "verb", "event", "metric", "value")

_MARK: Final = re.compile(r"^<!-- generated: ([a-z-]+) -->$", re.MULTILINE)


def expand(text: str) -> str:
    """Return the text of a page with its generated parts.

    Raises
    ------
    ExtensionError
        There is no such part.
    """

    def part(match: re.Match[str]) -> str:
        if match[1] not in PARTS:
            raise ExtensionError(f"There is no generated part “{match[1]}”. Known: {', '.join(PARTS)}.")
        return PARTS[match[1]]()

    return _MARK.sub(part, text)


def _read(app: Sphinx, docname: str, source: list[str]) -> None:
    if _MARK.search(source[0]):
        _generated(app.env).add(docname)
        source[0] = expand(source[0])


def _generated(env: BuildEnvironment) -> set[str]:
    found: set[str] = vars(env).setdefault("collab_generated", set())
    return found


def _outdated(_app: Sphinx, env: BuildEnvironment, *_changes: set[str]) -> list[str]:
    """Read pages with generated parts at each build: what they come from is not in this folder."""
    return sorted(_generated(env))


def setup(app: Sphinx) -> dict[str, Any]:
    """Register with Sphinx."""
    for name in OBJECTS:
        app.add_object_type(name, name, indextemplate=f"pair: %s; {name}")
    app.add_directive("screenshot", Screenshot)
    app.connect("source-read", _read)
    app.connect("env-get-outdated", _outdated)
    app.connect("build-finished", say_what_is_missing)
    return {"version": "1", "parallel_read_safe": False, "parallel_write_safe": True}
