"""The ready classes in a real Hub, through their own pages."""

from __future__ import annotations

from pathlib import Path

import pytest

from jupyterhub_collab.access.models import Role
from jupyterhub_collab.authenticator.accounts import Attempts, is_password, read_accounts, write_accounts
from jupyterhub_collab.authenticator.demo import DemoAuthenticator
from jupyterhub_collab.errors import SettingsError, TooManyRequestsError
from jupyterhub_collab.factory import Factory
from tests.authenticator.hub import Answer, Browser, running_hub
from tests.authenticator.provider import Provider

PASSWORD = "a long tide"
NATIVE = """
c.JupyterHub.authenticator_class = "jupyterhub_collab.authenticator.native.CollabNativeAuthenticator"
c.CollabNativeAuthenticator.admin_users = {"operator"}
c.CollabNativeAuthenticator.allow_invited = True
c.CollabNativeAuthenticator.static_groups = {"staff": ["ada"]}
"""
DEMO = """
c.JupyterHub.authenticator_class = "jupyterhub_collab.authenticator.demo.DemoAuthenticator"
c.DemoAuthenticator.attempts_per_minute = 3
c.DemoAuthenticator.static_groups = {"staff": ["lead"]}
"""
OIDC = """
c.JupyterHub.authenticator_class = "jupyterhub_collab.authenticator.oidc.CollabOIDCAuthenticator"
c.CollabOIDCAuthenticator.client_id = "hub"
c.CollabOIDCAuthenticator.client_secret = "made-up"
c.CollabOIDCAuthenticator.oauth_callback_url = "http://127.0.0.1:{port}/hub/oauth_callback"
c.CollabOIDCAuthenticator.authorize_url = "{provider}/authorize"
c.CollabOIDCAuthenticator.token_url = "{provider}/token"
c.CollabOIDCAuthenticator.userdata_url = "{provider}/userinfo"
c.CollabOIDCAuthenticator.allowed_groups = {"staff"}
"""
CAS = """
c.JupyterHub.authenticator_class = "jupyterhub_collab.authenticator.cas.CollabCASAuthenticator"
c.CollabCASAuthenticator.cas_login_url = "{provider}/cas/login"
c.CollabCASAuthenticator.cas_logout_url = "{provider}/cas/logout"
c.CollabCASAuthenticator.cas_service_url = "http://127.0.0.1:{port}/hub/login"
c.CollabCASAuthenticator.cas_service_validate_url = "{provider}/cas/serviceValidate"
c.CollabCASAuthenticator.cas_groups_attribute = "memberOf"
c.CollabCASAuthenticator.allow_all = True
c.CollabCASAuthenticator.blocked_users = {"mallory"}
"""


async def sign_up(browser: Browser, name: str, password: str = PASSWORD) -> Answer:
    page = await browser.get("/hub/signup")
    twice = {"signup_password": password, "signup_password_confirmation": password}
    return await browser.post("/hub/signup", _xsrf=page.xsrf, username=name, **twice)


async def test_native_sign_up_with_approval_and_by_invitation(factory: Factory, tmp_path: Path, link: str) -> None:
    async with running_hub(tmp_path, NATIVE) as hub:
        operator, ada, bob = hub.browser(), hub.browser(), hub.browser()
        assert "/hub/signup" in (await ada.get("/hub/login")).text
        assert "You can now go to" in (await sign_up(operator, "operator")).text
        assert (await operator.log_in("operator", PASSWORD)).status == 302

        for weak in ("short", "1234567890", "x" * 73):
            assert "Something went wrong" in (await sign_up(ada, "ada", weak)).text
        assert "sent to the admin" in (await sign_up(ada, "ada")).text
        assert "already in use" in (await sign_up(bob, "ada")).text
        waiting = await ada.log_in("ada", PASSWORD)
        assert (waiting.status, ada.is_logged_in()) == (403, False)
        assert "waits for the operator" in waiting.text
        assert "Invalid username or password" in (await ada.log_in("ada", "wrong")).text
        assert "Invalid username or password" in (await ada.log_in("ada", "x" * 100)).text

        # approving is a button, for operators, with the page's own token
        page = await operator.get("/hub/authorize")
        assert 'aria-label="Approve ada"' in page.text
        assert (await operator.get("/hub/authorize/ada")).status == 405
        assert (await operator.get("/hub/discard/ada")).status == 405
        assert (await operator.post("/hub/authorize/ada")).status == 403
        assert (await ada.post("/hub/authorize/ada", _xsrf=(await ada.get("/hub/login")).xsrf)).status in {403, 404}
        assert (await operator.post("/hub/authorize/nobody", _xsrf=page.xsrf)).status == 404
        assert (await operator.post("/hub/authorize/ada", _xsrf=page.xsrf)).status == 302
        assert (await ada.log_in("ada", PASSWORD)).status == 302
        assert (await hub.user("ada") or {})["groups"] == ["staff"]
        assert (await ada.get("/hub/authorize")).status == 403
        assert (await operator.post("/hub/discard/ada", _xsrf=page.xsrf)).status == 409
        assert (await hub.browser().log_in("ada", PASSWORD)).status == 302

        # a valid link needs no approval, but does not approve an account that somebody else made
        assert "sent to the admin" in (await sign_up(hub.browser(), "eve")).text
        bob.hold_link(link)
        assert "already in use" in (await sign_up(bob, "eve")).text
        assert (await bob.log_in("eve", PASSWORD)).status == 403
        for wrong in ("short", "1234567890"):  # an account that could not be made takes no use
            assert "Something went wrong" in (await sign_up(bob, "bob", wrong)).text
        assert "Your account is ready" in (await sign_up(bob, "bob")).text
        assert (await bob.log_in("bob", PASSWORD)).status == 302
        assert not await factory.invitations.is_valid_code(link)
        cy = hub.browser()
        cy.hold_link(link)
        assert "sent to the admin" in (await sign_up(cy, "cy")).text  # the one use is bob's
        assert (await factory.invitations.accept("bob", link)).my_role is Role.VIEWER
        assert (await operator.post("/hub/discard/eve", _xsrf=page.xsrf)).status == 302
        assert 'aria-label="Approve eve"' not in (await operator.get("/hub/authorize")).text
        log = hub.log.read_text()
    assert link not in log
    assert PASSWORD not in log
    assert "Traceback" not in log


async def test_native_gives_no_name_with_rights_to_whoever_takes_it(
    factory: Factory, tmp_path: Path, link: str
) -> None:
    await factory.people.sign_in("known", groups=None)
    async with running_hub(tmp_path, NATIVE.replace('{"operator"}', '{"operator", "second", "third"}')) as hub:
        for name, status in (("operator", 302), ("second", 403)):
            browser = hub.browser()
            await sign_up(browser, name)
            assert (await browser.log_in(name, PASSWORD)).status == status
        for name in ("third", "ada", "known", "Third "):
            holder = hub.browser()
            holder.hold_link(link)
            assert "Your account is ready" not in (await sign_up(holder, name)).text
            assert (await holder.log_in(name, PASSWORD)).status != 302
        holder = hub.browser()
        holder.hold_link(link)
        assert "Your account is ready" in (await sign_up(holder, "carol")).text


async def test_native_closes_an_account_that_is_tried_too_often(factory: Factory, tmp_path: Path) -> None:
    assert factory.database.is_sqlite
    async with running_hub(tmp_path, NATIVE) as hub:
        browser = hub.browser()
        await sign_up(browser, "operator")
        assert (await hub.browser().log_in("operator", PASSWORD)).status == 302
        for _ in range(10):
            assert (await browser.log_in("operator", "wrong")).status == 403
        assert (await browser.log_in("operator", PASSWORD)).status == 403
        assert not browser.is_logged_in()


async def test_demo_accounts(factory: Factory, tmp_path: Path) -> None:
    path = tmp_path / "accounts.json"
    passwords = write_accounts(path, {"lead": "Lea Lead", "viewer": "Vic Viewer"})
    async with running_hub(tmp_path, DEMO) as hub:
        browser = hub.browser()
        assert (await browser.log_in("lead", passwords["viewer"])).status == 403
        assert (await browser.log_in("nobody", passwords["lead"])).status == 403
        assert (await browser.log_in("Lead", passwords["lead"])).status == 302
        user = await hub.user("lead") or {}
        assert user["groups"] == ["staff"]
        assert user["user_info"]["display_name"] == "Lea Lead"
        tried = hub.browser()
        answers = [(await tried.log_in("viewer", "wrong")).status for _ in range(4)]
        assert answers == [403, 403, 403, 429]
        refused = await tried.log_in("viewer", passwords["viewer"])
        assert refused.status == 429
        assert "seconds and try again" in refused.text
        log = hub.log.read_text()
    assert await factory.people.get("viewer") is None
    assert not any(password in log for password in passwords.values())


async def test_oidc_from_the_first_page_to_the_groups(factory: Factory, tmp_path: Path, provider: Provider) -> None:
    provider.userinfo |= {"groups": ["staff", "collab:tides:lead"]}
    config = OIDC.replace("{provider}", provider.url)
    async with running_hub(tmp_path, config, JUPYTERHUB_CRYPT_KEY="00" * 32) as hub:
        browser = hub.browser()
        answer = await browser.get("/hub/oauth_login?next=/hub/token")
        assert (answer.status, answer.url.path) == (200, "/hub/token")
        user = await hub.user("ada") or {}
        assert user["groups"] == ["staff"]
        assert user["user_info"]["display_name"] == "Ada Lovelace"
        provider.userinfo |= {"preferred_username": "bob", "groups": ["tides"]}
        assert (await hub.browser().get("/hub/oauth_login")).status == 403
        log = hub.log.read_text()
    assert await factory.people.get("bob") is None
    assert "made-up-too" not in log


async def test_cas_goes_through_the_hubs_own_login(factory: Factory, tmp_path: Path, provider: Provider) -> None:
    provider.attributes = [("memberOf", "staff"), ("memberOf", "tides"), ("displayName", "Ada Lovelace")]
    async with running_hub(tmp_path, CAS.replace("{provider}", provider.url)) as hub:
        browser = hub.browser()
        answer = await browser.get("/hub/login")
        assert (answer.status, answer.url.path) == (200, "/hub/home")
        assert browser.is_logged_in()
        user = await hub.user("ada") or {}
        assert set(user["groups"]) == {"staff", "tides"}
        assert user["user_info"]["display_name"] == "Ada Lovelace"
        left = await browser.get("/hub/logout")
        assert str(left.url) == f"{provider.url}/cas/logout"
        assert not browser.is_logged_in()
        assert (await hub.browser().get("/hub/login?ticket=ST-2-bad")).status == 403
        provider.userinfo = {"preferred_username": "mallory"}
        mallory = hub.browser()
        assert (await mallory.get("/hub/login")).status == 403
        assert not mallory.is_logged_in()
    assert await factory.people.get("mallory") is None


def test_an_accounts_file_is_closed_and_holds_no_password(tmp_path: Path) -> None:
    path = tmp_path / "accounts.json"
    passwords = write_accounts(path, {"lead": "Lea", "viewer": "Vic"})
    assert path.stat().st_mode & 0o777 == 0o600
    assert len(set(passwords.values())) == 2
    assert not any(password in path.read_text() for password in passwords.values())
    accounts = read_accounts(path)
    assert is_password(accounts["lead"], passwords["lead"])
    assert not is_password(accounts["lead"], passwords["viewer"])
    assert not is_password(accounts["lead"], "")
    assert not is_password(None, "")
    assert not is_password(None, passwords["lead"])
    shared = write_accounts(path, {"lead": "Lea", "viewer": "Vic"}, "one for all")
    assert shared == {"lead": "one for all", "viewer": "one for all"}
    again = read_accounts(path)
    assert not is_password(again["lead"], passwords["lead"])
    assert is_password(again["lead"], "one for all")
    assert again["lead"].password_hash != again["viewer"].password_hash
    assert [p.name for p in tmp_path.iterdir()] == ["accounts.json"]


@pytest.mark.parametrize("wrong", ["missing", "open", "not JSON", "not accounts", "extra"])
def test_an_accounts_file_that_cannot_be_trusted_stops_the_hub(factory: Factory, tmp_path: Path, wrong: str) -> None:
    path = tmp_path / "accounts.json"
    if wrong != "missing":
        write_accounts(path, {"lead": "Lea"}, PASSWORD)
    if wrong == "open":
        path.chmod(0o640)
    contents = {"not JSON": "{", "not accounts": "[]", "extra": '{"lead": {"password": "made-up"}}'}
    if wrong in contents:
        path.write_text(contents[wrong])
    with pytest.raises(SettingsError, match=r"accounts\.json") as refused:
        DemoAuthenticator(factory=factory, accounts_file=str(path)).check_allow_config()
    assert "made-up" not in str(refused.value)


def test_attempts_count_from_their_beginning() -> None:
    attempts = Attempts(2)
    attempts.begin("ada")
    attempts.begin("ada")
    attempts.begin("bob")
    with pytest.raises(TooManyRequestsError) as refused:
        attempts.begin("ada")
    assert 0 < refused.value.extra["retry_after"] <= 60
    attempts.succeed("ada")
    attempts.begin("ada")
