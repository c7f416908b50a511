"""Routes of a JSON API as data: dispatch, OpenAPI and the permission matrix of the tests come from the same table."""

from __future__ import annotations

import json
import re
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any, Final, TypeVar

from pydantic import BaseModel, ValidationError
from tornado.routing import URLSpec

from jupyterhub_collab.access.models import Permission, SiteRight
from jupyterhub_collab.errors import InvalidInputError, NotFoundError
from jupyterhub_collab.factory import Factory

from .errors import MethodNotAllowedError, NotJsonError
from .handlers import CollabHandler, invalid_input

_PARAMETER: Final = re.compile(r"\{(\w+)(?::(\w+))?\}")

# Neither a zero byte nor half of a surrogate pair, which JSON can write, is kept by a database
_NO_TEXT: Final = re.compile("[\0\ud800-\udfff]")
_NO_TEXT_SENTENCE: Final = "It holds a zero byte or half of a character, so it is not text."

M = TypeVar("M", bound=BaseModel)


@dataclass(frozen=True, kw_only=True, slots=True)
class Call:
    """One request as an endpoint sees it."""

    factory: Factory
    who: str | None
    token: str | None
    handler: CollabHandler
    body: Any = None
    query: Any = None

    @property
    def if_match(self) -> str | None:
        """The entity tag that the client expects."""
        return self.handler.request.headers.get("If-Match")


@dataclass(frozen=True, kw_only=True, slots=True)
class Answer:
    """An answer with more than a body."""

    body: BaseModel | None = None
    status: HTTPStatus | None = None
    headers: dict[str, str] = field(default_factory=dict)


Endpoint = Callable[..., Awaitable[Any]]


@dataclass(frozen=True, kw_only=True, slots=True)
class Route:
    """One method of one address."""

    method: str
    path: str
    """With parameters in braces: ``{slug}``, or ``{id:int}``."""
    endpoint: Endpoint
    needs: Permission | SiteRight | str
    """The permission that the core checks; for the manual and for the tests, never for the decision."""
    body: type[BaseModel] | None = None
    query: type[BaseModel] | None = None
    returns: type[BaseModel] | None = None
    status: HTTPStatus = HTTPStatus.OK
    audited: bool = True
    """Whether a change by this route leaves an audit event; for the tests."""

    @property
    def summary(self) -> str:
        """The first line of the endpoint's docstring."""
        return (self.endpoint.__doc__ or "").strip().splitlines()[0]

    @property
    def parameters(self) -> list[tuple[str, str]]:
        """The path's parameters and their types."""
        return [(name, kind or "str") for name, kind in _PARAMETER.findall(self.path)]


class Routes:
    """A table of routes, filled by decorators."""

    def __init__(self) -> None:
        self.table: list[Route] = []

    def __call__(
        self, method: str, path: str, *, needs: Permission | SiteRight | str, **rest: Any
    ) -> Callable[[Endpoint], Endpoint]:
        """Put the decorated function into the table."""

        def add(endpoint: Endpoint) -> Endpoint:
            self.table.append(Route(method=method, path=path, endpoint=endpoint, needs=needs, **rest))
            return endpoint

        return add

    def handlers(self, root: str, prefix: str) -> list[URLSpec]:
        """Return what tornado needs to dispatch, one entry for each path below the root of the service."""
        paths: dict[str, dict[str, Route]] = {}
        for route in self.table:
            paths.setdefault(route.path, {})[route.method] = route
        return [
            URLSpec(
                f"{root}{prefix}" + _PARAMETER.sub("([^/]+)", path),
                ApiHandler,
                {"routes": routes, "route": f"/{prefix}{path}"},
            )
            for path, routes in paths.items()
        ]


class ApiHandler(CollabHandler):
    """Parses a request, calls the endpoint of its route and shapes the answer."""

    _routes: dict[str, Route]

    def initialize(self, routes: dict[str, Route], route: str) -> None:
        """Take the routes of this path, by method, and what to call it."""
        self._routes = routes
        self.route = route

    async def _answer(self, *arguments: str) -> None:
        route = self._routes.get(self.request.method or "")
        if route is None:
            raise MethodNotAllowedError(sorted(self._routes))
        call = Call(
            factory=self.factory,
            who=self.who,
            token=self.person_token,
            handler=self,
            body=self._body(route.body) if route.body else None,
            query=self._query(route.query) if route.query else None,
        )
        result = await route.endpoint(call, **_arguments(route, arguments))
        self._write(route, result if isinstance(result, Answer) else Answer(body=result))

    get = head = post = put = patch = delete = options = _answer

    def _body(self, model: type[M]) -> M:
        text = self.request.body or b"{}"
        try:
            content = json.loads(text)
        except (ValueError, RecursionError) as error:
            why = "It can't be parsed."
            raise NotJsonError(why) from error
        if not isinstance(content, dict):
            why = "It is JSON, but not an object."
            raise NotJsonError(why)
        return _validated(model, content)

    def _query(self, model: type[M]) -> M:
        values = {name: self.get_query_argument(name) for name in self.request.query_arguments if name != "_xsrf"}
        return _validated(model, values)

    def _write(self, route: Route, answer: Answer) -> None:
        for name, value in answer.headers.items():
            self.set_header(name, value)
        self.set_status(answer.status or route.status)
        if answer.body is None:
            self.finish()
            return
        self.set_header("Content-Type", "application/json")
        self.finish(answer.body.model_dump_json())


class UnknownPathHandler(CollabHandler):
    """Answers for addresses that do not exist."""

    async def prepare(self) -> None:
        """Answer before anything is asked of the Hub."""
        raise NotFoundError("page")


def _validated(model: type[M], values: dict[str, Any]) -> M:
    for name, value in values.items():
        if isinstance(value, str) and _NO_TEXT.search(value):
            raise InvalidInputError(_NO_TEXT_SENTENCE, field=name)
    try:
        return model.model_validate(values)
    except ValidationError as error:
        raise invalid_input(error) from None


def _arguments(route: Route, values: tuple[str, ...]) -> dict[str, str | int]:
    arguments: dict[str, str | int] = {}
    for (name, kind), value in zip(route.parameters, values, strict=True):
        if kind == "int":
            if not value.isascii() or not value.isdigit() or len(value) > 18:  # noqa: PLR2004 - below 2**63
                raise NotFoundError(name)
            arguments[name] = int(value)
        elif _NO_TEXT.search(value):
            raise InvalidInputError(_NO_TEXT_SENTENCE, field=name)
        else:
            arguments[name] = value
    return arguments
