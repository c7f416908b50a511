"""What is asked of the Hub: scopes of each service, from the configuration, and calls that our classes rest on."""

from __future__ import annotations

import ast
import re
from pathlib import Path
from typing import Any, Final

from .markdown import code, docstring, table
from .packages import classes

CONFIGURATION: Final = Path(__file__).parents[3] / "jupyterhub_config.py"
_RESTS: Final = re.compile(r"\brests on\b", re.IGNORECASE)


class Configuration:
    """The literals of ``jupyterhub_config.py``. It is read and not run: running it starts to make a Hub's folders."""

    def __init__(self, path: Path = CONFIGURATION) -> None:
        self._tree = ast.parse(path.read_text(encoding="utf-8"))
        self._names: dict[str, ast.expr] = {
            ast.unparse(node.targets[0]): node.value for node in ast.walk(self._tree) if isinstance(node, ast.Assign)
        }

    def value(self, name: str) -> Any:
        """Return the literal that is assigned to a name, such as ``c.JupyterHub.load_roles``."""
        return ast.literal_eval(self._names[name])

    def services(self) -> dict[str, list[str]]:
        """Return the services by name, with the scopes of the tokens that they get for the person in front of them."""
        found = {}
        for node in ast.walk(self._names["c.JupyterHub.services"]):
            if isinstance(node, ast.Name):
                parts = _parts(self._names[node.id])
                found[ast.literal_eval(parts["name"])] = self._scopes(parts.get("oauth_client_allowed_scopes"))
        return found

    def _scopes(self, expression: ast.expr | None) -> list[str]:
        if isinstance(expression, ast.Name):
            return list(self.value(expression.id))
        return list(ast.literal_eval(expression)) if expression is not None else []


def _parts(expression: ast.expr) -> dict[str, ast.expr]:
    assert isinstance(expression, ast.Dict)  # noqa: S101 - a service is a dict
    return {ast.literal_eval(key): value for key, value in zip(expression.keys, expression.values, strict=True) if key}


def scopes() -> str:
    """Return which scopes the default configuration gives to whom."""
    configuration = Configuration()
    own: dict[str, list[str]] = {}
    for role in configuration.value("c.JupyterHub.load_roles"):
        for service in role.get("services", []):
            own.setdefault(service, []).extend(role["scopes"])
    rows = [
        [code(name), _list(own.get(name, [])) or "none", _list(for_person) or "none"]
        for name, for_person in configuration.services().items()
    ]
    everyone = _list(sorted(configuration.value("c.JupyterHub.extra_user_scopes")))
    head = ["Service", "Scopes of its own token", "Scopes of the token that it gets for the person in front of it"]
    return f"{table(head, rows)}\n\nEvery account also has {everyone}.\n"


def _list(names: list[str]) -> str:
    return ", ".join(code(name) for name in names)


def calls() -> str:
    """Return what the classes say that they rest on, in their own words."""
    return "\n".join(f"### `{found.__name__}`\n\n{docstring(found)}\n" for found in resting())


def resting() -> list[type]:
    """Return the classes whose docstring names what they rest on."""
    return [found for found in classes() if _RESTS.search(found.__doc__ or "")]
