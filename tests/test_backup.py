from __future__ import annotations

import sqlite3
import threading
from contextlib import closing
from pathlib import Path

import pytest
from pydantic import SecretStr

from jupyterhub_collab.backup import back_up
from jupyterhub_collab.errors import BackupError
from jupyterhub_collab.settings import Database, Settings
from jupyterhub_collab.state import StateFolder


@pytest.fixture
def state(tmp_path: Path) -> StateFolder:
    made = StateFolder(tmp_path / "state").prepare()
    made.secret("projects-token")
    made.settings.write_text("[site]\nname = 'x'\n")
    for name in ("hub.sqlite", "collab.sqlite"):
        with closing(sqlite3.connect(made / name)) as connection, connection:
            connection.execute("PRAGMA journal_mode=WAL")
            connection.execute("CREATE TABLE rows (a INTEGER, b INTEGER)")
            connection.execute("INSERT INTO rows VALUES (1, 1)")
    return made


def settings(state: StateFolder, url: str = "") -> Settings:
    return Settings(database=Database(url=SecretStr(url or f"sqlite+aiosqlite:///{state / 'collab.sqlite'}")))


def rows(path: Path) -> list[tuple[int, int]]:
    with closing(sqlite3.connect(path)) as connection:
        return list(connection.execute("SELECT a, b FROM rows"))


def test_all_but_the_volumes_is_copied_and_closed_to_others(state: StateFolder, tmp_path: Path) -> None:
    (state / "home-ada").mkdir()
    (state / "hub.log").write_text("long")
    said = back_up(state, settings(state), tmp_path / "copy")
    names = {str(path.relative_to(tmp_path / "copy")) for path in (tmp_path / "copy").rglob("*") if path.is_file()}
    assert names == {"settings.toml", "secrets/projects-token", "hub.sqlite", "collab.sqlite"}
    assert (tmp_path / "copy").stat().st_mode & 0o077 == 0
    assert [line.split()[0] for line in said] == ["copied"] * 4 + ["left"]
    assert rows(tmp_path / "copy" / "hub.sqlite") == [(1, 1)]


def test_a_copy_is_of_one_moment_while_others_write(state: StateFolder, tmp_path: Path) -> None:
    done = threading.Event()

    def write() -> None:
        connection = sqlite3.connect(state / "collab.sqlite", timeout=30)
        number = 1
        while not done.is_set():
            number += 1
            with connection:
                connection.execute("UPDATE rows SET a = ?", (number,))
                connection.execute("UPDATE rows SET b = ?", (number,))
        connection.close()

    writer = threading.Thread(target=write)
    writer.start()
    try:
        for number in range(20):
            back_up(state, settings(state), tmp_path / f"copy-{number}")
            ((a, b),) = rows(tmp_path / f"copy-{number}" / "collab.sqlite")
            assert a == b
    finally:
        done.set()
        writer.join()


def test_a_database_elsewhere_is_copied_too(state: StateFolder, tmp_path: Path) -> None:
    (state / "collab.sqlite").rename(tmp_path / "elsewhere.sqlite")
    back_up(state, settings(state, f"sqlite+aiosqlite:///{tmp_path}/elsewhere.sqlite"), tmp_path / "copy")
    assert rows(tmp_path / "copy" / "elsewhere.sqlite") == [(1, 1)]


def test_postgresql_is_left_to_its_own_tool_without_the_password(state: StateFolder, tmp_path: Path) -> None:
    said = back_up(state, settings(state, "postgresql+psycopg://me:hidden@db/collab"), tmp_path / "copy")
    assert any(line.startswith("left") and line.endswith("pg_dump --format=custom collab") for line in said)
    assert "hidden" not in "".join(said)


def test_a_folder_that_is_there_is_not_written_into(state: StateFolder, tmp_path: Path) -> None:
    (tmp_path / "copy").mkdir()
    with pytest.raises(BackupError, match="is there already"):
        back_up(state, settings(state), tmp_path / "copy")


def test_where_there_is_no_hub_nothing_is_made(tmp_path: Path) -> None:
    nothing = StateFolder(tmp_path / "nothing")
    with pytest.raises(BackupError, match="--state"):
        back_up(nothing, settings(nothing), tmp_path / "copy")
    assert not (tmp_path / "copy").exists()
