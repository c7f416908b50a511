from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import get_args

import pytest
from pydantic import BaseModel

from jupyterhub_collab.access.models import SiteRight, Visibility
from jupyterhub_collab.errors import SettingsError
from jupyterhub_collab.settings import FILE_VARIABLE, Settings, load_settings

SECRET = "hunter2-is-no-secret"
URL = f"postgresql+psycopg://collab:{SECRET}@db/collab"


@pytest.fixture(autouse=True)
def clean_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(FILE_VARIABLE, raising=False)


def written(folder: Path, text: str) -> Path:
    file = folder / "settings.toml"
    file.write_text(text, encoding="utf-8")
    return file


def refusal(folder: Path, text: str) -> str:
    with pytest.raises(SettingsError) as caught:
        load_settings(written(folder, text))
    return str(caught.value)


def test_without_a_file_there_are_defaults() -> None:
    settings = load_settings()
    assert settings.people.consent
    assert settings.limits.undo_days == 30
    assert list(settings.environments) == ["default"]
    assert settings.people.default_visibility is Visibility.PRIVATE


def test_a_file_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = written(
        tmp_path,
        f"""
        [database]
        url = "{URL}"
        [rights.operator]
        names = ["ada"]
        groups = ["staff"]
        [data.noaa-co2]
        title = "NOAA CO₂"
        source = "/srv/data/noaa"
        [resource_classes.tiny]
        memory = "128MiB"
        """,
    )
    monkeypatch.setenv(FILE_VARIABLE, str(file))
    settings = load_settings()
    assert settings.database.url.get_secret_value() == URL
    assert settings.data["noaa-co2"].title == "NOAA CO₂"
    assert settings.resource_classes["tiny"].memory == 128 * 1024**2
    assert SiteRight.OPERATOR in settings.rights.of("ada", frozenset())
    assert SiteRight.OPERATOR in settings.rights.of("bob", frozenset({"staff"}))
    assert SiteRight.OPERATOR not in settings.rights.of("bob", frozenset({"stuff"}))


@pytest.mark.parametrize(
    ("text", "where", "nearest"),
    [
        ("[limit]\nundo_days = 3", "limit is not", "limits"),
        ("[limits]\nundo_day = 3", "limits.undo_day is not", "undo_days"),
        ("[people]\nconsnet = false", "people.consnet is not", "consent"),
        ("[rights.operators]\nnames = ['ada']", "rights.operators is not", "operator"),
        ("[data.x]\nsuorce = '/x'\nsource = '/x'", "data.x.suorce is not", "source"),
        (
            "[environments.default]\n[environments.x]\nallowed = {group = ['a']}",
            "environments.x.allowed.group",
            "groups",
        ),
        ("[resource_classes.small]\nmemroy = '1GiB'", "resource_classes.small.memroy is not", "memory"),
    ],
)
def test_an_unknown_key_is_refused_with_the_nearest_valid_one(
    tmp_path: Path, text: str, where: str, nearest: str
) -> None:
    said = refusal(tmp_path, text)
    assert where in said
    assert f"Did you mean “{nearest}”?" in said


def test_a_key_like_no_other_is_refused_with_what_is_known(tmp_path: Path) -> None:
    assert "Known here: name, operator_contact, log_format." in refusal(tmp_path, "[site]\nqqqq = 1")


@pytest.mark.parametrize(
    ("text", "where"),
    [
        ("[limits]\nservers_per_person = 0", "limits.servers_per_person"),
        ("[limits]\nidle_minutes = 'soon'", "limits.idle_minutes"),
        ("[people]\nsearch = 'fuzzy'", "people.search"),
        ("[data.UPPER]\nsource = '/x'", "data.UPPER"),
        ("[data.x]\ntitle = 'no source'", "data.x.source"),
        ("[data.x]\nsource = '/x'\npath = '/etc'", "data.x.path"),
        ("[data.x]\nsource = '/x'\npath = '/data/../etc'", "data.x.path"),
        ("[data.x]\nsource = '/x'\npath = '/data/y'\n[data.y]\nsource = '/y'", "same path"),
        ("environments = {}", "at least one environment"),
        ("[environments.gpu.allowed]\ngroups = ['g']", "environments must be for everyone"),
        ("[resource_classes.big.allowed]\ngroups = ['g']", "resource_classes must be for everyone"),
        ("limits = 3", "limits"),
    ],
)
def test_a_wrong_value_is_refused_with_its_place(tmp_path: Path, text: str, where: str) -> None:
    assert where in refusal(tmp_path, text)


@pytest.mark.parametrize("url", [f"mysql://u:{SECRET}@db/x", f"postgresql://u:{SECRET}@db/x", SECRET])
def test_no_error_shows_a_secret(tmp_path: Path, url: str) -> None:
    said = refusal(tmp_path, f"[database]\nurl = '{url}'\npool_size = 'x'")
    assert "database.url" in said
    assert SECRET not in said


def test_settings_do_not_print_a_secret(tmp_path: Path) -> None:
    settings = load_settings(written(tmp_path, f"[database]\nurl = '{URL}'"))
    assert SECRET not in f"{settings} {settings!r} {settings.model_dump()} {settings.model_dump_json()}"


def test_the_environment_wins_over_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("JUPYTERHUB_COLLAB__DATABASE__URL", URL)
    monkeypatch.setenv("JUPYTERHUB_COLLAB__LIMITS__UNDO_DAYS", "7")
    settings = load_settings(written(tmp_path, "[limits]\nundo_days = 3\nidle_minutes = 10\n[database]\npool_size = 9"))
    assert settings.database.url.get_secret_value() == URL
    assert (settings.database.pool_size, settings.limits.undo_days, settings.limits.idle_minutes) == (9, 7, 10)


@pytest.mark.parametrize(
    ("variable", "nearest"), [("LIMITS__UNDO_DAY", "undo_days"), ("LIMIT__UNDO_DAYS", "limits"), ("LIMITZ", "limits")]
)
def test_an_unknown_variable_is_refused_as_an_unknown_key_is(
    monkeypatch: pytest.MonkeyPatch, variable: str, nearest: str
) -> None:
    monkeypatch.setenv(f"JUPYTERHUB_COLLAB__{variable}", "3")
    with pytest.raises(SettingsError, match=f"“{nearest}”"):
        load_settings()


def test_a_wrong_variable_does_not_show_its_value(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("JUPYTERHUB_COLLAB__DATABASE", f'{{"url": "{SECRET}')
    with pytest.raises(SettingsError) as caught:
        load_settings()
    assert SECRET not in str(caught.value)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=r"nowhere\.toml.*JUPYTERHUB_COLLAB_SETTINGS"):
        load_settings(tmp_path / "nowhere.toml")


@pytest.mark.parametrize("content", [b"[limits", b"\xff\xfe", b"a = 1\na = 2"])
def test_a_file_that_is_no_toml_is_named(tmp_path: Path, content: bytes) -> None:
    file = tmp_path / "settings.toml"
    file.write_bytes(content)
    with pytest.raises(SettingsError, match=r"settings\.toml is not TOML"):
        load_settings(file)


def test_settings_do_not_change() -> None:
    with pytest.raises(ValueError, match="frozen"):
        Settings().limits.undo_days = 1  # type: ignore[misc]


def test_every_setting_says_what_it_is() -> None:
    assert list(silent(Settings)) == []


def silent(model: type[BaseModel]) -> Iterator[str]:
    """Return the settings of a section, and of those below it, that have no description."""
    for name, field in model.model_fields.items():
        if not field.description:
            yield f"{model.__name__}.{name}"
        for part in (field.annotation, *get_args(field.annotation)):
            if isinstance(part, type) and issubclass(part, BaseModel):
                yield from silent(part)
