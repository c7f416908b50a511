"""Audit events, from the code that writes them."""

from __future__ import annotations

import ast
import inspect
import re
from collections.abc import Iterator
from dataclasses import dataclass
from types import ModuleType
from typing import Final

from jupyterhub_collab.audit.service import record

from .markdown import entry, facts, prose
from .packages import modules

_ACTION: Final = re.compile(r"[a-z]+(-[a-z]+)*\.[a-z]+")
_Function = ast.FunctionDef | ast.AsyncFunctionDef


@dataclass(frozen=True, kw_only=True, slots=True)
class Written:
    """One place that writes an event."""

    action: str
    meaning: str
    """The first line of the docstring of what writes it."""


def written() -> list[Written]:
    """Return each action once, with the public function that leads to it."""
    found: dict[str, Written] = {}
    for module in modules():
        if getattr(module, "record", None) is record and module.__name__ != record.__module__:
            for event in _in_module(module):
                found.setdefault(event.action, event)
    return [found[action] for action in sorted(found)]


def _in_module(module: ModuleType) -> Iterator[Written]:
    tree = ast.parse(inspect.getsource(module))
    functions = [node for node in ast.walk(tree) if isinstance(node, _Function)]
    for function in functions:
        for node in ast.walk(function):
            if isinstance(node, ast.Constant) and isinstance(node.value, str) and _ACTION.fullmatch(node.value):
                yield Written(action=node.value, meaning=_meaning(function, functions))


def _meaning(function: _Function, functions: list[_Function]) -> str:
    """Return what a function does, or what the first function that calls it does where it has no words of its own."""
    said = ast.get_docstring(function)
    if said or not function.name.startswith("_"):
        return (said or "").partition("\n")[0]
    callers = [f for f in functions if f is not function and f"self.{function.name}(" in ast.unparse(f)]
    return _meaning(callers[0], functions) if callers else ""


def text() -> str:
    """Return the reference."""
    return "\n".join(entry("event", event.action, facts(written_by=prose(event.meaning))) for event in written())
