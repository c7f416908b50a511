"""The state of a person's server as pages show it: the Hub's word and the core's together."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from jupyterhub_collab.volumes.models import Mode

if TYPE_CHECKING:
    from datetime import datetime

    from jupyterhub_collab.servers.models import MountChange, ServerView

    from .servers import RunningServer

RUNNING = "running"
STARTING = "starting"
STOPPING = "stopping"
STOPPED = "stopped"
RESTART = "restart"


def gains(view: ServerView | None) -> list[MountChange]:
    """Return what a restart would change for a running server; what it is about to lose is not among it."""
    return [change for change in view.changes if change.allowed is not None] if view else []


def wants_restart(view: ServerView | None) -> bool:
    """Tell whether the person should be offered a restart."""
    return view is not None and view.grant is not None and (bool(gains(view)) or view.other_runtime)


@dataclass(frozen=True, kw_only=True, slots=True)
class ServerState:
    """One server of the person who looks."""

    name: str
    state: str
    """``running``, ``restart`` (running, out of date), ``starting``, ``stopping`` or ``stopped``."""
    url: str | None = None
    started: datetime | None = None
    last_activity: datetime | None = None
    view: ServerView | None = None

    @property
    def is_up(self) -> bool:
        """Whether it can be opened."""
        return self.state in (RUNNING, RESTART)


def combine(name: str, hub: RunningServer | None, view: ServerView | None) -> ServerState:
    """Return the state of a server. Where the Hub does not answer, a grant that is open counts as running."""
    granted = view.grant.granted_at if view and view.grant else None
    if hub is None:
        state = RUNNING if granted else STOPPED
        return ServerState(name=name, state=state, started=granted, view=view)
    state = RESTART if hub.state == RUNNING and wants_restart(view) else hub.state
    return ServerState(
        name=name,
        state=state,
        url=hub.url,
        started=hub.started or granted,
        last_activity=hub.last_activity,
        view=view,
    )


def can_write(view: ServerView, slug: str) -> bool:
    """Tell whether a start would give a project folder to write in."""
    path = f"~/projects/{slug}"
    return any(m.path == path and m.mode is Mode.READ_WRITE for m in (view.plan.mounts if view.plan else ()))
