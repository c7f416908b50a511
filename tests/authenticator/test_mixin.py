from __future__ import annotations

import asyncio
import logging
from typing import Any
from unittest.mock import AsyncMock

import pytest
from sqlalchemy import text
from sqlalchemy.exc import OperationalError
from tornado.web import HTTPError
from traitlets import TraitError

from jupyterhub_collab.access.models import Role
from jupyterhub_collab.authenticator.mixin import CollabAuthenticatorMixin
from jupyterhub_collab.errors import SettingsError
from jupyterhub_collab.factory import Factory, shared_factory
from jupyterhub_collab.people.models import Kind
from jupyterhub_collab.projects.service import NewProject
from tests.authenticator.support import Dummy, Handler, StaticDummy, Told, ToldByGroup, User

DEFAULT: Any = object()


def told(factory: Factory, **traits: Any) -> Told:
    return Told(factory=factory, allow_all=True, **traits)


async def log_in(authenticator: Told, groups: object = DEFAULT, **model: Any) -> dict[str, Any]:
    said = {"name": "Ada", **model} | ({} if groups is DEFAULT else {"groups": groups})
    logged_in = await authenticator.get_authenticated_user(Handler(), {"model": said})
    assert logged_in is not None
    return dict(logged_in)


async def never(*_: object, **__: object) -> None:
    await asyncio.sleep(60)


async def refresh(authenticator: CollabAuthenticatorMixin, name: str = "ada", **known: Any) -> dict[str, Any]:
    model = await authenticator.refresh_user(User(name, user_info=known))
    assert isinstance(model, dict)
    return model


async def groups_of(factory: Factory, name: str = "ada") -> frozenset[str]:
    person = await factory.people.get(name)
    assert person is not None
    return person.groups


async def test_login_writes_the_person(factory: Factory) -> None:
    model = await log_in(told(factory), ["staff"], user_info={"display_name": "Ada Lovelace"})
    person = await factory.people.get("ada")
    assert person is not None
    assert (person.display_name, person.kind) == ("Ada Lovelace", Kind.PERSON)
    assert person.groups == {"staff"}
    assert model["name"] == "ada"
    assert model["user_info"]["initials"] == "AL"
    assert model["user_info"]["color"]


async def test_someone_without_a_name_for_showing_is_shown_by_account(factory: Factory) -> None:
    model = await Dummy(factory=factory).get_authenticated_user(Handler(), {"username": "ada", "password": ""})
    assert model["user_info"]["display_name"] == "ada"
    await Dummy(factory=factory).refresh_user(User("ada", user_info=model["user_info"]))
    person = await factory.people.get("ada")
    assert person is not None
    assert person.display_name == ""


@pytest.mark.parametrize(
    ("before", "claim", "kept", "hub"),
    [
        ([], ["staff"], {"staff"}, ["staff"]),
        (["staff"], ["tides"], {"tides"}, ["tides"]),
        (["staff"], [], set(), []),
        (["staff"], None, {"staff"}, ["staff"]),
        (["staff"], DEFAULT, {"staff"}, ["staff"]),
        (["staff"], "tides", {"staff"}, ["staff"]),
        (["staff"], ["tides", 7], {"staff"}, ["staff"]),
        (["staff"], ["collab:x:lead"], set(), []),
        (["staff"], ["staff", "CoLLaB:x:lead"], {"staff"}, ["staff"]),
    ],
)
@pytest.mark.parametrize("when", ["login", "refresh"])
async def test_group_claims(
    factory: Factory, when: str, before: list[str], claim: object, kept: set[str], hub: list[str]
) -> None:
    authenticator = told(factory)
    await log_in(authenticator, before)
    if when == "login":
        model = await log_in(authenticator, claim)
    else:
        authenticator.refreshed = {"name": "ada"} | ({} if claim is DEFAULT else {"groups": claim})
        model = await refresh(authenticator)
    assert await groups_of(factory) == kept
    assert model["groups"] == hub


async def test_project_groups_are_mirrored_beside_the_providers(factory: Factory) -> None:
    authenticator = told(factory)
    await log_in(authenticator, ["staff"])
    await factory.projects.create("ada", NewProject(title="Tides"))
    assert (await log_in(authenticator, ["staff"]))["groups"] == ["collab:tides:lead", "staff"]
    authenticator.refreshed = True
    assert (await refresh(authenticator))["groups"] == ["collab:tides:lead", "staff"]
    await factory.people.sign_in("bob", display_name="", groups=frozenset({"staff"}))
    await factory.members.put_group("ada", "tides", "staff", Role.VIEWER)
    bob = await refresh(authenticator, "bob")
    assert bob["groups"] == ["collab:tides:viewer", "staff"]


@pytest.mark.parametrize("refreshed", [False, None])
async def test_a_refused_refresh_changes_nothing(factory: Factory, refreshed: object) -> None:
    authenticator = told(factory)
    await log_in(authenticator, ["staff"])
    authenticator.refreshed = refreshed
    handler = Handler()
    assert await authenticator.refresh_user(User("ada"), handler) is False
    assert handler._token_authenticated is False  # type: ignore[attr-defined]
    assert await groups_of(factory) == {"staff"}


async def test_a_refresh_does_not_bring_back_who_was_removed(factory: Factory) -> None:
    authenticator = told(factory)
    await log_in(authenticator, ["staff"])
    await factory.departures.remove_by_command("ada")
    authenticator.refreshed = True
    handler = Handler()
    assert await authenticator.refresh_user(User("ada"), handler) is False
    assert handler._token_authenticated is False  # type: ignore[attr-defined]
    assert await factory.people.get("ada") is None
    assert not await authenticator.has_been_here("ada")
    await log_in(authenticator, [])
    assert await groups_of(factory) == set()


async def test_a_refused_refresh_keeps_what_the_hub_knows_of_the_request(factory: Factory) -> None:
    authenticator = told(factory)
    authenticator.refreshed = False
    handler = Handler()
    handler._token_authenticated = True  # type: ignore[attr-defined]
    await authenticator.refresh_user(User("ada"), handler)
    assert handler._token_authenticated is True  # type: ignore[attr-defined]


async def test_refresh_passes_on_what_else_the_class_below_says(factory: Factory) -> None:
    authenticator = told(factory)
    authenticator.refreshed = {"admin": True, "auth_state": {"token": 1}, "groups": ["staff"]}
    model = await refresh(authenticator)
    assert model["admin"] is True
    assert model["auth_state"] == {"token": 1}


async def test_refresh_keeps_the_name_for_showing_and_the_picture(factory: Factory) -> None:
    authenticator = told(factory)
    known = (await log_in(authenticator, [], user_info={"display_name": "Ada", "avatar_url": "/ada.png"}))["user_info"]
    assert "user_info" not in await refresh(authenticator, **known)
    person = await factory.people.get("ada")
    assert person is not None
    assert person.display_name == "Ada"
    authenticator.refreshed = {"groups": [], "user_info": {"display_name": "Ada King"}}
    renamed = await refresh(authenticator, **known)
    assert renamed["user_info"]["initials"] == "AK"
    assert renamed["user_info"]["avatar_url"] == "/ada.png"


async def test_a_throw_away_account_stays_one_at_refresh(factory: Factory) -> None:
    await log_in(told(factory, kind="explore"))
    await told(factory).refresh_user(User("ada"))
    person = await factory.people.get("ada")
    assert person is not None
    assert person.kind is Kind.EXPLORE


async def test_refused_groups_are_logged_once(factory: Factory, caplog: pytest.LogCaptureFixture) -> None:
    authenticator = told(factory)
    authenticator.log = logging.getLogger("test")
    await log_in(authenticator, ["collab:x:lead"])
    await log_in(authenticator, ["collab:x:lead", "staff"])
    assert [r.levelname for r in caplog.records if "collab:x:lead" in r.getMessage()] == ["WARNING"]


async def test_a_provider_cannot_admit_by_a_group_of_ours(factory: Factory) -> None:
    authenticator = ToldByGroup(factory=factory, allow_all=False)
    said = {"name": "ada", "groups": ["collab:tides:lead", "staff"]}
    authenticator.wanted = "collab:tides:lead"
    assert await authenticator.get_authenticated_user(Handler(), {"model": said}) is None
    authenticator.wanted = "staff"
    assert await authenticator.get_authenticated_user(Handler(), {"model": said})


async def test_a_paused_loss_is_logged_and_the_hub_keeps_the_group(
    factory: Factory, caplog: pytest.LogCaptureFixture
) -> None:
    authenticator = told(factory)
    authenticator.log = logging.getLogger("test")
    names = ["ada", "bob", "cy", "di"]
    for name in names:
        await log_in(authenticator, ["staff"], name=name)
    models = [await log_in(authenticator, [], name=name) for name in names]
    assert [model["groups"] for model in models] == [[], [], ["staff"], ["staff"]]
    assert sum("is paused" in r.getMessage() for r in caplog.records) == 2


@pytest.mark.parametrize("away", ["no table", "no answer", "refused"])
async def test_a_database_that_is_away(
    factory: Factory, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, away: str
) -> None:
    authenticator = told(factory)
    authenticator.log = logging.getLogger("test")
    await log_in(authenticator, ["staff"])
    if away == "no answer":
        authenticator.database_timeout = 0.2
    if away == "no table":
        async with factory.database.engine.begin() as connection:
            await connection.execute(text("ALTER TABLE person_groups RENAME TO away"))
    else:
        failure: Any = OperationalError("select 1", {}, Exception("host=10.0.0.1 password=made-up"))
        answer = AsyncMock(side_effect=failure if away == "refused" else never)
        monkeypatch.setattr(factory.people, "sign_in", answer)
    with pytest.raises(HTTPError) as refused:
        await log_in(authenticator, ["tides"])
    assert refused.value.status_code == 503
    assert "Try again in a minute" in str(refused.value.log_message)
    authenticator.refreshed = {"admin": None, "groups": []}
    assert await authenticator.refresh_user(User("ada")) == {"admin": None, "groups": None}
    authenticator.refreshed = True
    assert await authenticator.refresh_user(User("ada")) == {"groups": None}
    assert "does not answer" in caplog.text
    assert "made-up" not in caplog.text


@pytest.mark.parametrize(
    "name",
    ["ada.lovelace", "ada@example.org", "ada lovelace", "åsa", "李", "ada+tides", "a'b\"<i>", "x" * 255, "%2e%2e%41"],
)
async def test_names_that_the_hub_takes_are_kept(factory: Factory, name: str) -> None:
    await log_in(told(factory), ["staff"], name=name)
    assert await groups_of(factory, name) == {"staff"}


@pytest.mark.parametrize("name", ["x" * 256, "ada\nbob", "ada\0", "ada\u202ebob", "ada\u200b", "ada\x1b[2J"])
async def test_names_that_cannot_be_kept_are_refused_with_a_sentence(factory: Factory, name: str) -> None:
    with pytest.raises(HTTPError) as refused:
        await log_in(told(factory), name=name)
    assert refused.value.status_code == 422
    assert "1 to 255 characters" in str(refused.value.log_message)
    assert await factory.people.get(name) is None
    assert await told(factory).refresh_user(User(name)) == {"groups": None}


@pytest.mark.parametrize("name", ["the system", "The System", "..", "a/b", ""])
async def test_names_that_the_hub_or_the_system_forbids(factory: Factory, name: str) -> None:
    assert await told(factory).get_authenticated_user(Handler(), {"model": {"name": name}}) is None
    assert await factory.people.get(name.lower()) is None


async def test_who_fails_to_log_in_is_not_written(factory: Factory) -> None:
    assert await told(factory).get_authenticated_user(Handler(), {"model": None}) is None
    blocked = told(factory, blocked_users={"ada"})
    assert await blocked.get_authenticated_user(Handler(), {"model": "ada"}) is None
    stranger = Told(factory=factory, allowed_users={"bob"})
    assert await stranger.get_authenticated_user(Handler(), {"model": "ada"}) is None
    assert await factory.people.get("ada") is None


async def test_the_operators_hook_may_tell_groups(factory: Factory) -> None:
    def hook(_authenticator: Any, _handler: Any, model: dict[str, Any]) -> dict[str, Any]:
        return model | {"groups": ["hooked", "collab:x:lead"]}

    assert (await log_in(told(factory, post_auth_hook=hook)))["groups"] == ["hooked"]
    assert await groups_of(factory) == {"hooked"}


async def test_a_hook_that_refuses_is_heard(factory: Factory) -> None:
    authenticator = told(factory, post_auth_hook=lambda *_: None)
    assert await authenticator.get_authenticated_user(Handler(), {"model": "ada"}) is None
    assert await factory.people.get("ada") is None


def test_managed_groups_stay_on(factory: Factory) -> None:
    assert told(factory).manage_groups is True
    with pytest.raises(TraitError, match="must stay on"):
        told(factory, manage_groups=False)


async def test_static_groups_come_from_the_table_alone(factory: Factory) -> None:
    data = {"username": "Ada", "password": ""}
    table = StaticDummy(factory=factory, static_groups={"staff": ["ada", "bob"], "tides": ["ada"], "empty": []})
    assert (await table.get_authenticated_user(Handler(), data))["groups"] == ["staff", "tides"]
    shorter = StaticDummy(factory=factory, static_groups={"staff": ["ada"]})
    assert (await refresh(shorter))["groups"] == ["staff"]
    assert (await refresh(StaticDummy(factory=factory)))["groups"] == []
    assert await groups_of(factory) == frozenset()


@pytest.mark.parametrize("group", ["collab:x:lead", "COLLAB:staff", "", "x" * 256])
def test_static_groups_cannot_be_ours(factory: Factory, group: str) -> None:
    with pytest.raises(TraitError, match="choose another name"):
        StaticDummy(factory=factory, static_groups={group: ["ada"]})


def test_wrong_settings_are_found_when_the_hub_starts(monkeypatch: pytest.MonkeyPatch) -> None:
    shared_factory.cache_clear()
    monkeypatch.setenv("JUPYTERHUB_COLLAB_SETTINGS", "/nowhere/settings.toml")
    with pytest.raises(SettingsError, match=r"settings\.toml can't be read"):
        Dummy(allow_all=True).check_allow_config()
