"""Who may log in: authenticator, configuration, person, invitation, and the answer."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from jupyterhub.orm import new_session_factory
from oauthenticator.oauth2 import _serialize_state
from sqlalchemy.orm import Session
from tornado.web import HTTPError

from jupyterhub_collab.access.models import Role
from jupyterhub_collab.authenticator.accounts import write_accounts
from jupyterhub_collab.authenticator.cas import CollabCASAuthenticator
from jupyterhub_collab.authenticator.demo import DemoAuthenticator
from jupyterhub_collab.authenticator.mixin import INVITATION_COOKIE
from jupyterhub_collab.authenticator.native import CollabNativeAuthenticator
from jupyterhub_collab.authenticator.oidc import CollabOIDCAuthenticator
from jupyterhub_collab.factory import Factory
from tests.authenticator.provider import Provider
from tests.authenticator.support import LDAP, Dummy, Handler, TicketHandler

STAFF = "cn=staff,ou=groups,dc=example"
PASSWORD = "a long tide"
Login = Callable[[dict[str, Any], str, Handler], Any]


@pytest.fixture
def hub_session() -> Iterator[Session]:
    session = new_session_factory("sqlite:///:memory:")()
    yield session
    session.close()


class Logins:
    """Logs a person in by each of the authenticators, with some of its options set."""

    def __init__(self, factory: Factory, provider: Provider, session: Session, folder: Path) -> None:
        self.factory = factory
        self.provider = provider
        self.session = session
        self.folder = folder

    async def dummy(self, traits: dict[str, Any], name: str, handler: Handler) -> Any:
        return await Dummy(factory=self.factory, **traits).get_authenticated_user(
            handler, {"username": name, "password": ""}
        )

    async def demo(self, traits: dict[str, Any], name: str, handler: Handler) -> Any:
        path = self.folder / "accounts.json"
        write_accounts(path, {"ada": "Ada", "bob": "Bob"}, PASSWORD)
        authenticator = DemoAuthenticator(factory=self.factory, accounts_file=str(path), **traits)
        return await authenticator.get_authenticated_user(handler, {"username": name, "password": PASSWORD})

    async def native(self, traits: dict[str, Any], name: str, handler: Handler) -> Any:
        authenticator = CollabNativeAuthenticator(db=self.session, factory=self.factory, **traits)
        if name in {"ada", "bob", "cy"}:
            account = authenticator.get_user(name) or authenticator.create_user(name, PASSWORD)
            account.is_authorized = account.is_authorized or name != "cy"
        return await authenticator.get_authenticated_user(handler, {"username": name, "password": PASSWORD})

    async def oidc(self, traits: dict[str, Any], name: str, handler: Handler) -> Any:
        authenticator = CollabOIDCAuthenticator(
            factory=self.factory,
            client_id="hub",
            client_secret="made-up",
            oauth_callback_url="http://hub/hub/oauth_callback",
            token_url=f"{self.provider.url}/token",
            userdata_url=f"{self.provider.url}/userinfo",
            **traits,
        )
        self.provider.userinfo = {"preferred_username": name, "groups": ["staff"] if name == "ada" else []}
        handler.arguments["code"] = "code"
        handler.state = _serialize_state({"code_verifier": "verifier"})
        self.provider.challenges["code"] = "iMnq5o6zALKXGivsnlom_0F5_WYda32GHkxlV7mq7hQ"
        return await authenticator.get_authenticated_user(handler, None)

    async def cas(self, traits: dict[str, Any], name: str, handler: Handler) -> Any:
        authenticator = CollabCASAuthenticator(
            factory=self.factory,
            cas_service_url="http://hub/hub/login",
            cas_service_validate_url=f"{self.provider.url}/cas/serviceValidate",
            **traits,
        )
        self.provider.userinfo = {"preferred_username": name}
        self.provider.attributes = [("memberOf", "staff")] if name == "ada" else []
        visit = TicketHandler(authenticator)
        visit.cookies = handler.cookies
        return await authenticator.get_authenticated_user(visit, {"ticket": "ST-1-good"})

    async def ldap(self, traits: dict[str, Any], name: str, handler: Handler) -> Any:
        authenticator = LDAP(
            factory=self.factory,
            server_address="test",
            bind_dn_template="uid={username},ou=people,dc=example",
            auth_state_attributes=["displayName"],
            **traits,
        )
        return await authenticator.get_authenticated_user(handler, {"username": name, "password": "tide"})


ALL = ["dummy", "demo", "native", "oidc", "cas", "ldap"]
ADA: dict[str, Any] = {"allowed_users": {"ada"}, "allow_existing_users": False}
CLOSED = {"allow_all": False}
INVITED = {"allow_invited": True}

# authenticator, options, person, holds a link, allowed
TABLE: list[tuple[str, dict[str, Any], str, bool, bool]] = [
    *((kind, {"allow_all": True}, "ada", False, True) for kind in ALL),
    *((kind, CLOSED, "ada", False, False) for kind in ALL),
    *((kind, CLOSED | ADA, "ada", False, True) for kind in ALL),
    *((kind, CLOSED | ADA, "bob", False, False) for kind in ALL),
    *((kind, {"allow_all": True, "blocked_users": {"ada"}}, "ada", False, False) for kind in ALL),
    # an invitation link counts only where the operator says so
    *((kind, CLOSED, "ada", True, False) for kind in ALL),
    *((kind, CLOSED | INVITED, "ada", True, True) for kind in ALL),
    *((kind, CLOSED | INVITED, "ada", False, False) for kind in ALL),
    *((kind, CLOSED | INVITED | {"blocked_users": {"ada"}}, "ada", True, False) for kind in ALL),
    # what is special to each
    ("dummy", {}, "anyone", False, True),
    ("demo", {}, "ada", False, True),
    ("demo", {}, "nobody", False, False),
    ("demo", INVITED, "nobody", True, False),
    ("native", {}, "ada", False, True),
    ("native", {"open_signup": True}, "cy", False, True),
    ("native", {}, "nobody", False, False),
    ("oidc", {}, "ada", False, False),
    ("oidc", {"allowed_groups": {"staff"}}, "ada", False, True),
    ("oidc", {"allowed_groups": {"staff"}}, "bob", False, False),
    ("oidc", {"allowed_groups": {"staff"}} | INVITED, "bob", True, True),
    ("oidc", {"admin_users": {"ada"}}, "ada", False, True),
    ("cas", {"allow_all": True, "cas_required_attribs": {("memberOf", "staff")}}, "ada", False, True),
    ("cas", {"allow_all": True, "cas_required_attribs": {("memberOf", "staff")}}, "bob", False, False),
    ("cas", {"cas_required_attribs": {("memberOf", "staff")}} | INVITED, "bob", True, False),
    ("ldap", {"allowed_groups": [STAFF]}, "ada", False, True),
    ("ldap", {"allowed_groups": [STAFF]}, "bob", False, False),
    ("ldap", {"allowed_groups": [STAFF]} | INVITED, "bob", True, True),
    ("ldap", {"allow_all": True}, "nobody", False, False),
]


def _row(row: tuple[str, dict[str, Any], str, bool, bool]) -> str:
    kind, traits, name, invited, allowed = row
    options = json.dumps(traits, default=sorted)
    return f"{kind} {options} {name}{' with a link' if invited else ''}: {'yes' if allowed else 'no'}"


@pytest.mark.parametrize(("kind", "traits", "name", "invited", "allowed"), TABLE, ids=[_row(row) for row in TABLE])
async def test_who_may_log_in(
    factory: Factory,
    provider: Provider,
    hub_session: Session,
    link: str,
    tmp_path: Path,
    kind: str,
    traits: dict[str, Any],
    name: str,
    invited: bool,
    allowed: bool,
) -> None:
    logins = Logins(factory, provider, hub_session, tmp_path)
    login: Login = getattr(logins, kind)
    model = await login(dict(traits), name, Handler(cookies={INVITATION_COOKIE: link} if invited else {}))
    assert (model is not None) is allowed
    assert (await factory.people.get(name) is not None) is allowed
    # The link has one use, which it takes to let in whom nothing else lets in
    assert await factory.invitations.is_valid_code(link) is not (allowed and invited)
    if allowed and invited:
        again = await login(dict(traits), name, Handler(cookies={}))
        assert again is not None  # before they answered
        assert (await factory.invitations.look(name, link)).invitation.uses_left == 0
        assert (await factory.invitations.accept(name, link)).my_role is Role.VIEWER


@pytest.mark.parametrize("kind", ["dummy", "oidc", "cas", "ldap"])
async def test_a_link_with_one_use_lets_in_one_account(
    factory: Factory, provider: Provider, hub_session: Session, link: str, tmp_path: Path, kind: str
) -> None:
    login: Login = getattr(Logins(factory, provider, hub_session, tmp_path), kind)
    names = ("ada", "bob")
    models = [await login(CLOSED | INVITED, name, Handler(cookies={INVITATION_COOKIE: link})) for name in names]
    assert [model is not None for model in models] == [True, False]
    assert await login(CLOSED | INVITED, "ada", Handler(cookies={INVITATION_COOKIE: link})) is not None


async def test_native_says_who_waits_for_approval(
    factory: Factory, provider: Provider, hub_session: Session, tmp_path: Path
) -> None:
    logins = Logins(factory, provider, hub_session, tmp_path)
    with pytest.raises(HTTPError, match="waits for the operator's approval"):
        await logins.native({}, "cy", Handler())
    assert await factory.people.get("cy") is None


@pytest.mark.parametrize("code", ["", "0000-0000-0000-0000", "x" * 65, "x" * 5000, "ü", "../../etc"])
async def test_an_invalid_code_admits_nobody(factory: Factory, link: str, code: str) -> None:
    assert code != link
    authenticator = Dummy(factory=factory, allow_all=False, allow_invited=True)
    data = {"username": "ada", "password": ""}
    assert await authenticator.get_authenticated_user(Handler(cookies={INVITATION_COOKIE: code}), data) is None


async def test_who_came_by_a_link_may_come_back_while_invited_or_a_member(factory: Factory, link: str) -> None:
    authenticator = Dummy(factory=factory, allow_all=False, allow_invited=True)
    data = {"username": "ada", "password": ""}
    with_link = Handler(cookies={INVITATION_COOKIE: link})
    assert await authenticator.get_authenticated_user(with_link, data)
    assert await authenticator.get_authenticated_user(Handler(), data)  # has not joined yet, and may
    await factory.invitations.accept("ada", link)
    assert await authenticator.get_authenticated_user(Handler(), data)
    bob = {"username": "bob", "password": ""}
    assert await authenticator.get_authenticated_user(with_link, bob) is None  # the link is used up
    await factory.members.remove("lead", "tides", "ada")
    assert await authenticator.get_authenticated_user(Handler(), data) is None


async def test_who_joined_by_a_link_is_refused_where_links_admit_nobody(factory: Factory, link: str) -> None:
    await factory.people.sign_in("ada", display_name="", groups=None)
    await factory.invitations.accept("ada", link)
    authenticator = Dummy(factory=factory, allow_all=False)
    data = {"username": "ada", "password": ""}
    assert await authenticator.get_authenticated_user(Handler(), data) is None
    authenticator.allow_invited = True
    assert await authenticator.get_authenticated_user(Handler(), data)


async def test_who_was_added_by_name_is_not_admitted_by_that(factory: Factory, link: str) -> None:
    assert link
    await factory.people.sign_in("ada", display_name="", groups=None)
    authenticator = Dummy(factory=factory, allow_all=False, allow_invited=True)
    assert await authenticator.get_authenticated_user(Handler(), {"username": "lead", "password": ""}) is None
    assert await authenticator.get_authenticated_user(Handler(), {"username": "ada", "password": ""}) is None


async def test_no_code_reaches_the_model_or_the_log(
    factory: Factory, link: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("DEBUG")
    authenticator = Dummy(factory=factory, allow_all=False, allow_invited=True)
    model = await authenticator.get_authenticated_user(
        Handler(cookies={INVITATION_COOKIE: link}), {"username": "ada", "password": ""}
    )
    assert link not in repr(model)
    assert "collab_invited" not in model
    assert link not in caplog.text


@pytest.mark.parametrize("kind", ["ldap", "cas", "oidc"])
async def test_names_and_groups_of_a_directory(
    factory: Factory, provider: Provider, hub_session: Session, tmp_path: Path, kind: str
) -> None:
    def groups_from_ldap(_authenticator: Any, _handler: Any, model: dict[str, Any]) -> dict[str, Any]:
        return model | {"groups": model["auth_state"]["ldap_groups"]}

    options: dict[str, dict[str, Any]] = {
        "ldap": {"allowed_groups": [STAFF], "post_auth_hook": groups_from_ldap},
        "cas": {"allow_all": True, "cas_groups_attribute": "memberOf"},
        "oidc": {"allow_all": True},
    }
    model = await getattr(Logins(factory, provider, hub_session, tmp_path), kind)(options[kind], "ada", Handler())
    assert model["groups"] == [STAFF if kind == "ldap" else "staff"]
    assert model["user_info"]["display_name"] == ("Ada Lovelace" if kind == "ldap" else "ada")


async def test_a_cas_answer_without_the_attribute_leaves_groups(
    factory: Factory, provider: Provider, hub_session: Session, tmp_path: Path
) -> None:
    logins = Logins(factory, provider, hub_session, tmp_path)
    options = {"allow_all": True, "cas_groups_attribute": "memberOf"}
    await factory.people.sign_in("bob", display_name="", groups=frozenset({"staff"}))
    assert (await logins.cas(options, "bob", Handler()))["groups"] == ["staff"]


async def test_a_wrong_cas_ticket_is_refused(factory: Factory, provider: Provider) -> None:
    authenticator = CollabCASAuthenticator(
        factory=factory,
        allow_all=True,
        cas_service_url="http://hub/hub/login",
        cas_service_validate_url=f"{provider.url}/cas/serviceValidate",
    )
    assert await authenticator.get_authenticated_user(TicketHandler(authenticator), {"ticket": "ST-2-bad"}) is None
