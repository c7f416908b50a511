from __future__ import annotations

import csv
import json
from pathlib import Path

import pytest

from jupyterhub_collab.demo.preparation import ACCOUNTS, prepare, write_data
from jupyterhub_collab.errors import SettingsError
from jupyterhub_collab.settings import load_settings
from jupyterhub_collab.state import StateFolder


@pytest.fixture
def folder(state: Path) -> StateFolder:
    return StateFolder(state).prepare()


def test_the_data_are_the_whole_weekly_series(tmp_path: Path) -> None:
    write_data(tmp_path)
    with (tmp_path / "mlo-weekly.csv").open(newline="") as file:
        weeks = list(csv.DictReader(file))
    assert (len(weeks), weeks[0]["date"], weeks[-1]["date"]) == (2284, "1958-03-29", "2001-12-29")
    assert sum(week["co2"] == "" for week in weeks) == 59
    assert "2,284 weeks from March 1958 to December 2001; 59 of them" in (tmp_path / "README.md").read_text()


def test_the_settings_can_be_used(folder: StateFolder) -> None:
    prepare(folder, "")
    settings = load_settings(folder.settings)
    assert settings.rights.operator.names == {"operator"}
    assert Path(settings.data["noaa-co2"].source, "mlo-weekly.csv").is_file()
    assert [(c.cpu, c.memory) for c in settings.resource_classes.values()] == [(1, 2 * 2**30), (2, 4 * 2**30)]


def test_a_folder_with_odd_characters_can_be_used(tmp_path: Path) -> None:
    folder = StateFolder(tmp_path / 'a "quoted" \\ fólder').prepare()
    prepare(folder, "")
    assert load_settings(folder.settings).storage.root == folder / "volumes"


def test_the_password_is_random_and_kept(folder: StateFolder, tmp_path: Path) -> None:
    first = prepare(folder, "")
    assert prepare(folder, "") == first
    assert prepare(StateFolder(tmp_path / "other").prepare(), "") != first


def test_a_password_that_is_given_holds_for_this_run_only(folder: StateFolder) -> None:
    kept = prepare(folder, "")
    assert prepare(folder, "chosen") == "chosen"
    assert prepare(folder, "") == kept


def test_secrets_are_closed_to_others(folder: StateFolder) -> None:
    prepare(folder, "chosen")
    folder.secret("proxy-token")
    assert folder.path.stat().st_mode & 0o077 == 0
    closed = [folder / "accounts.json", *(folder / "secrets").iterdir()]
    assert all(path.stat().st_mode & 0o077 == 0 for path in closed)
    assert json.loads((folder / "accounts.json").read_text()).keys() == ACCOUNTS.keys()
    assert not [path for path in folder.path.rglob("*") if path.is_file() and b"chosen" in path.read_bytes()]


def test_a_wrong_variable_stops_the_demo_before_it_starts(folder: StateFolder, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("JUPYTERHUB_COLLAB__LIMITS__IDLE_MINUTES", "soon")
    with pytest.raises(SettingsError, match=r"limits\.idle_minutes"):
        prepare(folder, "")
