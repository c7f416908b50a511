"""Prometheus metrics of the core's database, in whichever process uses it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, cast

from prometheus_client import Counter, Gauge
from sqlalchemy.pool import QueuePool

if TYPE_CHECKING:
    from sqlalchemy.ext.asyncio import AsyncEngine

CONNECTIONS: Final = Gauge(
    "jupyterhub_collab_database_connections",
    "Connections of this process to the core's database, by state: used or idle.",
    ["state"],
)
MOST_CONNECTIONS: Final = Gauge(
    "jupyterhub_collab_database_connections_limit",
    "Connections that this process may open to the core's database; who needs one more waits.",
)
RETRIES: Final = Counter(
    "jupyterhub_collab_database_retries_total",
    "Transactions that were run again because another one stood in their way.",
)
GIVEN_UP: Final = Counter(
    "jupyterhub_collab_database_given_up_total",
    "Transactions that lost against others as often as they may be tried; the asker was told to try again.",
)


def watch_connections(engine: AsyncEngine) -> None:
    """Show the connections of an engine from now on."""
    pool = cast("QueuePool", engine.pool)
    CONNECTIONS.labels("used").set_function(pool.checkedout)
    CONNECTIONS.labels("idle").set_function(pool.checkedin)
    MOST_CONNECTIONS.set(pool.size() + pool._max_overflow)  # noqa: SLF001 - SQLAlchemy shows it nowhere else
