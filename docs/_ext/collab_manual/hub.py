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

    def roles(self) -> list[list[str]]:
        """Return who gets which scopes by a role: services by name, accounts by what makes the list of them."""
        found = []
        for role in ast.iter_child_nodes(self._names["c.JupyterHub.load_roles"]):
            parts = _parts(role) if isinstance(role, ast.Dict) else {}
            if "services" in parts:
                found.append([f"service {_list(ast.literal_eval(parts['services']))}", self._given(parts)])
            elif "users" in parts:
                found.append([f"accounts in {code(ast.unparse(parts['users']))}", self._given(parts)])
        return found

    @staticmethod
    def _given(parts: dict[str, ast.expr]) -> str:
        return _list(ast.literal_eval(parts["scopes"]))

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
    services = [[code(name), _list(found) or "none"] for name, found in configuration.services().items()]
    everyone = sorted(configuration.value("c.JupyterHub.extra_user_scopes"))
    roles = [*configuration.roles(), ["every account, besides what JupyterHub gives", _list(everyone)]]
    of_tokens = table(["Service", "Scopes of the token that it gets for the person in front of it"], services)
    return f"{table(['Who', 'Scopes of their own'], roles)}\n\n{of_tokens}\n"


def _list(names: list[str]) -> str:
    return ", ".join(code(name) for name in names)


def calls() -> str:
    """Return what the classes say that they rest on, in their own words."""
    return "\n".join(f"### `{found.__name__}`\n\n{docstring(found)}\n" for found in resting())


def resting() -> list[type]:
    """Return the classes whose docstring names what they rest on."""
    return [found for found in classes() if _RESTS.search(found.__doc__ or "")]
