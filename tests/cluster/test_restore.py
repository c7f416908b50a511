"""A backup of a release at work, by the commands of the manual, restored in another namespace on another database."""

from __future__ import annotations

import copy
import json
import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import pytest
from psycopg import sql

from jupyterhub_collab.state import free_port
from tests.support.demo import Person
from tests.support.postgres import PostgresCluster, running_cluster

from . import commands
from .cluster import Cluster
from .layout import MACHINE_ADDRESS
from .release import FILES, Release

pytestmark = pytest.mark.cluster
PAGE: Final = "back-up-and-restore.md"
SLUG: Final = "sea-levels"
CONTENT: Final = "1958 7021\n"
NAMES: Final = (("HUB", "hub"), ("CORE", "collab"))


def run(release: Release, folder: Path, beginning: str) -> None:
    """Run commands of the manual for a release and its databases."""
    databases = {f"{name}_DATABASE": address(release.postgres, database) for name, database in NAMES}
    commands.run(release, folder, PAGE, beginning, **databases)


def address(postgres: PostgresCluster, database: str) -> str:
    return postgres.url(database).replace("+psycopg", "")


@contextmanager
def elsewhere(cluster: Cluster, first: Release) -> Iterator[Release]:
    """Lend a namespace in which nothing is installed yet, with two empty databases."""
    port = free_port()
    with running_cluster(clients="10.0.0.0/8", listen_addresses=MACHINE_ADDRESS, port=str(port)) as postgres:
        made = Release(cluster=cluster, postgres=postgres, port=port, namespace=f"restored-{os.getpid()}")
        made.values = copy.deepcopy(first.values)
        made.values["networkPolicy"]["database"]["ports"] = [port]
        made.prepare()
        for _, name in NAMES:
            postgres.drop(name)
            with postgres.connect() as connection:
                connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
        try:
            yield made
        finally:
            made.clean()


def told(lead: Person) -> list[Any]:
    """Return what the API tells of the project, but not when people were there last."""
    members, *rest = [lead.api("GET", f"/projects/{SLUG}{part}") for part in ("/members", "/data", "/activity")]
    kept = ("user", "role", "via", "since")
    return [[{key: member[key] for key in kept} for member in members["items"]], *rest]


def at_work(release: Release) -> Person:
    """Let a group work, one of them with a running server; return the lead."""
    lead, editor = release.person("lead"), release.person("editor")
    lead.api("POST", "/projects", 201, json={"title": "Sea levels"})
    invited = lead.api("PUT", f"/projects/{SLUG}/members/editor", json={"role": "editor"})
    editor.api("POST", f"/invitations/{invited['invitation']['id']}/accept")
    lead.api("PUT", f"/projects/{SLUG}/data/noaa-co2", json={"mode": "read-only"})
    editor.start(SLUG)
    body = {"type": "file", "format": "text", "content": CONTENT}
    saved = editor.ask(SLUG, "PUT", f"api/contents/projects/{SLUG}/result.txt", json=body)
    assert saved.status_code == 201, saved.text
    return lead


def put_files_back(first: Release, second: Release, claims: list[str]) -> None:
    """Copy the files of each claim, as whoever has the storage would."""
    for claim in claims:
        second.kubectl("wait", f"pvc/{claim}", "--for=jsonpath={.status.phase}=Bound", "--timeout=60s")
        source, target = first.volume(claim), second.volume(claim)
        assert source.name == FILES
        subprocess.run(["cp", "--archive", f"{source.parent}/.", target.parent], check=True)


def test_a_release_is_restored_elsewhere(cluster: Cluster, release: Release, tmp_path: Path) -> None:
    lead = at_work(release)
    before = told(lead)
    run(release, tmp_path, "pg_dump")
    claims = [item["metadata"]["name"] for item in json.loads((tmp_path / "claims.json").read_text())["items"]]
    lead.api("POST", "/projects", 201, json={"title": "Too late"})
    with elsewhere(cluster, release) as second:
        run(second, tmp_path, "pg_restore")
        run(second, tmp_path, "kubectl apply")
        put_files_back(release, second, claims)
        second.install(hub={"existingSecret": "collab-secrets"})
        check(second, lead.token, before)


def check(second: Release, token: str, before: list[Any]) -> None:
    lead, editor = second.person("lead"), second.person("editor")
    lead.token = token  # the Hub knows its tokens again
    assert told(lead) == before
    slugs = [project["slug"] for project in lead.api("GET", "/me/projects")["items"]]
    assert SLUG in slugs
    assert "too-late" not in slugs
    second.wait_until(lambda: editor.servers() == {}, 30)  # what ran in the other namespace does not run here
    editor.start(SLUG)
    found = editor.ask(SLUG, "GET", f"api/contents/projects/{SLUG}/result.txt")
    assert found.json()["content"] == CONTENT
    assert (second.project(SLUG) / "result.txt").read_text(encoding="utf-8") == CONTENT
    said = second.kubectl("exec", "deployment/collab-hub", "--container=hub", "--", "jupyterhub-collab", "doctor")
    assert [line for line in said.strip().splitlines() if not line.startswith("ok ")] == []
