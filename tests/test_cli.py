from __future__ import annotations

import asyncio
import json
import os
from pathlib import Path
from typing import NamedTuple

import pytest

from jupyterhub_collab import cli
from jupyterhub_collab.settings import FILE_VARIABLE
from jupyterhub_collab.state import STATE_VARIABLE
from tests.support.databases import sqlite_url
from tests.support.world import SLUG, World


class Done(NamedTuple):
    code: int | str | None
    said: str


@pytest.fixture(autouse=True)
def _own_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """The commands change these variables; put them back."""
    monkeypatch.setenv("PATH", os.environ["PATH"])
    monkeypatch.setenv(FILE_VARIABLE, "")
    monkeypatch.delenv(FILE_VARIABLE)
    monkeypatch.setenv(STATE_VARIABLE, str(tmp_path / "state"))


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]) -> Run:
    return Run(capsys)


class Run:
    """Runs the command in this process."""

    def __init__(self, capsys: pytest.CaptureFixture[str]) -> None:
        self._capsys = capsys

    def __call__(self, *arguments: str) -> Done:
        with pytest.raises(SystemExit) as ended:
            cli.main(arguments)
        return Done(ended.value.code, self._capsys.readouterr().out)


@pytest.fixture
def _at_database(database_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("JUPYTERHUB_COLLAB__DATABASE__URL", database_url)


@pytest.mark.usefixtures("_at_database")
class TestOnBothDatabases:
    def test_list_has_a_line_for_each_project(self, run: Run, world: World) -> None:
        done = run("projects", "list")
        assert done.code == 0
        assert [line.split()[:3] for line in done.said.splitlines()] == [[SLUG, "active", "private"]]

    def test_list_shows_deleted_ones_apart(self, run: Run, world: World) -> None:
        asyncio.run(world.factory.projects.delete("lead", SLUG))
        assert run("projects", "list").said == ""
        assert run("projects", "list", "--deleted").said.split()[:2] == [SLUG, "deleted"]

    def test_show_names_the_members_with_their_roles(self, run: Run, world: World) -> None:
        said = run("projects", "show", SLUG).said
        roles = [line.split()[:2] for line in said.splitlines()[1:]]
        assert {("lead", "lead"), ("editor", "editor"), ("viewer", "viewer")} <= {tuple(role) for role in roles}

    def test_export_is_the_whole_project_without_secrets(self, run: Run, world: World) -> None:
        exported = json.loads(run("projects", "export", SLUG).said)
        assert exported["project"]["slug"] == SLUG
        assert {member["user"] for member in exported["members"]} >= {"lead", "editor", "viewer"}
        assert set(exported) == {"project", "members", "groups", "invitations", "join_requests", "data"}
        assert "code" not in json.dumps(exported["invitations"])

    @pytest.mark.parametrize("verb", ["show", "export"])
    def test_a_project_that_is_not_there_is_a_sentence(self, run: Run, world: World, verb: str) -> None:
        # "co" is the beginning of a slug that is there
        assert "There is no such project" in str(run("projects", verb, "co").code)

    def test_audit_finds_events_newest_first(self, run: Run, world: World) -> None:
        asyncio.run(world.factory.projects.archive("lead", SLUG))
        events = [json.loads(line) for line in run("audit", "--project", SLUG, "--json").said.splitlines()]
        assert events[0]["action"] == "project.archive"
        assert [event["id"] for event in events] == sorted((event["id"] for event in events), reverse=True)
        newest = run("audit", "--actor", "lead", "--limit", "1").said.splitlines()
        assert len(newest) == 1
        assert "lead project.archive" in newest[0]

    def test_upgrade_twice_is_once(self, run: Run) -> None:
        assert run("db", "upgrade").code == 0
        assert run("db", "upgrade").code == 0

    def test_doctor_finds_the_database_in_order(self, run: Run) -> None:
        assert "ok      database:" in run("doctor").said


def test_doctor_names_the_fix_of_a_database_without_tables(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("JUPYTERHUB_COLLAB__DATABASE__URL", sqlite_url(tmp_path / "new.sqlite"))
    done = run("doctor")
    assert done.code == 1
    assert "Run: jupyterhub-collab db upgrade" in done.said


def test_doctor_refuses_the_hubs_own_database(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from jupyterhub.orm import new_session_factory  # noqa: PLC0415 - the Hub's stack, where needed

    path = tmp_path / "hub.sqlite"
    new_session_factory(f"sqlite:///{path}")().close()
    monkeypatch.setenv("JUPYTERHUB_COLLAB__DATABASE__URL", sqlite_url(path))
    assert "FAILED  database: This is JupyterHub's own database." in run("doctor").said
    assert "JupyterHub's own database" in str(run("db", "upgrade").code)


def test_doctor_never_shows_a_password(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    url = "postgresql+psycopg://someone:made-up-word@127.0.0.1:1/nowhere"
    monkeypatch.setenv("JUPYTERHUB_COLLAB__DATABASE__URL", url)
    done = run("doctor")
    assert "FAILED  database: postgresql+psycopg://someone:***@127.0.0.1:1/nowhere does not answer" in done.said
    assert "made-up-word" not in done.said
    listed = run("projects", "list")
    assert "jupyterhub-collab doctor" in str(listed.code)
    assert "made-up-word" not in str(listed.code)


def test_doctor_says_which_setting_is_wrong(run: Run, tmp_path: Path) -> None:
    wrong = tmp_path / "settings.toml"
    wrong.write_text("[limits]\nidle_minute = 5\n")
    done = run("--settings", str(wrong), "doctor")
    assert done.code == 1
    assert "idle_minutes" in done.said


def test_doctor_says_how_to_ask_a_hub_that_does_not_answer(run: Run) -> None:
    assert (
        "FAILED  Hub scopes: The Hub at http://127.0.0.1:1 can't be asked"
        in run("doctor", "--hub", "http://127.0.0.1:1").said
    )


def test_doctor_runs_the_checks_of_the_spawner(run: Run) -> None:
    said = run("doctor").said
    assert all(f"{name}:" in said for name in ("sandbox", "memory", "cpu", "proxy"))


def test_the_settings_of_the_state_folder_are_found(run: Run, tmp_path: Path) -> None:
    (tmp_path / "state").mkdir()
    path = tmp_path / "kept.sqlite"
    (tmp_path / "state" / "settings.toml").write_text(f'[database]\nurl = "{sqlite_url(path)}"\n')
    assert run("db", "upgrade").code == 0
    assert path.exists()


@pytest.mark.parametrize("limit", ["0", "-1", "many"])
def test_a_limit_that_is_none_is_refused(run: Run, limit: str) -> None:
    assert run("audit", "--limit", limit).code == 2


@pytest.mark.usefixtures("_at_database")
def test_a_person_is_removed(run: Run, world: World) -> None:
    done = run("people", "remove", "viewer")
    assert (done.code, "viewer is removed" in done.said) == (0, True)
    assert asyncio.run(world.factory.people.get("viewer")) is None
    assert run("people", "remove", "viewer").code == (
        "There is no such person, or you may not see it. Check the address, or ask whoever sent it to you."
    )
    assert "only lead of co2" in str(run("people", "remove", "lead").code)
