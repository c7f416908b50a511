"""Persons as plain data."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum

from pydantic import BaseModel, ConfigDict


class Kind(StrEnum):
    """What kind of account it is. Only *persons* count as everyone who can log in."""

    PERSON = "person"
    EXPLORE = "explore"
    WORKSHOP = "workshop"


class Person(BaseModel):
    """Someone who has logged in, kept by the core."""

    model_config = ConfigDict(frozen=True)

    name: str
    display_name: str = ""
    kind: Kind = Kind.PERSON
    groups: frozenset[str] = frozenset()
    first_seen: datetime
    last_seen: datetime


class FoundPerson(BaseModel):
    """What people search shows of a person, and nothing more."""

    model_config = ConfigDict(frozen=True)

    name: str
    display_name: str = ""


class FoundGroup(BaseModel):
    """What people search shows of an identity group."""

    model_config = ConfigDict(frozen=True)

    group: str
    people: int


class GroupPause(BaseModel):
    """A group that lost too many persons at once."""

    model_config = ConfigDict(frozen=True)

    group: str
    since: datetime
    reason: str
