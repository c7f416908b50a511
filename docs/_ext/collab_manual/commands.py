"""The command line, from its parser."""

from __future__ import annotations

import argparse
from collections.abc import Iterator

from jupyterhub_collab.cli import parser

from .markdown import code, entry, table


def commands() -> Iterator[tuple[str, str, argparse.ArgumentParser]]:
    """Return each verb's whole name, its line of help and its parser; the program itself first."""
    top = parser()
    yield top.prog, top.description or "", top
    yield from _below(top)


def _below(upper: argparse.ArgumentParser) -> Iterator[tuple[str, str, argparse.ArgumentParser]]:
    for action in upper._actions:  # noqa: SLF001 - argparse has no public way to look
        if isinstance(action, argparse._SubParsersAction):  # noqa: SLF001
            helps = {choice.dest: choice.help or "" for choice in action._choices_actions}  # noqa: SLF001
            for name, lower in action.choices.items():
                yield lower.prog, helps.get(name, ""), lower
                yield from _below(lower)


def text() -> str:
    """Return the reference: usage, help and options of each verb."""
    return "\n".join(_entry(name, help_text, found) for name, help_text, found in commands())


def _entry(name: str, help_text: str, found: argparse.ArgumentParser) -> str:
    usage = " ".join(found.format_usage().removeprefix("usage: ").replace("[-h] ", "").replace("[-h]", "").split())
    rows = [[_name(action), _help(action)] for action in found._actions if _is_shown(action)]  # noqa: SLF001
    options = table(["Option", "Meaning"], rows) if rows else ""
    return entry("cli", name, f"{help_text[:1].upper()}{help_text[1:].rstrip('.')}.", f"    {usage}", options)


def _is_shown(action: argparse.Action) -> bool:
    return not isinstance(action, argparse._HelpAction | argparse._SubParsersAction)  # noqa: SLF001


def _name(action: argparse.Action) -> str:
    names = ", ".join(code(name) for name in action.option_strings)
    return names or code((action.metavar if isinstance(action.metavar, str) else action.dest).upper())


def _help(action: argparse.Action) -> str:
    if isinstance(action, argparse._VersionAction):  # noqa: SLF001
        return "show the version and end"
    return action.help or f"the {action.dest} of the project"
