"""The modules of the three packages, for what is collected from all of them."""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Iterator
from functools import cache
from types import ModuleType
from typing import Final

import jupyterhub_collab
import jupyterhub_collab_services
import jupyterhub_collab_spawner

PACKAGES: Final = (jupyterhub_collab, jupyterhub_collab_spawner, jupyterhub_collab_services)
# What does something when it is imported, or needs another program to import it
_LEFT_OUT: Final = ("jupyterhub_collab.migrations.env", "jupyterhub_collab.migrations.versions")


@cache
def modules() -> tuple[ModuleType, ...]:
    """Return all modules, imported."""
    return tuple(importlib.import_module(name) for name in _names())


def _names() -> Iterator[str]:
    for package in PACKAGES:
        for found in pkgutil.walk_packages(package.__path__, f"{package.__name__}."):
            if not found.name.startswith(_LEFT_OUT) and not found.name.endswith("__main__"):
                yield found.name


def classes() -> list[type]:
    """Return the classes that the packages define, by module and name."""
    found = {
        thing
        for module in modules()
        for thing in vars(module).values()
        if isinstance(thing, type) and thing.__module__ == module.__name__
    }
    return sorted(found, key=lambda thing: (thing.__module__, thing.__qualname__))
