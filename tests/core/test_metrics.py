from __future__ import annotations

import pytest
from prometheus_client import REGISTRY
from sqlalchemy import text
from sqlalchemy.exc import OperationalError
from sqlalchemy.ext.asyncio import AsyncSession

from jupyterhub_collab.database import TRIES, Database
from jupyterhub_collab.errors import BusyError
from jupyterhub_collab.metrics import watch_connections


def value(name: str, **labels: str) -> float:
    return REGISTRY.get_sample_value(f"jupyterhub_collab_database_{name}", labels) or 0.0


async def test_connections_are_shown_as_they_are(database: Database) -> None:
    watch_connections(database.engine)
    assert value("connections_limit") == (15 if database.is_sqlite else 13)

    async def look(session: AsyncSession) -> float:
        await session.execute(text("SELECT 1"))
        return value("connections", state="used")

    assert await database.read(look) == 1
    assert (value("connections", state="used"), value("connections", state="idle")) == (0, 1)


async def test_a_transaction_that_is_run_again_is_counted(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    async def locked(_session: AsyncSession) -> None:
        raise OperationalError("UPDATE", {}, Exception("database is locked"))

    async def no_sleep(_seconds: float) -> None:
        pass

    monkeypatch.setattr("jupyterhub_collab.database.asyncio.sleep", no_sleep)
    before = value("retries_total"), value("given_up_total")
    with pytest.raises(BusyError):
        await database.write(locked)
    assert (value("retries_total"), value("given_up_total")) == (before[0] + TRIES - 1, before[1] + 1)
