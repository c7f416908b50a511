"""Errors that people and programs meet, from their classes."""

from __future__ import annotations

import ast
import inspect
import textwrap
from itertools import groupby

from jupyterhub_collab.errors import CollabError

from .markdown import docstring, entry, facts, prose, sentence
from .packages import modules


def problems() -> dict[str, list[type[CollabError]]]:
    """Return the classes of errors by their codes."""
    modules()
    found = sorted(_below(CollabError), key=lambda error: (error.code, error.__name__))
    return {code: list(errors) for code, errors in groupby(found, key=lambda error: error.code)}


def _below(error: type[CollabError]) -> set[type[CollabError]]:
    inner = {
        e for child in error.__subclasses__() if child.__module__.startswith("jupyterhub_collab") for e in _below(child)
    }
    return {error} | inner


def detail(error: type[CollabError]) -> str:
    """Return the sentence that an error builds by itself, or an empty string where each use brings its own."""
    if "__init__" not in vars(error) or error is CollabError:
        return ""
    tree = ast.parse(textwrap.dedent(inspect.getsource(error.__init__)))
    for node in ast.walk(tree):
        if (
            isinstance(node, ast.Call)
            and isinstance(node.func, ast.Attribute)
            and node.func.attr == "__init__"
            and node.args
        ):
            return sentence(node.args[0]) or ""
    return ""


def text() -> str:
    """Return the reference."""
    return "\n".join(entry("problem", code, *map(_paragraphs, errors)) for code, errors in problems().items())


def _paragraphs(error: type[CollabError]) -> str:
    said = detail(error)
    quoted = f"> {error.title}. {prose(said)}" if said else f"> {error.title}. *Each use has its own sentence.*"
    return f"{docstring(error).partition(chr(10))[0]}\n\n{facts(status=str(int(error.status)))}\n\n{quoted}"
