"""A real Hub with the mixin on its plainest authenticator: what people meet, and what the Hub and the core hold."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from sqlalchemy import text

from jupyterhub_collab.factory import Factory
from jupyterhub_collab.projects.service import NewProject
from tests.authenticator.hub import RunningHub, running_hub

CONFIG = """
import json
from pathlib import Path
from jupyterhub.auth import DummyAuthenticator
from jupyterhub_collab.authenticator.mixin import CollabAuthenticatorMixin

class FileAuthenticator(DummyAuthenticator):
    "Says of everyone what stands in a file."

    def said(self):
        return json.loads(Path("said.json").read_text())

    async def authenticate(self, handler, data):
        return {"name": data["username"], **self.said()["login"]}

    async def refresh_user(self, user, handler=None):
        return self.said()["refresh"]

class SiteAuthenticator(CollabAuthenticatorMixin, FileAuthenticator):
    pass

c.JupyterHub.authenticator_class = SiteAuthenticator
c.SiteAuthenticator.auth_refresh_age = 1
c.SiteAuthenticator.refresh_pre_spawn = True
c.SiteAuthenticator.database_timeout = 2
"""


def say(folder: Path, login: object, refresh: object = None) -> None:
    (folder / "said.json").write_text(json.dumps({"login": login, "refresh": refresh}))


@pytest.fixture
async def hub(factory: Factory, tmp_path: Path) -> AsyncIterator[RunningHub]:
    assert factory.database.is_sqlite  # its tables are there before the Hub starts
    say(tmp_path, {"groups": ["staff"], "user_info": {"display_name": "Ada Lovelace"}}, refresh=True)
    async with running_hub(tmp_path, CONFIG) as started:
        yield started


async def test_from_login_to_the_end_of_it(hub: RunningHub, factory: Factory, tmp_path: Path) -> None:
    browser = hub.browser()
    assert (await browser.log_in("ada")).status == 302
    user = await hub.user("ada")
    assert user is not None
    assert user["groups"] == ["staff"]
    assert user["user_info"]["initials"] == "AL"
    person = await factory.people.get("ada")
    assert person is not None
    assert person.groups == {"staff"}

    # a project of hers shows up at the next refresh, which says nothing new itself
    await factory.projects.create("ada", NewProject(title="Tides"))
    assert await refreshed_groups(hub) == ["collab:tides:lead", "staff"]
    # a changed claim, one that is gone, and one that is empty
    for claim, expected in [(["tides"], ["tides"]), (None, ["tides"]), ([], [])]:
        say(tmp_path, {}, refresh={"name": "ada"} if claim is None else {"name": "ada", "groups": claim})
        assert await refreshed_groups(hub) == ["collab:tides:lead", *expected]
        assert (await hub.user("ada") or {})["user_info"]["display_name"] == "Ada Lovelace"

    # a refusal asks for a new login, on an ordinary page and on the one that starts a server
    say(tmp_path, {}, refresh=False)
    await asyncio.sleep(1.1)
    for page in ("/hub/home", "/hub/spawn"):
        answer = await browser.get(page)
        assert (answer.status, answer.url.path) == (200, "/hub/login")
    assert "Traceback" not in hub.log.read_text()


async def refreshed_groups(hub: RunningHub) -> list[str]:
    await asyncio.sleep(1.1)
    answer = await hub.browsers[0].get("/hub/home")
    assert (answer.status, answer.url.path) == (200, "/hub/home")
    return sorted((await hub.user("ada") or {})["groups"])


async def test_a_refusal_just_before_a_server_starts(factory: Factory, tmp_path: Path) -> None:
    assert factory.database.is_sqlite
    say(tmp_path, {"groups": []}, refresh=False)
    # no request asks by age, only the start of a server does
    async with running_hub(tmp_path, CONFIG.replace("auth_refresh_age = 1", "auth_refresh_age = 300")) as hub:
        browser = hub.browser()
        await browser.log_in("ada")
        answer = await browser.get("/hub/spawn")
        assert answer.status == 403
        assert "login again" in answer.text
        assert (await hub.user("ada") or {})["servers"] == {}


async def test_a_database_that_goes_away(hub: RunningHub, factory: Factory) -> None:
    inside = hub.browser()
    await inside.log_in("ada")
    async with factory.database.engine.begin() as connection:
        await connection.execute(text("ALTER TABLE persons RENAME TO away"))
    outside = hub.browser()
    answer = await outside.log_in("bob")
    assert answer.status == 503
    assert "Try again in a minute" in answer.text
    assert not outside.is_logged_in()
    assert await hub.user("bob") is None
    await asyncio.sleep(1.1)
    assert (await inside.get("/hub/home")).url.path == "/hub/home"
    assert (await hub.user("ada") or {})["groups"] == ["staff"]

    async with factory.database.engine.begin() as connection:
        await connection.execute(text("ALTER TABLE away RENAME TO persons"))
    assert (await outside.log_in("bob")).status == 302
    assert outside.is_logged_in()
