"""What a Hub gives an authenticator, as far as the authenticator looks at it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from jhub_cas_authenticator.cas_auth import CASLoginHandler as TheirCASLoginHandler
from jupyterhub.auth import DummyAuthenticator
from ldap3 import MOCK_SYNC, Connection, Server
from ldapauthenticator import LDAPAuthenticator
from oauthenticator.github import GitHubOAuthenticator

from jupyterhub_collab.authenticator.mixin import INVITATION_COOKIE, CollabAuthenticatorMixin
from jupyterhub_collab.authenticator.oidc import OAuthGroupsMixin
from jupyterhub_collab.authenticator.static_groups import StaticGroupsMixin


class Dummy(CollabAuthenticatorMixin, DummyAuthenticator):
    """The mixin on the plainest authenticator."""


class ToldAuthenticator(DummyAuthenticator):
    """Returns the model in the form data, and at refresh what it was told."""

    refreshed: Any = True

    async def authenticate(self, handler: Any, data: Any) -> Any:
        return data["model"]

    async def refresh_user(self, user: Any, handler: Any = None) -> Any:
        return self.refreshed


class Told(CollabAuthenticatorMixin, ToldAuthenticator):
    """The mixin on an authenticator that says what the test wants."""


class GroupAuthenticator(ToldAuthenticator):
    """Admits who is in a group, as many authenticators do."""

    wanted = ""

    def check_allowed(self, username: str, authentication: Any = None) -> Any:
        return self.wanted in (authentication.get("groups") or [])


class ToldByGroup(CollabAuthenticatorMixin, GroupAuthenticator):
    """The mixin on that."""


class StaticDummy(StaticGroupsMixin, DummyAuthenticator):
    """A login without groups, and the table in the configuration."""


class GitHub(OAuthGroupsMixin, GitHubOAuthenticator):
    """Another class of oauthenticator."""


def _entry(uid: str, name: str) -> dict[str, str]:
    return {"uid": uid, "userPassword": "tide", "displayName": name, "sn": name, "objectClass": "person"}


DIRECTORY: dict[str, dict[str, Any]] = {
    "uid=ada,ou=people,dc=example": _entry("ada", "Ada Lovelace"),
    "uid=bob,ou=people,dc=example": _entry("bob", "Bob"),
    "cn=staff,ou=groups,dc=example": {
        "cn": "staff",
        "objectClass": "groupOfNames",
        "member": ["uid=ada,ou=people,dc=example"],
    },
}


class LDAP(CollabAuthenticatorMixin, LDAPAuthenticator):
    """LDAP with the directory in memory that ldap3 brings for tests."""

    def get_connection(self, userdn: str, password: str) -> Connection | None:
        connection = Connection(Server("test"), user=userdn, password=password, client_strategy=MOCK_SYNC)
        for dn, attributes in DIRECTORY.items():
            connection.strategy.add_entry(dn, dict(attributes))
        return connection if connection.bind() else None


@dataclass
class Handler:
    """A request that comes with cookies and arguments."""

    cookies: dict[str, str] = field(default_factory=dict)
    arguments: dict[str, str] = field(default_factory=dict)
    state: str = ""

    def get_cookie(self, name: str, default: str | None = None) -> str | None:
        return self.cookies.get(name, default)

    def get_argument(self, name: str, default: str = "") -> str:
        return self.arguments.get(name, default)

    def get_state_cookie(self) -> str:
        return self.state


class TicketHandler(Handler):
    """A request whose CAS ticket the package's own code checks against the server."""

    def __init__(self, authenticator: Any) -> None:
        super().__init__()
        self.authenticator = authenticator

    make_service_url = TheirCASLoginHandler.make_service_url
    validate_service_ticket = TheirCASLoginHandler.validate_service_ticket


def with_link(code: str) -> Handler:
    """Return a request from a browser that opened an invitation link."""
    return Handler(cookies={INVITATION_COOKIE: code})


@dataclass
class User:
    """A user as the Hub hands it to `refresh_user`."""

    name: str
    user_info: dict[str, Any] | None = None
    auth_state: dict[str, Any] | None = None

    async def get_auth_state(self) -> dict[str, Any] | None:
        return self.auth_state
