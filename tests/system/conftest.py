from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.support.postgres import PostgresCluster, running_cluster


@pytest.fixture(scope="session")
def open_postgres() -> Iterator[PostgresCluster]:
    """A PostgreSQL that every account of this machine may connect to."""
    with running_cluster() as cluster:
        cluster.folder.chmod(0o711)
        yield cluster
