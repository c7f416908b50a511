"""Identity groups from the Hub's configuration, for a site whose login has none."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from traitlets import Dict, List, TraitError, Unicode, validate

from .claims import read_groups
from .mixin import AuthModel, CollabAuthenticatorMixin


class StaticGroupsMixin(CollabAuthenticatorMixin):
    """Takes identity groups from a table in the configuration, and from nowhere else.

    The table holds at the next login or refresh after the Hub was restarted with it.
    """

    static_groups = Dict(
        key_trait=Unicode(),
        value_trait=List(Unicode()),
        config=True,
        help="""
        Identity groups and the accounts in each.

        For example `{"staff": ["ada", "grace"]}`. A group that is removed here loses its people at their next refresh.
        """,
    )

    @validate("static_groups")
    def _usable_groups(self, proposal: Mapping[str, Any]) -> dict[str, list[str]]:
        table: dict[str, list[str]] = proposal["value"]
        refused = read_groups(list(table)).refused
        if refused:
            msg = f"static_groups can't have a group called {min(refused)!r}: choose another name for it."
            raise TraitError(msg)
        return table

    def claimed_groups(self, name: str, model: AuthModel) -> frozenset[str]:  # noqa: ARG002 - the table alone decides
        """Return the groups whose row has the person's name."""
        return frozenset(group for group, names in self.static_groups.items() if name in names)
