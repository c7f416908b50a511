"""The plan of one server start and what was granted, as plain data."""

from __future__ import annotations

from datetime import datetime

from pydantic import BaseModel, ConfigDict

from jupyterhub_collab.settings import Environment, ResourceClass
from jupyterhub_collab.volumes.models import Mode, Mount


class ServerPlan(BaseModel):
    """All that one server start is allowed. Computed by the core from the database at each start."""

    model_config = ConfigDict(frozen=True)

    person: str
    server_name: str
    """Empty for the workspace server; else the slug of the project."""
    project: str | None
    mounts: tuple[Mount, ...]
    """The home first; a mount never lies under a later one."""
    environment_name: str
    environment: Environment
    resource_class_name: str
    resource_class: ResourceClass
    idle_minutes: int
    working_directory: str
    """Where JupyterLab opens, with ``~`` for the home."""


class Grant(BaseModel):
    """What a server was given when it started."""

    model_config = ConfigDict(frozen=True)

    id: int
    plan: ServerPlan
    granted_at: datetime


class OpenGrant(BaseModel):
    """Whose server holds a grant that is not closed; without the plan, since 2,000 of those take long to read."""

    model_config = ConfigDict(frozen=True)

    id: int
    person: str
    server_name: str


class RunningServer(BaseModel):
    """What one running server counts for."""

    model_config = ConfigDict(frozen=True)

    id: int
    """Of its grant."""
    person: str
    server_name: str
    cpu: float
    memory: int


class Excess(BaseModel):
    """A running server that was granted more than is allowed now."""

    model_config = ConfigDict(frozen=True)

    grant_id: int
    person: str
    server_name: str
    reason: str


class MountChange(BaseModel):
    """How a mount of a running server would differ if it were started now."""

    model_config = ConfigDict(frozen=True)

    path: str
    granted: Mode | None
    """What the running server has; null: nothing."""
    allowed: Mode | None
    """What it would have; null: nothing, so that it is about to be stopped."""


class ServerView(BaseModel):
    """What a page shows of my server for a project, or of my workspace server."""

    model_config = ConfigDict(frozen=True)

    server_name: str
    grant: Grant | None
    """What the running server was granted; null where none runs."""
    plan: ServerPlan | None
    """What a start would be granted now; null where it would be refused."""
    refusal: str | None = None
    changes: tuple[MountChange, ...] = ()
    other_runtime: bool = False
    """A start would use another environment or size."""

    @property
    def restart_to_apply(self) -> bool:
        """Whether a restart would give the person something that the running server lacks."""
        return self.grant is not None and (bool(self.changes) or self.other_runtime)
