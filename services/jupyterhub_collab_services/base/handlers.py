"""Who asks, and how an answer or an error goes out."""

from __future__ import annotations

import json
import logging
from http import HTTPStatus
from typing import Any, cast

from jupyterhub.services.auth import HubAuth, HubOAuthenticated, UserNotAllowed
from jupyterhub.utils import get_browser_protocol
from pydantic import ValidationError
from sqlalchemy.exc import InterfaceError, OperationalError
from tornado.httputil import HTTPServerRequest
from tornado.web import HTTPError, RequestHandler

from jupyterhub_collab import logs
from jupyterhub_collab.errors import (
    CollabError,
    DatabaseAwayError,
    ForbiddenError,
    InvalidInputError,
    LoginRequiredError,
    NotFoundError,
)
from jupyterhub_collab.factory import Factory

from .body_limit import LIMIT
from .errors import BodyTooLargeError, HubAwayError, MethodNotAllowedError, UnexpectedError, XsrfError
from .metrics import count_problem

log = logging.getLogger(__name__)

PROBLEM = "application/problem+json"
_WRITES = frozenset({"POST", "PUT", "PATCH", "DELETE"})


def problem_of(error: BaseException | None, request_id: str) -> CollabError:
    """Return the error that the asker is shown for whatever went wrong."""
    if isinstance(error, CollabError):
        return error
    if isinstance(error, ValidationError):
        return invalid_input(error)
    if isinstance(error, OperationalError | InterfaceError):
        return DatabaseAwayError()
    if isinstance(error, HTTPError):
        if error.status_code == HTTPStatus.NOT_FOUND:
            return NotFoundError()
        if error.status_code < HTTPStatus.INTERNAL_SERVER_ERROR:
            return _client_error(error)
    return UnexpectedError(request_id)


def _client_error(error: HTTPError) -> CollabError:
    problem = CollabError(
        str(error.log_message or error.reason or "") or "The request is not one that this address takes."
    )
    problem.status = error.status_code  # type: ignore[misc]
    problem.code = "bad-request"  # type: ignore[misc]
    return problem


def invalid_input(error: ValidationError) -> InvalidInputError:
    """Return the error for a body or query whose fields do not fit, naming each of them."""
    items = error.errors(include_url=False, include_context=False, include_input=False)
    fields = [
        {
            "field": ".".join(str(part) for part in item["loc"]) or "body",
            "message": item["msg"].removeprefix("Value error, "),
        }
        for item in items
    ]
    first = fields[0]
    return InvalidInputError(f"{first['field']}: {first['message']}.", field=first["field"], errors=fields)


class CollabHandler(HubOAuthenticated, RequestHandler):
    """A handler that knows who asks. What they may do, the core decides.

    JupyterHub's usual flow identifies the user in ``get_current_user``, synchronously and with its own errors; here it
    is done once, in ``prepare``, without blocking. A bearer token in the Authorization header is the only thing that
    counts where there is one; else the service's OAuth cookie does, and then every write needs the XSRF token.

    Rests on ``HubOAuth.user_for_token``, ``HubAuth.get_user(handler, sync=False)`` and ``HubAuth.get_token``.
    """

    who: str | None = None
    request_id: str = ""
    route: str = ""
    """The address as the table of routes has it, for metrics and log."""

    @property
    def factory(self) -> Factory:
        """The services of the core."""
        return cast("Factory", self.settings["factory"])

    @property
    def origin(self) -> str:
        """Scheme and host by which people reach this service: what the operator said, else what the browser used.

        Whoever sends another Host to the proxy changes what they see themselves, and nothing of others.
        """
        told: str = self.settings.get("public_origin", "")
        return told or f"{get_browser_protocol(self.request)}://{self.request.host}"

    @property
    def is_https(self) -> bool:
        """Whether browsers come by https, so that cookies are sent by nothing else."""
        return self.origin.startswith("https:")

    @property
    def person_token(self) -> str | None:
        """The token with which the person came: their own, with their own rights."""
        return cast("str | None", self.hub_auth.get_token(self))

    @property
    def is_hub_admin(self) -> bool:
        """Whether the Hub shows this person its admin page; decides nothing but a link."""
        user = self.current_user
        return bool(user and user.get("admin"))

    def set_default_headers(self) -> None:
        """Say to the browser what this page may do."""
        self.request_id = logs.request_id()
        self.set_header(logs.HEADER, self.request_id)
        self.set_header("X-Content-Type-Options", "nosniff")
        self.set_header("Referrer-Policy", "same-origin")
        self.set_header("Cache-Control", "no-store")
        self.clear_header("Server")

    def check_xsrf_cookie(self) -> None:
        """Check the XSRF token of requests that come with cookies.

        Raises
        ------
        XsrfError
        """
        if self.hub_auth.get_token(self, in_cookie=False):  # an empty one is none
            return
        if not self.hub_auth.get_token(self):  # nobody's cookie, so nobody's rights to abuse: they are told to log in
            return
        try:
            super().check_xsrf_cookie()
        except HTTPError as error:
            raise XsrfError from error

    async def prepare(self) -> None:
        """Find out who asks."""
        if too_large(self.request):
            raise BodyTooLargeError(LIMIT)
        user = await self._user()
        if user is not None:
            self.current_user = user
            self.who = user["name"] if user.get("kind", "user") == "user" else None

    def get_current_user(self) -> None:
        """Know nobody by itself: `prepare` finds out who asks, and an error before that is shown to nobody known."""

    async def _user(self) -> dict[str, Any] | None:
        try:
            return await self._user_of_hub()
        except HTTPError as error:
            if error.status_code < HTTPStatus.INTERNAL_SERVER_ERROR:
                raise
            raise HubAwayError from error

    async def _user_of_hub(self) -> dict[str, Any] | None:
        auth = cast("HubAuth", self.hub_auth)
        token = auth.get_token(self, in_cookie=False)
        if not token:
            user = await auth.get_user(self, sync=False)
        else:
            self._token_authenticated = True
            user = await auth.user_for_token(token, sync=False) if token.isalnum() else None
            if user is None:
                raise LoginRequiredError
        try:
            return self.check_hub_user(user) if user else None
        except UserNotAllowed as error:
            msg = "Your account may not use this service. Ask the operator for “access:services”."
            raise ForbiddenError(msg) from error

    def write_problem(self, problem: CollabError) -> None:
        """Answer with a problem document (RFC 9457)."""
        self.set_status(problem.status)
        self.set_header("Content-Type", PROBLEM)
        about_request = {"instance": self.request.path, "request_id": self.request_id}
        self.finish(json.dumps(problem.problem() | about_request))

    def problem(self, kwargs: dict[str, Any]) -> CollabError:
        """Return what to show for the exception that tornado hands to ``write_error``."""
        error = kwargs["exc_info"][1] if "exc_info" in kwargs else None
        problem = problem_of(error, self.request_id)
        count_problem(self, problem)
        if isinstance(problem, LoginRequiredError):
            self.set_header("WWW-Authenticate", "Bearer")
        if isinstance(problem, MethodNotAllowedError):
            self.set_header("Allow", ", ".join(problem.allowed))
        if problem.extra.get("retry_after"):
            self.set_header("Retry-After", str(problem.extra["retry_after"]))
        return problem

    def write_error(self, status_code: int, **kwargs: Any) -> None:  # noqa: ARG002 - the problem has its own status
        """Answer an exception with its problem."""
        self.write_problem(self.problem(kwargs))

    def log_exception(self, typ: Any, value: Any, tb: Any) -> None:
        """Log faults of ours with their trace, and nothing for errors that are the asker's to mend."""
        if isinstance(value, CollabError | ValidationError):
            return
        if isinstance(value, HTTPError) and value.status_code < HTTPStatus.INTERNAL_SERVER_ERROR:
            return
        log.error("request %s failed: %s", self.request_id, self.route, exc_info=(typ, value, tb))


def too_large(request: HTTPServerRequest) -> bool:
    """Tell whether the server threw the body away because of its size; see `body_limit`."""
    return getattr(request.connection, "collab_body_too_large", False) or len(request.body) > LIMIT
