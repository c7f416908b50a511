"""The core beside a real Hub, as another process uses it."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeVar

from jupyterhub_collab.factory import Factory
from jupyterhub_collab.settings import Settings

T = TypeVar("T")


def with_core(settings: Settings, work: Callable[[Factory], Awaitable[T]]) -> T:
    """Do something with the core of these settings, and close it."""

    async def run() -> T:
        factory = Factory.open(settings)
        try:
            return await work(factory)
        finally:
            await factory.close()

    return asyncio.run(run())
