from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.demo import Site
from tests.support.demo import demo as running_demo
from tests.support.demo import site as lent_site


@pytest.fixture(scope="module")
def demo() -> Iterator[Site]:
    """A running demo that the tests of a module share."""
    with running_demo() as site:
        yield site


@pytest.fixture
def site() -> Iterator[Site]:
    """A place for a demo that is not started yet."""
    with lent_site() as made:
        yield made


@pytest.fixture
def state(tmp_path: Path) -> Path:
    """A state folder that is not there yet."""
    return tmp_path / "demo-state"
