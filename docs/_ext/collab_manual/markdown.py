"""Pieces of MyST Markdown."""

from __future__ import annotations

import ast
import inspect
import re
from collections.abc import Iterable, Sequence


def entry(kind: str, name: str, *paragraphs: str) -> str:
    """Return the description of one thing that other pages can link to."""
    body = "\n\n".join(paragraph for paragraph in paragraphs if paragraph)
    return f"::::{{{kind}}} {name}\n\n{body}\n\n::::\n"


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Return a table."""
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(
        "| " + " | ".join(cell.replace("|", r"\|").replace("\n", " ") for cell in line) + " |" for line in lines
    )


def facts(**pairs: str) -> str:
    """Return short facts as one line; those without a value are left out."""
    return " · ".join(f"{name.replace('_', ' ').capitalize()}: {value}" for name, value in pairs.items() if value)


def code(text: object) -> str:
    """Return text as code, whatever backticks it has."""
    return f"`` {text} ``" if "`" in str(text) else f"`{text}`"


def prose(text: str) -> str:
    """Return text from code as Markdown: both know backticks, stars and lists, but only one knows HTML."""
    parts = re.split(r"(`+[^`]*`+)", inspect.cleandoc(text))
    return "".join(part if part.startswith("`") else part.replace("<", r"\<") for part in parts)


def docstring(thing: object) -> str:
    """Return a docstring as Markdown."""
    return prose(inspect.getdoc(thing) or "")


def first_line(thing: object) -> str:
    """Return the first sentence of a docstring, which stands on a line of its own."""
    return docstring(thing).partition("\n")[0]


def sentence(expression: ast.expr) -> str | None:
    """Return the text that an expression makes, with {name} for what is filled in; None where it makes no text."""
    if isinstance(expression, ast.Constant) and isinstance(expression.value, str):
        return expression.value
    if isinstance(expression, ast.JoinedStr):
        return "".join(_filled(part) for part in expression.values)
    if isinstance(expression, ast.BoolOp):
        return next(filter(None, map(sentence, expression.values)), None)
    return None


def _filled(part: ast.expr) -> str:
    if not isinstance(part, ast.FormattedValue):
        return sentence(part) or ""
    words = [node for node in ast.walk(part.value) if isinstance(node, ast.Name)]
    return f"{{{words[-1].id}}}" if words else "{…}"
