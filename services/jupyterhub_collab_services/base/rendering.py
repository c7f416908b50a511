"""Templates: one environment for all pages of a service, with the filters that speak the words of the look."""

from __future__ import annotations

import functools
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from jinja2 import Environment, FileSystemLoader, StrictUndefined, pass_context
from markupsafe import Markup, escape
from tornado.web import StaticFileHandler

from jupyterhub_collab.access.models import Role, Visibility
from jupyterhub_collab.projects.words import words_of

from . import marks, words

if TYPE_CHECKING:
    from datetime import datetime

    from jinja2.runtime import Context

    from jupyterhub_collab.settings import ResourceClass

HERE: Final = Path(__file__).parent
STATIC: Final = HERE / "static"
ROLE_ICONS: Final = {Role.VIEWER: "eye", Role.EDITOR: "pen", Role.LEAD: "key"}
_SOURCES: Final = {"link": "by a link from", "invitation": "invited by"}
VISIBILITY_ICONS: Final = {Visibility.PRIVATE: "lock", Visibility.INTERNAL: "building", Visibility.PUBLIC: "globe"}


@pass_context
def when(context: Context, instant: datetime) -> Markup:
    """Return a time as people say it, with the exact one beside it."""
    return Markup('<time datetime="{}" title="{}">{}</time>').format(
        instant.isoformat(), words.absolute(instant), words.relative(instant, context["now"])
    )


@pass_context
def soon(context: Context, instant: datetime) -> bool:
    """Tell whether less than a day is left."""
    return words.is_soon(instant, context["now"])


def highlight(text: str, search: str) -> Markup:
    """Mark the words of a text that begin like a word of the search."""
    wanted = words_of(search)
    parts = []
    for part in text.split(" "):
        matches = any(found.startswith(word) for found in words_of(part) for word in wanted)
        parts.append(Markup("<mark>{}</mark>").format(part) if matches else escape(part))
    return Markup(" ").join(parts)


def mark_part(text: str, part: str) -> Markup:
    """Mark where a part stands in a name, whatever its case."""
    start = text.lower().find(part.lower()) if part else -1
    if start < 0:
        return escape(text)
    end = start + len(part)
    return Markup("{}<mark>{}</mark>{}").format(text[:start], text[start:end], text[end:])


def source(via: str) -> str:
    """Return where a role comes from, in the words of the members page; a project's maker needs none."""
    kind, _, whom = via.partition(" from ")
    if kind in _SOURCES:
        return f"{_SOURCES[kind]} {whom}"
    if via.startswith("group "):
        return f"via {via.removeprefix('group ')}"
    return "" if via in ("own", "made the project") else via.removeprefix("asked, ")


def runtime_size(resource_class: ResourceClass) -> str:
    """Return what a size is: “2 CPU, 4 GB”."""
    gpu = f", {resource_class.gpu} GPU" if resource_class.gpu else ""
    return f"{resource_class.cpu:g} CPU, {words.memory(resource_class.memory)}{gpu}"


def idle_time(minutes: int) -> str:
    """Return a length of time that settings give in minutes."""
    return words.count_of(minutes // 60, "hour") if minutes % 60 == 0 else words.count_of(minutes, "minute")


def static_url(prefix: str, path: str) -> str:
    """Return the address of a static file, which changes with its content so that browsers may keep it for ever."""
    return StaticFileHandler.make_static_url(
        {"static_path": str(STATIC), "static_url_prefix": f"{prefix}static/"}, path
    )


FILTERS: Final[dict[str, Any]] = {
    "when": when,
    "soon": soon,
    "source": source,
    "highlight": highlight,
    "mark_part": mark_part,
    "runtime_size": runtime_size,
    "idle_time": idle_time,
    "hue": marks.hue,
    "initials": marks.initials,
    "tile_letters": marks.tile_letters,
    "size": words.size,
    "memory": words.memory,
    "count_of": words.count_of,
    "number_word": words.number_word,
    "listing": words.listing,
    "relative": words.relative,
}


@functools.cache
def environment(*folders: Path) -> Environment:
    """Return the templates of some folders and of all pages, every value escaped and no name unknown."""
    found = Environment(
        loader=FileSystemLoader([*folders, HERE / "templates"]),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    found.filters.update(FILTERS)
    found.globals.update(role_icons=ROLE_ICONS, visibility_icons=VISIBILITY_ICONS, Role=Role, Visibility=Visibility)
    return found
