"""The core in the Hub's process: what the spawner asks of it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from jupyterhub_collab.factory import shared_factory

if TYPE_CHECKING:
    from collections.abc import Awaitable, Mapping, Sequence

    from jupyterhub_collab.projects.service import ProjectService
    from jupyterhub_collab.servers.models import Excess, Grant, OpenGrant
    from jupyterhub_collab.settings import Settings
    from jupyterhub_collab.volumes.scratch_service import ScratchService


class Servers(Protocol):
    """What the spawner asks of the core's service for servers."""

    def grant(
        self, person: str, server_name: str, *, running: frozenset[str], options: Mapping[str, object]
    ) -> Awaitable[Grant]:
        """Compute and record what a server gets; raises `PlanRefusedError`."""

    def ended(self, person: str, server_name: str, *, grant: int) -> Awaitable[None]:
        """Close this grant of a server that is verified gone."""

    def excess(self) -> Awaitable[Sequence[Excess]]:
        """Return the open grants that hold more than is allowed now."""

    def open_grants(self) -> Awaitable[Sequence[OpenGrant]]:
        """Return all open grants."""


class _Chosen:
    servers: Servers | None = None


def use(servers: Servers | None) -> None:
    """Choose another service for this process than that of the shared factory."""
    _Chosen.servers = servers


def servers() -> Servers:
    """Return the core's service for servers."""
    return _Chosen.servers or shared_factory().servers


def projects() -> ProjectService:
    """Return the core's service for projects."""
    return shared_factory().projects


def scratch() -> ScratchService:
    """Return the core's service for scratch volumes."""
    return shared_factory().scratch


def settings() -> Settings:
    """Return the settings that the Hub and its services share."""
    return shared_factory().settings
