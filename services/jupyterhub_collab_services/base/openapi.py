"""The OpenAPI 3.1 document of a table of routes, from the same models that parse and write."""

from __future__ import annotations

from typing import Any, Final

from pydantic import BaseModel
from pydantic.json_schema import JsonSchemaMode, models_json_schema

from .handlers import PROBLEM
from .routes import Route, Routes

_REF: Final = "#/components/schemas/{model}"


class Problem(BaseModel):
    """What is wrong, why, and the way out (RFC 9457)."""

    type: str
    title: str
    status: int
    detail: str
    code: str
    """Stable; programs act on it."""
    instance: str
    request_id: str
    """The name of the request, for the operator's log; also in the header X-Request-ID."""
    field: str | None = None


def _operation_id(route: Route) -> str:
    return route.endpoint.__name__


def _path_parameters(route: Route) -> list[dict[str, Any]]:
    kinds = {"str": {"type": "string", "minLength": 1}, "int": {"type": "integer", "minimum": 1}}
    return [{"name": name, "in": "path", "required": True, "schema": kinds[kind]} for name, kind in route.parameters]


def _query_parameters(route: Route, schemas: dict[str, Any]) -> list[dict[str, Any]]:
    if route.query is None:
        return []
    schema = schemas[route.query.__name__]
    return [
        {"name": name, "in": "query", "required": name in schema.get("required", []), "schema": field}
        for name, field in schema.get("properties", {}).items()
    ]


def _header_parameters(route: Route) -> list[dict[str, Any]]:
    if route.method != "PATCH":
        return []
    what = "The ETag of the version that is changed, or * for any."
    return [{"name": "If-Match", "in": "header", "required": True, "description": what, "schema": {"type": "string"}}]


def _content(kind: str, name: str) -> dict[str, Any]:
    return {kind: {"schema": {"$ref": _REF.format(model=name)}}}


def _operation(route: Route, names: dict[Any, str], schemas: dict[str, Any]) -> dict[str, Any]:
    answer: dict[str, Any] = {"description": route.summary}
    if route.returns is not None:
        answer["content"] = _content("application/json", names[route.returns, "serialization"])
    problem = {"description": "A problem", "content": _content(PROBLEM, "Problem")}
    operation: dict[str, Any] = {
        "operationId": _operation_id(route),
        "summary": route.summary,
        "description": f"Needs: {route.needs}.",
        "parameters": _path_parameters(route) + _query_parameters(route, schemas) + _header_parameters(route),
        "responses": {str(int(route.status)): answer, "4XX": problem, "503": problem},
    }
    if route.body is not None:
        name = names[route.body, "validation"]
        operation["requestBody"] = {"required": True, "content": _content("application/json", name)}
    return operation


def openapi(routes: Routes, *, title: str, version: str, server: str) -> dict[str, Any]:
    """Return the document."""
    wanted: list[tuple[type[BaseModel], JsonSchemaMode]] = [(Problem, "serialization")]
    for route in routes.table:
        wanted += [(model, "validation") for model in (route.body, route.query) if model]
        wanted += [(route.returns, "serialization")] if route.returns else []
    references, definitions = models_json_schema(list(dict.fromkeys(wanted)), ref_template=_REF)
    schemas = definitions.get("$defs", {})
    names = {key: ref["$ref"].rsplit("/", 1)[1] for key, ref in references.items()}
    paths: dict[str, dict[str, Any]] = {}
    for route in routes.table:
        path = route.path.replace(":int}", "}")
        paths.setdefault(path, {})[route.method.lower()] = _operation(route, names, schemas)
    return {
        "openapi": "3.1.0",
        "info": {"title": title, "version": version},
        "servers": [{"url": server}],
        "paths": paths,
        "components": {
            "schemas": schemas,
            "securitySchemes": {"hub": {"type": "http", "scheme": "bearer", "description": "A JupyterHub API token"}},
        },
        "security": [{"hub": []}, {}],
    }
