"""Volumes and mounts as plain data."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum

from pydantic import BaseModel, ConfigDict


class Mode(StrEnum):
    """What a server may do with a volume."""

    READ_ONLY = "read-only"
    READ_WRITE = "read-write"


class VolumeKind(StrEnum):
    """What a volume is for."""

    HOME = "home"
    PROJECT = "project"
    DATA = "data"
    SCRATCH = "scratch"
    PUBLIC = "public"


class Mount(BaseModel):
    """A volume at a path in a server."""

    model_config = ConfigDict(frozen=True)

    kind: VolumeKind
    volume: str
    """Name of the volume, from `jupyterhub_collab.names`."""
    data: str | None = None
    """For data volumes their name in the catalogue."""
    source: str = ""
    """For data volumes what the operator declared (a folder or a claim); else empty, the volume's name says it."""
    path: str
    """Where the server sees it; ``~`` is the home of the person."""
    mode: Mode
    size: int | None = None
    """Bytes that an operator wants it to have room for; None: what volumes of its kind usually have."""
    projects: tuple[str, ...] = ()
    """The projects through which the person has it in this mode; none for what every person has."""


class ScratchUse(BaseModel):
    """What a scratch volume holds, and what of it goes soon because nobody changed it."""

    model_config = ConfigDict(frozen=True)

    size: int = 0
    going: int = 0
    """Bytes that go within a week, or within half of the days that files may stay where that is less."""
    goes_from: datetime | None = None
    """When the first of them go."""


class DataAttachment(BaseModel):
    """A data volume attached to a project."""

    model_config = ConfigDict(frozen=True)

    name: str
    path: str = ""
    """Where servers see it; empty when the operator does not offer it any more, so that nothing is mounted."""
    mode: Mode
    title: str = ""
    description: str = ""
    attached_by: str
    since: datetime
