"""Brings the core's database to the present schema, at the start of every process that uses it, under a lock."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from alembic.util import CommandError
from sqlalchemy import Connection, inspect, text

from jupyterhub_collab.database import Database
from jupyterhub_collab.errors import DatabaseError

VERSION_TABLE: Final = "jupyterhub_collab_version"
# Any number that nothing else on the server takes a lock by
_LOCK: Final = 7_221_046_111


def config() -> Config:
    """Return the configuration of Alembic, without a file."""
    made = Config()
    made.set_main_option("script_location", str(Path(__file__).parent))
    return made


def refuse_hub_database(connection: Connection) -> None:
    """Refuse the Hub's own database: two programs that each migrate one database break it for both.

    Raises
    ------
    DatabaseError
    """
    if {"users", "spawners", "oauth_codes"} <= set(inspect(connection).get_table_names()):
        msg = (
            "This is JupyterHub's own database. Give the core a database of its own: set database.url in the settings "
            "file (JUPYTERHUB_COLLAB__DATABASE__URL in the environment)."
        )
        raise DatabaseError(msg)


def revision(connection: Connection) -> tuple[str | None, str]:
    """Return the revision that a database has and the one that this release needs."""
    context = MigrationContext.configure(connection, opts={"version_table": VERSION_TABLE})
    head = ScriptDirectory.from_config(config()).get_current_head()
    return context.get_current_revision(), head or ""


def _upgrade(connection: Connection) -> None:
    refuse_hub_database(connection)
    if connection.dialect.name == "postgresql":
        connection.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": _LOCK})
    present, needed = revision(connection)
    if present == needed:
        return
    made = config()
    made.attributes["connection"] = connection
    try:
        command.upgrade(made, "head")
    except CommandError as error:
        msg = f"The database has the revision {present}, which this release does not know. Install a newer release."
        raise DatabaseError(msg) from error


async def upgrade(database: Database) -> None:
    """Bring a database to the present schema. Two processes may do it at once: the second waits and finds it done.

    Raises
    ------
    DatabaseError
        It is the Hub's own, or of a newer release.
    """
    async with database.writing() as connection:
        await connection.run_sync(_upgrade)
