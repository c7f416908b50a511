"""Options that stand in ``jupyterhub_config.py``: the traits of our spawners, authenticators and services."""

from __future__ import annotations

import ast
import inspect
import textwrap
from importlib.metadata import entry_points
from typing import Any, Final

from traitlets import DefaultHandler, Enum, HasTraits, TraitType

from jupyterhub_collab_services.projects.application import ProjectsService

from .markdown import code, docstring, entry, facts, prose

_GROUPS: Final = {"Spawners": "jupyterhub.spawners", "Authenticators": "jupyterhub.authenticators"}
_OURS: Final = "jupyterhub_collab"


def configurables() -> dict[str, dict[str, type[HasTraits]]]:
    """Return our classes that operators configure, by heading and by the name that the Hub's configuration takes."""
    found = {
        heading: {entry.name: entry.load() for entry in sorted(entry_points(group=group)) if _OURS in entry.value}
        for heading, group in _GROUPS.items()
    }
    return found | {"Services": {"python -m jupyterhub_collab_services.projects": ProjectsService}}


def options(configurable: type[HasTraits]) -> dict[str, TraitType[Any, Any]]:
    """Return the options that our classes add to those of JupyterHub and other packages."""
    own = {name for base in configurable.__mro__ if base.__module__.startswith(_OURS) for name in _own_of(base)}
    return {name: trait for name, trait in sorted(configurable.class_traits(config=True).items()) if name in own}


def _own_of(base: type) -> list[str]:
    return list(base.class_own_traits(config=True)) if issubclass(base, HasTraits) else []


def other_defaults(configurable: type[HasTraits]) -> dict[str, str]:
    """Return the options of other packages whose default is another one here, with what makes the default."""
    found: dict[str, str] = {}
    for base in reversed(configurable.__mro__):
        if base.__module__.startswith(_OURS):
            found |= {h.trait_name: _returned(h) for h in vars(base).values() if isinstance(h, DefaultHandler)}
    known = configurable.class_trait_names(config=True)
    return {name: value for name, value in sorted(found.items()) if name in known}


def _returned(handler: DefaultHandler) -> str:
    tree = ast.parse(textwrap.dedent(inspect.getsource(handler.func)))
    return ast.unparse(next(node.value for node in ast.walk(tree) if isinstance(node, ast.Return) and node.value))


def text() -> str:
    """Return the reference: a section for each class."""
    parts = []
    for heading, classes in configurables().items():
        parts.append(f"## {heading}\n")
        parts += [_section(name, configurable) for name, configurable in classes.items()]
    return "\n".join(parts)


def _section(name: str, configurable: type[HasTraits]) -> str:
    changed = other_defaults(configurable)
    lines = [f"- {code(f'{configurable.__name__}.{option}')}: {code(value)}" for option, value in changed.items()]
    return "\n".join(
        [
            f"### {configurable.__name__}\n",
            f"{docstring(configurable).partition(chr(10))[0]} In the configuration: {code(name)}.\n",
            *(_entry(configurable, option, trait) for option, trait in options(configurable).items()),
            *(
                ["Options of JupyterHub or of the other package, with another default here:\n", *lines, ""]
                if lines
                else []
            ),
        ]
    )


def _entry(configurable: type[HasTraits], name: str, trait: TraitType[Any, Any]) -> str:
    return entry(
        "trait",
        f"{configurable.__name__}.{name}",
        prose(trait.help),
        facts(value=_kind(trait), default=code(trait.default_value_repr())),
    )


def _kind(trait: TraitType[Any, Any]) -> str:
    if isinstance(trait, Enum):
        return " or ".join(code(repr(value)) for value in trait.values or ())
    return trait.info().removeprefix("a ").removeprefix("an ")
