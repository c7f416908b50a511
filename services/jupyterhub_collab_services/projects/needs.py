"""“Needs you”: what waits for one person."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from jupyterhub_collab.volumes.models import Mode

from .server_states import gains, wants_restart

if TYPE_CHECKING:
    from jupyterhub_collab.factory import Factory
    from jupyterhub_collab.projects.models import Invitation, JoinRequest
    from jupyterhub_collab.servers.models import ServerView


@dataclass(frozen=True, kw_only=True, slots=True)
class Need:
    """One row: a join request to decide, an invitation to answer, or a server to restart."""

    request: JoinRequest | None = None
    invitation: Invitation | None = None
    restart: ServerView | None = None

    @property
    def became_writer(self) -> bool:
        """Whether the running server has a folder read-only that its owner may write in now."""
        changes = gains(self.restart)
        return any(c.granted is Mode.READ_ONLY and c.allowed is Mode.READ_WRITE for c in changes)

    @property
    def paths(self) -> list[str]:
        """The paths that a restart would change."""
        return [change.path for change in gains(self.restart)]


async def needs_of(factory: Factory, who: str, views: dict[str, ServerView]) -> list[Need]:
    """Return what waits for a person: people first, then their own servers."""
    requests = await factory.join_requests.to_decide(who)
    invitations = await factory.invitations.mine(who)
    return [
        *(Need(request=request) for request in requests),
        *(Need(invitation=invitation) for invitation in invitations),
        *(Need(restart=view) for view in views.values() if wants_restart(view)),
    ]
