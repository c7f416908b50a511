"""The core beside a real Hub, as another process uses it."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TypeVar

from jupyterhub_collab.factory import Factory
from jupyterhub_collab.settings import load_settings

T = TypeVar("T")


def with_core(settings_file: Path, work: Callable[[Factory], Awaitable[T]]) -> T:
    """Do something with the core that a settings file names, and close it."""

    async def run() -> T:
        factory = Factory.open(load_settings(settings_file))
        try:
            return await work(factory)
        finally:
            await factory.close()

    return asyncio.run(run())
