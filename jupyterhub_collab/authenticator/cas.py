"""Login by CAS, with the package jhub-cas-authenticator."""

from __future__ import annotations

from typing import Any

from jhub_cas_authenticator.cas_auth import CASAuthenticator
from jhub_cas_authenticator.cas_auth import CASLoginHandler as TheirLoginHandler
from jupyterhub.handlers.login import LogoutHandler
from tornado import web
from traitlets import Unicode

from .mixin import AuthModel, CollabAuthenticatorMixin


class CASLoginHandler(TheirLoginHandler):
    """Lets the Hub log in whoever holds a valid ticket.

    *Their usual flow.* The handler checks the ticket and sets the login cookie itself, so that neither `allowed_users`
    nor `blocked_users` nor anything else of the Hub's login takes place.

    *What is done instead.* With a ticket it calls `login_user`, which calls our `authenticate`.
    """

    async def get(self) -> None:
        """Send a visitor to the CAS server, or log in someone who comes back from it.

        Raises
        ------
        HTTPError
            The ticket or its holder is refused.
        """
        ticket = self.get_argument("ticket", "")
        if not ticket:
            await super().get()
            return
        user = await self.login_user({"ticket": ticket})
        if user is None:
            raise web.HTTPError(403, "You can't log in here with this account. Ask the operator of this Hub.")
        self._jupyterhub_user = user
        self.redirect(self.get_next_url(user))


class CASLogoutHandler(LogoutHandler):
    """Logs out of the Hub, then of CAS; theirs calls what JupyterHub 6 has no more."""

    async def render_logout_page(self) -> None:
        """Send the browser to the CAS server's own logout."""
        self.redirect(self.authenticator.cas_logout_url, permanent=False)


class TicketAuthenticator(CASAuthenticator):
    """Authenticates the holder of a CAS service ticket."""

    cas_groups_attribute = Unicode(
        config=True,
        help="""
        The attribute whose values are a person's identity groups, such as `memberOf`.

        Where it is missing from an answer, groups stay as they are.
        """,
    )

    def get_handlers(self, app: Any) -> list[tuple[str, type]]:  # noqa: ARG002 - the Hub's signature
        """Return our handlers in place of theirs."""
        return [(r"/login", CASLoginHandler), (r"/logout", CASLogoutHandler)]

    async def authenticate(self, handler: Any, data: Any) -> AuthModel | None:
        """Return whose ticket this is, or None where the server or the required attributes refuse it."""
        valid, name, attributes = await handler.validate_service_ticket(data["ticket"])
        if not valid or not self.cas_required_attribs <= attributes:
            return None
        values: dict[str, list[str]] = {}
        for key, value in sorted((key, value or "") for key, value in attributes):
            values.setdefault(key, []).append(value)
        groups = values.get(self.cas_groups_attribute)
        return {"name": name, "groups": groups, "auth_state": {"user_attributes": values}}


class CollabCASAuthenticator(CollabAuthenticatorMixin, TicketAuthenticator):
    """CAS, with the Hub's own checks and identity groups from an attribute."""
