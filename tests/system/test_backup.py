"""A backup of a Hub at work, restored on another machine: same projects, same people, same folders."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from jupyterhub_collab.settings import FILE_VARIABLE
from tests.support.demo import Person, Site, site
from tests.support.postgres import PostgresCluster

CONTENT = "1958 315.2\n"
COMMAND = [sys.executable, "-m", "jupyterhub_collab.cli"]


@pytest.fixture(params=["sqlite", "postgresql"])
def backend(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def urls(backend: str, open_postgres: PostgresCluster) -> Iterator[tuple[str, str]]:
    """The core's databases of both machines; the state folder's own where they are empty."""
    if backend == "sqlite":
        yield "", ""
        return
    with open_postgres.database() as one, open_postgres.database() as two:
        yield one, two


def environment(url: str) -> dict[str, str]:
    return {"JUPYTERHUB_COLLAB__PEOPLE__CONSENT": "false"} | ({"JUPYTERHUB_COLLAB__DATABASE__URL": url} if url else {})


def test_a_restored_hub_has_what_the_first_one_had(urls: tuple[str, str], tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    with site(None, **environment(urls[0])) as first:
        token, before = at_work(first)
        back_up(first, copy)
        dump(urls[0], tmp_path / "core.dump")
        lead = first.person("lead")
        lead.api("POST", "/projects", 201, json={"title": "Too late"})
        first.stop()
    with site(None, **environment(urls[1])) as second:
        restore(copy, first.state, second.state)
        load(urls[1], tmp_path / "core.dump")
        second.start_hub()
        check(second, token, before)


def at_work(first: Site) -> tuple[str, Any]:
    """Let a group work, one of them with a running server; return the lead's token and what the API tells."""
    first.start_hub()
    lead, editor = first.person("lead"), first.person("editor")
    lead.api("POST", "/projects", 201, json={"title": "Ice cores"})
    lead.api("PUT", "/projects/ice-cores/members/editor", json={"role": "editor"})
    lead.api("PUT", "/projects/ice-cores/data/noaa-co2", json={"mode": "read-only"})
    editor.start("ice-cores")
    body = {"type": "file", "format": "text", "content": CONTENT}
    saved = editor.ask("ice-cores", "PUT", "api/contents/projects/ice-cores/result.txt", json=body)
    assert saved.status_code == 201, saved.text
    return lead.token, told(lead)


def told(lead: Person) -> list[Any]:
    """Return what the API tells of the project, but not when people were there last."""
    members, *rest = [lead.api("GET", f"/projects/ice-cores{part}") for part in ("/members", "/data", "/activity")]
    kept = ("user", "role", "via", "since")
    return [[{key: member[key] for key in kept} for member in members["items"]], *rest]


def back_up(first: Site, copy: Path) -> None:
    """Do what the manual says, while the Hub and a server run."""
    known = {FILE_VARIABLE: str(first.state / "settings.toml"), **first.environment}
    command = [*COMMAND, "--state", str(first.state), "backup", str(copy)]
    subprocess.run(command, env={**os.environ, **known}, check=True)
    beside = [first.state / name for name in ("volumes", "data", "accounts.json")]
    subprocess.run(["cp", "--archive", *beside, copy], check=True)


def restore(copy: Path, was: Path, state: Path) -> None:
    """Put everything into place on a machine where the folders lie elsewhere."""
    subprocess.run(["cp", "--archive", "--no-target-directory", copy, state], check=True)
    settings = state / "settings.toml"
    settings.write_text(settings.read_text(encoding="utf-8").replace(str(was), str(state)), encoding="utf-8")


def dump(url: str, file: Path) -> None:
    if url:
        subprocess.run(["chmod", "0777", file.parent], check=True)
        subprocess.run(["pg_dump", "--format=custom", f"--file={file}", plain(url)], check=True)


def load(url: str, file: Path) -> None:
    if url:
        subprocess.run(["pg_restore", "--no-owner", f"--dbname={plain(url)}", file], check=True)


def plain(url: str) -> str:
    return url.replace("postgresql+psycopg", "postgresql")


def check(second: Site, token: str, before: Any) -> None:
    lead, editor = second.person("lead"), second.person("editor")
    lead.token = token  # the Hub knows its tokens again
    assert told(lead) == before
    mine = [project["slug"] for project in lead.api("GET", "/me/projects")["items"]]
    assert mine == ["ice-cores"]
    assert editor.servers() == {}, "what ran on the other machine does not run here"
    editor.start("ice-cores")
    found = editor.ask("ice-cores", "GET", "api/contents/projects/ice-cores/result.txt")
    assert found.json()["content"] == CONTENT
    assert (second.project("ice-cores") / "result.txt").read_text(encoding="utf-8") == CONTENT
    assert (second.project("ice-cores") / "result.txt").stat().st_uid != 0
