"""Roles and the permission table. Code asks for a permission, never for a role."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Final


class Role(StrEnum):
    """What a member is in a project; each role includes the one before."""

    VIEWER = "viewer"
    EDITOR = "editor"
    LEAD = "lead"

    @property
    def rank(self) -> int:
        """Position in the order of roles; the database stores this."""
        return _RANK[self]

    @classmethod
    def from_rank(cls, rank: int) -> Role:
        """Return the role with this rank."""
        return _ROLES[rank]


_RANK: Final = {role: i for i, role in enumerate(Role, start=1)}
_ROLES: Final = {i: role for role, i in _RANK.items()}


class Visibility(StrEnum):
    """Who may *find* a project and read its README. It never gives access to files."""

    PRIVATE = "private"
    INTERNAL = "internal"
    PUBLIC = "public"


class Standing(StrEnum):
    """How someone stands to one project: a role, or none."""

    VISITOR = "visitor"
    STRANGER = "stranger"
    VIEWER = "viewer"
    EDITOR = "editor"
    LEAD = "lead"
    OPERATOR = "operator"


class Permission(StrEnum):
    """One thing that can be done with one project."""

    FIND = "project:find"
    ASK_TO_JOIN = "project:ask-to-join"
    READ_FILES = "files:read"
    WRITE_FILES = "files:write"
    RUN_SERVER = "server:run"
    READ_MEMBERS = "members:read"
    READ_ACTIVITY = "activity:read"
    LEAVE = "members:leave"
    MANAGE_MEMBERS = "members:manage"
    MANAGE_DATA = "data:manage"
    CHANGE_README = "readme:change"
    CHANGE_SETTINGS = "settings:change"
    RESIZE = "volume:resize"
    STOP_SERVERS = "servers:stop"
    ARCHIVE = "project:archive"
    DELETE = "project:delete"
    RESTORE = "project:restore"


_P = Permission
_VIEWER: Final = frozenset({_P.FIND, _P.READ_FILES, _P.RUN_SERVER, _P.READ_MEMBERS, _P.READ_ACTIVITY, _P.LEAVE})
_EDITOR: Final = _VIEWER | {_P.WRITE_FILES, _P.CHANGE_README}
_LEAD: Final = _EDITOR | {
    _P.MANAGE_MEMBERS,
    _P.MANAGE_DATA,
    _P.CHANGE_SETTINGS,
    _P.STOP_SERVERS,
    _P.ARCHIVE,
    _P.DELETE,
    _P.RESTORE,
}

# The permission table. An operator puts a project in order; its files they reach only as a member, and joining leaves
# an event as everybody's does.
PERMISSIONS: Final[dict[Standing, frozenset[Permission]]] = {
    Standing.VISITOR: frozenset(),
    Standing.STRANGER: frozenset({_P.ASK_TO_JOIN}),
    Standing.VIEWER: _VIEWER,
    Standing.EDITOR: _EDITOR,
    Standing.LEAD: _LEAD,
    Standing.OPERATOR: frozenset(
        {
            _P.FIND,
            _P.ASK_TO_JOIN,
            _P.READ_MEMBERS,
            _P.READ_ACTIVITY,
            _P.MANAGE_MEMBERS,
            _P.CHANGE_SETTINGS,
            _P.RESIZE,
            _P.STOP_SERVERS,
            _P.ARCHIVE,
            _P.DELETE,
            _P.RESTORE,
        }
    ),
}

# Finding is the one permission that the project's visibility gives to people outside it.
FINDERS: Final[dict[Visibility, frozenset[Standing]]] = {
    Visibility.PRIVATE: frozenset(),
    Visibility.INTERNAL: frozenset({Standing.STRANGER}),
    Visibility.PUBLIC: frozenset({Standing.STRANGER, Standing.VISITOR}),
}


class SiteRight(StrEnum):
    """A right on the whole site, given by name or identity group in the settings."""

    OPERATOR = "operator"
    ORGANISER = "organiser"
    MODERATOR = "moderator"
    CREATE_PROJECTS = "create projects"


@dataclass(frozen=True, kw_only=True, slots=True)
class Actor:
    """Who asks. Only the name is ever taken from outside; everything else is read from the database."""

    name: str
    holder: int = 1
    """Which person with this account name it is: after the removal of one the name can be given to another."""
    is_person: bool = True
    """A real account. Throw-away ones (explore, workshop) see what visitors see, and their own projects."""
    groups: frozenset[str] = frozenset()
    rights: frozenset[SiteRight] = frozenset()

    @property
    def is_operator(self) -> bool:
        """Whether the settings make this person an operator."""
        return SiteRight.OPERATOR in self.rights


# For what the system itself does (purge after the days of grace); nobody can sign in by this name.
SYSTEM: Final = Actor(name="the system")


def standing(role: Role | None, actor: Actor | None) -> Standing:
    """Return how an actor with this role in a project (or none) stands to it."""
    if actor is None:
        return Standing.VISITOR
    if role is not None:
        return Standing(role.value)
    if actor.is_operator:
        return Standing.OPERATOR
    return Standing.STRANGER if actor.is_person else Standing.VISITOR


def permissions(actor: Actor | None, role: Role | None, visibility: Visibility) -> frozenset[Permission]:
    """Return everything that the actor may do with a project. A lead who is operator has the rights of both."""
    held = standing(role, actor)
    granted = PERMISSIONS[held]
    if actor is not None and actor.is_operator:
        granted |= PERMISSIONS[Standing.OPERATOR]
    if held in FINDERS[visibility]:
        granted |= {Permission.FIND}
    if role is not None:
        granted -= {Permission.ASK_TO_JOIN}
    return granted


def lowest_role_with(permission: Permission) -> Role:
    """Return the lowest role that gives a permission, for the sentence of an error."""
    for role in Role:
        if permission in PERMISSIONS[Standing(role.value)]:
            return role
    return Role.LEAD
