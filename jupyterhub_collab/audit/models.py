"""Audit events as plain data."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from pydantic import BaseModel, ConfigDict


class Event(BaseModel):
    """One change."""

    model_config = ConfigDict(frozen=True)

    id: int
    at: datetime
    actor: str
    action: str
    """A noun and a verb, such as ``member.remove``."""
    target: str
    """What was changed: a person, a group, a slug, a volume."""
    project: str | None = None
    detail: dict[str, Any] = {}


class EventPage(BaseModel):
    """Events, newest first, and where the next page begins."""

    items: list[Event]
    next: int | None = None
