"""The same group at work on each database, with a Hub that runs as root and one that does not."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest

from tests.support.demo import ORDINARY, Site, demo
from tests.support.notebooks import Kernel
from tests.support.postgres import PostgresCluster

# Whoever is root tries both; everyone else has but their own account
ACCOUNTS = [pytest.param(0, id="root"), pytest.param(ORDINARY, id="account")] if os.geteuid() == 0 else [os.geteuid()]
WORK = """
import os, pandas
print(os.getuid(), len(pandas.read_csv("/data/noaa-co2/mlo-weekly.csv")))
with open("projects/ice-cores/result", "w") as file:
    print(file.write("found"))
"""


@pytest.fixture(params=["sqlite", "postgresql"])
def environment(request: pytest.FixtureRequest, open_postgres: PostgresCluster) -> Iterator[dict[str, str]]:
    if request.param == "sqlite":
        yield {}
        return
    with open_postgres.database() as url:
        yield {"JUPYTERHUB_COLLAB__DATABASE__URL": url}


@pytest.mark.parametrize("uid", ACCOUNTS)
def test_a_group_works(uid: int, environment: dict[str, str]) -> None:
    with demo(uid, **environment) as site:
        at_work(site)


def at_work(site: Site) -> None:
    lead, editor = site.person("lead"), site.person("editor")
    lead.api("POST", "/projects", 201, json={"title": "Ice cores"})
    lead.api("PUT", "/projects/ice-cores/data/noaa-co2", json={"mode": "read-only"})
    invited = lead.api("PUT", "/projects/ice-cores/members/editor", json={"role": "editor"})
    editor.api("POST", f"/invitations/{invited['invitation']['id']}/accept")
    editor.start("ice-cores")
    with Kernel(editor, "ice-cores") as kernel:
        assert kernel.say(WORK) == "1000 2284\n5\n"
    result = site.project("ice-cores") / "result"
    assert result.read_text(encoding="utf-8") == "found"
    assert result.stat().st_uid != 0
    lead.api("DELETE", "/projects/ice-cores/members/editor", 204)
    site.wait_until(lambda: editor.servers() == {}, 5)
    assert site.sandboxes() == []
    assert editor.hub("POST", "/users/editor/servers/ice-cores").status_code == 404
    lead.start()
