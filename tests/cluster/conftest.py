"""Clusters for tests. The control plane alone comes within seconds, so its tests come first.

The node is killed before anybody's work is on it: tests of the product on it come last.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from .cluster import STATE, Cluster, lent
from .node import LINK
from .release import Release
from .release import release as installed


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    costly = ("cluster", "release")
    items.sort(key=lambda item: sum(name in getattr(item, "fixturenames", ()) for name in costly))


@pytest.fixture(scope="session")
def control_plane(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """A control plane with two nodes that KWOK plays: any pod runs at once, and ends at once if it never restarts."""
    made = Cluster(tmp_path_factory.mktemp("control-plane"), full=False)
    try:
        made.up()
        yield made
    finally:
        made.down()


@pytest.fixture(scope="session")
def cluster() -> Iterator[Cluster]:
    """A real node, see `lent`; one that was brought up here leaves nothing behind."""
    with lent() as made:
        yield made
    if not STATE.exists():
        assert_nothing_left(made)


@pytest.fixture(scope="session")
def release(cluster: Cluster) -> Iterator[Release]:
    """The product, installed on the real node by its chart."""
    with installed(cluster, namespace=f"collab-{os.getpid()}") as made:
        yield made


def assert_nothing_left(cluster: Cluster) -> None:
    """Check that a cluster that was taken down left nothing on this machine."""
    assert cluster.processes.names() == set()
    assert not cluster.state.exists()
    assert not Path("/sys/class/net", LINK).exists()
    assert str(cluster.state) not in Path("/proc/self/mountinfo").read_text(encoding="utf-8")
