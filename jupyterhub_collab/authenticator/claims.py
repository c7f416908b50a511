"""What an identity provider says about someone, read with distrust."""

from __future__ import annotations

import hashlib
import unicodedata
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from jupyterhub_collab.names import is_hub_group

_LONGEST: Final = 255
_NAME_KEYS: Final = ("display_name", "displayName", "name", "cn")
# JupyterLab's themes have seven colours for people who edit together
_COLOURS: Final = 7


@dataclass(frozen=True, kw_only=True, slots=True)
class GroupClaim:
    """The groups that a provider names."""

    groups: frozenset[str] | None
    """None where the claim is missing or can't be read: nothing is known, so nothing may change."""
    refused: frozenset[str] = frozenset()
    """Names that no provider may use, or that can't be kept."""


def read_groups(value: object) -> GroupClaim:
    """Return the groups in a claim, which should be a list of strings; an empty list means no groups."""
    if not isinstance(value, list | tuple | set | frozenset):
        return GroupClaim(groups=None)
    if not all(isinstance(name, str) for name in value):
        return GroupClaim(groups=None)
    refused = frozenset(name for name in value if is_hub_group(name) or not _can_be_kept(name))
    return GroupClaim(groups=frozenset(value) - refused, refused=refused)


def _can_be_kept(group: str) -> bool:
    return 0 < len(group) <= _LONGEST and group.isprintable()


def find_display_name(sources: Iterable[Mapping[str, Any]]) -> str:
    """Return the first name for showing that one of the sources has, or an empty string."""
    for source in sources:
        for key in _NAME_KEYS:
            name = _plain(source.get(key))
            if name:
                return name
    return ""


def _plain(value: object) -> str:
    """Return text without invisible characters: some of them turn the reading direction of what follows."""
    if isinstance(value, list | tuple) and value:  # LDAP and CAS have lists of values
        value = value[0]
    if not isinstance(value, str):
        return ""
    seen = "".join(" " if c.isspace() else c for c in unicodedata.normalize("NFC", value))
    return " ".join("".join(c for c in seen if c.isprintable()).split())[:_LONGEST].rstrip()


def initials(name: str) -> str:
    """Return the initials of the first and the last word of a name."""
    words = [word for word in name.split() if word[0].isalnum()] or [name]
    return "".join(word[0] for word in dict.fromkeys((words[0], words[-1])) if word).upper()


def user_info(name: str, display_name: str, given: Mapping[str, Any]) -> dict[str, Any]:
    """Return what servers show of a person to others who work in them; what the provider gave wins.

    The keys are JupyterHub's: https://jupyterhub.readthedocs.io, "user_info".
    """
    shown = display_name or name
    colour = hashlib.sha256(name.encode()).digest()[0] % _COLOURS + 1
    ours = {
        "name": shown,
        "display_name": shown,
        "initials": initials(shown),
        "color": f"var(--jp-collaborator-color{colour})",
    }
    return ours | {key: value for key, value in given.items() if value}
