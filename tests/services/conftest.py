from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from tests.support.api import Client, running_client
from tests.support.world import World


@pytest.fixture
async def client(world: World) -> AsyncIterator[Client]:
    """The real service on a real port, a fake Hub behind it, the people of the permission table before it."""
    async with running_client(world.factory) as made:
        yield made
