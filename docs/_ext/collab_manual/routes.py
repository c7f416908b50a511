"""The JSON API, from the table of routes that dispatches and from the OpenAPI document."""

from __future__ import annotations

from itertools import groupby
from typing import Any, Final

from pydantic import BaseModel

from jupyterhub_collab.access.models import Permission
from jupyterhub_collab_services.base.routes import Route
from jupyterhub_collab_services.projects.api import PREFIX, api
from jupyterhub_collab_services.projects.application import document

from .markdown import code, entry, facts, prose, table

BASE: Final = "/services/projects/"


def text() -> str:
    """Return the reference: the routes, by the first word of their path."""
    parts = []
    for path, group in groupby(sorted(api.table, key=_place), key=_heading):
        parts.append(f"## {path}\n")
        parts += [_entry(route) for route in group]
    return "\n".join(parts)


def _heading(route: Route) -> str:
    """Return the noun that a path is about: a list of its own below a project, or the first word."""
    noun, *rest = route.path.strip("/").split("/")
    lists = {path.split("/")[3] for path in _readable() if path.count("/") > 2}  # noqa: PLR2004 - /noun/name/noun
    return (rest[1] if rest[1:] and rest[1] in lists else noun).replace("-", " ").capitalize()


def _readable() -> list[str]:
    return [route.path for route in api.table if route.method == "GET" and route.path.startswith("/projects/")]


def _place(route: Route) -> tuple[str, int]:
    return _heading(route), api.table.index(route)


def _entry(route: Route) -> str:
    return entry(
        "route",
        f"{route.method} {route.path}",
        prose(route.summary),
        facts(
            needs=f"{{permission}}`{route.needs}`" if isinstance(route.needs, Permission) else f"{route.needs}",
            query=_fields(route.query),
            body=_link(route.body),
            answers=f"{int(route.status)} {_link(route.returns)}".strip(),
        ),
    )


def _fields(model: type[BaseModel] | None) -> str:
    return ", ".join(code(name) for name in model.model_fields) if model else ""


def _link(model: type[BaseModel] | None) -> str:
    return f"[{model.__name__}](#model-{model.__name__.lower()})" if model else ""


def models() -> str:
    """Return the models of bodies and answers, each with its fields."""
    schemas: dict[str, dict[str, Any]] = document(BASE)["components"]["schemas"]
    return "\n".join(_model(name, schema) for name, schema in sorted(schemas.items()))


def _model(name: str, schema: dict[str, Any]) -> str:
    lines = [f"(model-{name.lower()})=\n### {name}\n", prose(schema.get("description", "")), ""]
    if "enum" in schema:
        return "\n".join([*lines, "One of: " + ", ".join(code(value) for value in schema["enum"]), ""])
    required = schema.get("required", [])
    rows = [
        [code(field), _type(known), "yes" if field in required else "no", prose(known.get("description", ""))]
        for field, known in schema.get("properties", {}).items()
    ]
    return "\n".join([*lines, table(["Field", "Type", "Always there", "Meaning"], rows), ""])


def _type(schema: dict[str, Any]) -> str:
    if "$ref" in schema:
        name = schema["$ref"].rsplit("/", 1)[1]
        return f"[{name}](#model-{name.lower()})"
    if "anyOf" in schema:
        return " or ".join(_type(one) for one in schema["anyOf"])
    if schema.get("type") == "array":
        return f"list of {_type(schema.get('items', {}))}"
    return str(schema.get("format") or schema.get("type") or "any value")


def prefix() -> str:
    """Return where the API begins, below the service."""
    return f"{BASE}{PREFIX}"
