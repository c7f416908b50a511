from __future__ import annotations

from typing import Any

import pytest

from jupyterhub_collab.authenticator.oidc import CollabOIDCAuthenticator
from jupyterhub_collab.factory import Factory
from tests.authenticator.provider import Provider
from tests.authenticator.support import GitHub, Handler, User

TOKEN = {"access_token": "made-up", "refresh_token": "made-up-too", "token_type": "Bearer"}
ABSENT: Any = object()


def oidc(factory: Factory, provider: Provider, **traits: Any) -> CollabOIDCAuthenticator:
    return CollabOIDCAuthenticator(
        factory=factory,
        allow_all=True,
        enable_auth_state=True,
        token_url=f"{provider.url}/token",
        userdata_url=f"{provider.url}/userinfo",
        **traits,
    )


def say(provider: Provider, claim: object, **more: object) -> None:
    provider.userinfo = {"preferred_username": "Ada", "name": "Ada Lovelace", **more}
    if claim is not ABSENT:
        provider.userinfo["groups"] = claim


async def test_what_is_asked_by_default(factory: Factory, provider: Provider, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("JUPYTERHUB_CRYPT_KEY", "00" * 32)
    authenticator = CollabOIDCAuthenticator(factory=factory, userdata_url=f"{provider.url}/userinfo")
    assert authenticator.enable_pkce is True
    assert authenticator.scope == ["openid", "profile", "email"]
    assert authenticator.enable_auth_state is True
    assert authenticator.manage_groups is True
    monkeypatch.delenv("JUPYTERHUB_CRYPT_KEY")
    assert CollabOIDCAuthenticator(factory=factory).enable_auth_state is False


@pytest.mark.parametrize(
    ("claim", "groups"),
    [
        (["tides"], {"tides"}),
        (["staff", "tides"], {"staff", "tides"}),
        ([], set()),
        (["collab:tides:lead"], set()),
        (["tides", "Collab:tides:lead"], {"tides"}),
        (ABSENT, {"staff"}),
        (None, {"staff"}),
        ("tides", {"staff"}),
        ({"tides": True}, {"staff"}),
        ([{"name": "tides"}], {"staff"}),
    ],
)
@pytest.mark.parametrize("how", ["login", "refresh", "refresh with a fresh token"])
async def test_group_claims(
    factory: Factory,
    provider: Provider,
    how: str,
    claim: object,
    groups: set[str],
) -> None:
    await factory.people.sign_in("ada", display_name="", groups=frozenset({"staff"}))
    authenticator = oidc(factory, provider)
    say(provider, claim)
    state = {"token_response": TOKEN, "refresh_token": "made-up-too"}
    if how == "login":
        model: Any = await authenticator._token_to_auth_model(dict(TOKEN))
        model = await authenticator.run_post_auth_hook(Handler(), model)
    else:
        provider.stale = how == "refresh with a fresh token"
        model = await authenticator.refresh_user(User("ada", auth_state=state), Handler())
    assert model["groups"] == sorted(groups)
    person = await factory.people.get("ada")
    assert person is not None
    assert person.groups == groups
    assert person.display_name == "Ada Lovelace"


async def test_an_expired_login_ends(factory: Factory, provider: Provider) -> None:
    authenticator = oidc(factory, provider)
    await factory.people.sign_in("ada", display_name="", groups=frozenset({"staff"}))
    provider.expired = True
    state = {"token_response": TOKEN, "refresh_token": "made-up-too"}
    assert await authenticator.refresh_user(User("ada", auth_state=state), Handler()) is False
    assert await authenticator.refresh_user(User("ada", auth_state=None), Handler()) is False
    person = await factory.people.get("ada")
    assert person is not None
    assert person.groups == {"staff"}


async def test_without_auth_state_a_refresh_asks_nobody(factory: Factory, provider: Provider) -> None:
    await factory.people.sign_in("ada", display_name="", groups=frozenset({"staff"}))
    authenticator = oidc(factory, provider)
    authenticator.enable_auth_state = False
    model: Any = await authenticator.refresh_user(User("ada"), Handler())
    assert model["groups"] == ["staff"]
    assert provider.asked == 0


@pytest.mark.parametrize(
    ("key", "groups"),
    [
        ("oauth_user.realm.roles", ["tides"]),
        ("oauth_user.realm.roles.deeper", None),
        ("nowhere", None),
        ("", None),
        (lambda state: state["oauth_user"]["realm"]["roles"], ["tides"]),
        (lambda state: state["oauth_user"]["missing"], None),
        (lambda state: state["oauth_user"].get("missing"), None),
        (lambda state: state["oauth_user"].get("missing").get("deeper"), None),
        (lambda _state: {"tides", "collab:x:lead"}, ["tides"]),
    ],
)
async def test_where_the_claim_stands(factory: Factory, provider: Provider, key: Any, groups: list[str] | None) -> None:
    say(provider, ABSENT, realm={"roles": ["tides"]})
    authenticator = oidc(factory, provider, auth_state_groups_key=key)
    assert (await authenticator._token_to_auth_model(dict(TOKEN)))["groups"] == groups


async def test_an_asynchronous_function_may_find_the_claim(factory: Factory, provider: Provider) -> None:
    async def groups(_state: dict[str, Any]) -> list[str]:
        return ["tides"]

    authenticator = oidc(factory, provider, auth_state_groups_key=groups)
    assert (await authenticator._token_to_auth_model(dict(TOKEN)))["groups"] == ["tides"]


@pytest.mark.parametrize(
    ("claim", "admin"), [(["operators"], True), (["staff"], False), (ABSENT, None), ("operators", None)]
)
async def test_a_missing_claim_takes_no_admin_right(
    factory: Factory, provider: Provider, claim: object, admin: bool | None
) -> None:
    say(provider, claim)
    authenticator = oidc(factory, provider, admin_groups={"operators"})
    assert (await authenticator._token_to_auth_model(dict(TOKEN)))["admin"] is admin


async def test_a_provider_cannot_admit_by_a_group_of_ours(factory: Factory, provider: Provider) -> None:
    say(provider, ["collab:tides:lead"])
    authenticator = oidc(factory, provider, allowed_groups={"collab:tides:lead"}, admin_groups={"collab:tides:lead"})
    authenticator.allow_all = False
    model = await authenticator._token_to_auth_model(dict(TOKEN))
    assert model["admin"] is False
    assert await authenticator.check_allowed("ada", model) is False


async def test_another_class_of_the_package(factory: Factory, monkeypatch: pytest.MonkeyPatch) -> None:
    authenticator = GitHub(
        factory=factory,
        allow_all=True,
        enable_auth_state=True,
        auth_state_groups_key=lambda state: [team["slug"] for team in state["teams"]],
    )

    async def fetched(*_: object, **__: object) -> dict[str, Any]:
        return {"login": "Ada", "name": "Ada Lovelace", "email": "ada@example.org"}

    monkeypatch.setattr(authenticator, "httpfetch", fetched)
    await factory.people.sign_in("ada", display_name="", groups=frozenset({"tides"}))
    state = {"token_response": {**TOKEN, "scope": "user"}}
    model: Any = await authenticator.refresh_user(User("ada", auth_state=state), Handler())
    assert model["groups"] == ["tides"]  # the teams were not asked for, so they are unknown
    assert model["user_info"]["display_name"] == "Ada Lovelace"
