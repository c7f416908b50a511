"""Roles, permissions and site-wide rights, from the tables that decide."""

from __future__ import annotations

from jupyterhub_collab.access.models import FINDERS, PERMISSIONS, Permission, Role, SiteRight, Standing, Visibility
from jupyterhub_collab.access.service import _WHILE_ARCHIVED as WHILE_ARCHIVED
from jupyterhub_collab.settings import Rights
from jupyterhub_collab_services.projects.api import api

from .markdown import code, docstring, entry, facts, table


def roles() -> str:
    """Return what each role adds to the one before."""
    held: frozenset[Permission] = frozenset()
    rows = []
    for role in Role:
        now = PERMISSIONS[Standing(role.value)]
        rows.append(
            [code(role.value), ", ".join(_link(permission) for permission in Permission if permission in now - held)]
        )
        held = now
    return f"{docstring(Role)}\n\n{table(['Role', 'Permissions that it adds'], rows)}\n"


def permission_table() -> str:
    """Return the permission table, and what needs each permission."""
    head = ["Permission", *(standing.value for standing in Standing), "in an archived project"]
    rows = [
        [
            _link(permission),
            *("yes" if permission in PERMISSIONS[standing] else "no" for standing in Standing),
            "yes" if permission in WHILE_ARCHIVED else "no",
        ]
        for permission in Permission
    ]
    return f"{table(head, rows)}\n\n" + "\n".join(map(_entry, Permission))


def _link(permission: Permission) -> str:
    return f"{{permission}}`{permission.value}`"


def _entry(permission: Permission) -> str:
    holders = [code(standing.value) for standing in Standing if permission in PERMISSIONS[standing]]
    needed = [f"{{route}}`{route.method} {route.path}`" for route in api.table if route.needs is permission]
    return entry("permission", permission.value, facts(held_by=", ".join(holders), needed_by=", ".join(needed)))


def visibility_table() -> str:
    """Return who finds a project by its visibility."""
    rows = [
        [
            code(visibility.value),
            ", ".join(code(s.value) for s in Standing if s in FINDERS[visibility]) or "nobody else",
        ]
        for visibility in Visibility
    ]
    return f"{docstring(Visibility)}\n\n{table(['Visibility', 'Found, besides members and operators, by'], rows)}\n"


def site_rights() -> str:
    """Return the site-wide rights with the table of the settings that gives each."""
    rows = [
        [code(right.value), f"`[rights.{_key(right)}]`", Rights.model_fields[_key(right)].description or ""]
        for right in SiteRight
    ]
    return f"{docstring(SiteRight)}\n\n{table(['Right', 'Table in the settings', 'What it is for'], rows)}\n"


def _key(right: SiteRight) -> str:
    return right.value.replace(" ", "_")
