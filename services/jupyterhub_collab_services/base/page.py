"""What every page has: the shell, a policy for the browser, toasts, errors that people can read."""

from __future__ import annotations

import json
import os
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, ClassVar, Final

from pydantic import ValidationError
from tornado.web import StaticFileHandler

from jupyterhub_collab.errors import (
    CollabError,
    InvalidInputError,
    LoginRequiredError,
    NotFoundError,
    UnknownAccountError,
)
from jupyterhub_collab.factory import utc_now

from .errors import MethodNotAllowedError
from .handlers import CollabHandler, invalid_input
from .metrics import count_problem
from .rendering import STATIC, environment, static_url

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime
    from pathlib import Path

ISOLATION: Final = "JUPYTERHUB_COLLAB_ISOLATION"
_MOST_DIGITS: Final = 18  # below 2**63
_TOAST: Final = "collab-toast"
_TOAST_SECONDS: Final = 60
# Styles of elements are classes, scripts are files: nothing inline may run. Bootstrap's small pictures are data.
_POLICY: Final = (
    "default-src 'self'; img-src 'self' data:; object-src 'none'; base-uri 'none'; form-action 'self'{servers};"
    " frame-ancestors 'none'"
)
# A form that can be mended is shown again; these can't be mended there.
_FINAL: Final = frozenset({HTTPStatus.UNAUTHORIZED, HTTPStatus.NOT_FOUND})


def row_number(text: str) -> int | None:
    """Return the number of a row that a text names; None where no row can have it."""
    fits = text.isascii() and text.isdigit() and len(text) <= _MOST_DIGITS
    return int(text) if fits else None


class PageHandler(CollabHandler):
    """A handler that answers with a page, or with the part of one that htmx asks for."""

    template_folders: ClassVar[tuple[Path, ...]] = ()

    def set_default_headers(self) -> None:
        """Say to the browser what this page may do."""
        super().set_default_headers()
        self.set_header("Content-Security-Policy", _POLICY.format(servers=self.settings.get("server_origins", "")))
        self.set_header("Vary", "HX-Request")

    async def prepare(self) -> None:
        """Find out who asks, and refuse addresses that nothing can be called.

        Raises
        ------
        NotFoundError
        """
        await super().prepare()
        if any("\0" in value for value in self.path_args):
            raise NotFoundError("page")

    @property
    def now(self) -> datetime:
        """The present instant."""
        clock: Callable[[], datetime] = self.settings.get("clock", utc_now)
        return clock()

    @property
    def prefix(self) -> str:
        """Where the pages of this service begin."""
        return str(self.settings["prefix"])

    @property
    def wants_part(self) -> bool:
        """Whether htmx asks for a part of the page."""
        return self.request.headers.get("HX-Request") == "true"

    def me(self) -> str:
        """Return who asks.

        Raises
        ------
        LoginRequiredError
        """
        if self.who is None:
            raise LoginRequiredError
        return self.who

    def field(self, name: str, default: str = "") -> str:
        """Return a field of a form.

        Raises
        ------
        InvalidInputError
            It holds a zero byte, which no database keeps.
        """
        value = self.get_body_argument(name, default)
        if "\0" in value:
            raise InvalidInputError("It holds a zero byte, so it is not text.", field=name)
        return value.replace("\r\n", "\n")

    def number(self, name: str) -> int:
        """Return a field that names a row.

        Raises
        ------
        NotFoundError
            It is no number that a row can have.
        """
        found = row_number(self.field(name))
        if found is None:
            raise NotFoundError("row")
        return found

    async def shell(self) -> dict[str, Any]:
        """Return what the shell shows besides the page, such as the count of what needs the reader."""
        return {}

    def page_context(self) -> dict[str, Any]:
        """Return what every template may use."""
        site = self.factory.settings.site
        return {
            "now": self.now,
            "site": site,
            "who": self.who,
            "is_hub_admin": self.is_hub_admin,
            "prefix": self.prefix,
            "path": self.request.path,
            "hub": self.hub_auth.hub_prefix,
            "login_url": f"{self.prefix}login?next={self.request.path}",
            "static": lambda path: static_url(self.prefix, path),
            "xsrf": self._xsrf(),
            "request_id": self.request_id,
            "isolation": os.environ.get(ISOLATION, ""),
            "needs": 0,
            "is_operator": False,
            "toast": None,
            "problem": None,
            "values": {},
        }

    def _xsrf(self) -> str:
        token = self.xsrf_token
        return token.decode() if isinstance(token, bytes) else str(token)

    async def page(self, template: str, *, status: int = HTTPStatus.OK, **context: Any) -> None:
        """Answer with a page."""
        context = {**self.page_context(), **await self.shell(), "toast": self._take_toast(), **context}
        self.set_status(status)
        self.finish(self._render(template, context))

    def part(self, template: str, **context: Any) -> None:
        """Answer with a part of a page, for htmx."""
        self.finish(self._render(template, {**self.page_context(), "toast": self._take_toast(), **context}))

    def _render(self, template: str, context: dict[str, Any]) -> str:
        return environment(*self.template_folders).get_template(template).render(context)

    def leave_toast(self, text: str, undo: tuple[str, dict[str, str]] | None = None) -> None:
        """Let the next page say what happened; ``undo`` is address and fields of the form that takes it back."""
        toast = {"text": text, "undo": list(undo) if undo else None}
        self._toast = toast
        self.set_secure_cookie(
            _TOAST,
            json.dumps(toast),
            expires_days=None,
            max_age=_TOAST_SECONDS,
            path=self.prefix,
            httponly=True,
            samesite="Lax",
            secure=self.is_https,
        )

    _toast: dict[str, Any] | None = None

    def _take_toast(self) -> dict[str, Any] | None:
        if self._toast is not None:
            self.clear_cookie(_TOAST, path=self.prefix)
            return self._toast
        kept = self.get_secure_cookie(_TOAST, max_age_days=1)
        if kept is None:
            return None
        self.clear_cookie(_TOAST, path=self.prefix)
        toast: dict[str, Any] = json.loads(kept)
        return toast

    def write_error(self, status_code: int, **kwargs: Any) -> None:  # noqa: ARG002 - the problem has its own status
        """Answer an exception with a page that says what to do; a visitor is asked to log in."""
        problem = self.problem(kwargs)
        if self.leads_to_login(problem) and self.request.method == "GET" and not self.wants_part:
            self.clear_header("WWW-Authenticate")
            self.redirect(self.get_login_url())
            return
        self.set_status(problem.status)
        self.set_header("Content-Type", "text/html; charset=UTF-8")
        self.finish(self._render("error.html", {**self.page_context(), "problem": problem, **self.error_context()}))

    def leads_to_login(self, problem: CollabError) -> bool:
        """Tell whether a visitor is asked to log in instead of being told what is wrong."""
        return isinstance(problem, LoginRequiredError) and not isinstance(problem, UnknownAccountError)

    def error_context(self) -> dict[str, Any]:
        """Return what the error page may use besides; it can't wait for the database."""
        return {}


class FormHandler(PageHandler):
    """A form's address. What can't be done comes back in the form, with what was typed."""

    async def act(self, *arguments: Any, **options: Any) -> None:
        """Do what the form asks for; the arguments are those of the address."""
        del arguments, options
        raise MethodNotAllowedError(["GET"])

    async def again(self, problem: CollabError, *arguments: str) -> None:
        """Show the form again, with what is wrong."""
        del arguments
        raise problem

    async def post(self, *arguments: str) -> None:
        """Do what the form asks for, or say why not."""
        try:
            await self.act(*arguments)
        except (CollabError, ValidationError) as error:
            problem = invalid_input(error) if isinstance(error, ValidationError) else error
            if problem.status in _FINAL:
                raise
            await self.again(problem, *arguments)
            count_problem(self, problem)


class StaticFiles(StaticFileHandler):
    """Styles, scripts and pictures, kept by browsers for as long as their content stays."""

    def set_extra_headers(self, path: str) -> None:  # noqa: ARG002 - the signature is tornado's
        """Let no browser guess what a file is."""
        self.set_header("X-Content-Type-Options", "nosniff")


def static_route(prefix: str) -> tuple[str, type[StaticFiles], dict[str, str]]:
    """Return the route of the static files."""
    return (f"{prefix}static/(.*)", StaticFiles, {"path": str(STATIC)})
