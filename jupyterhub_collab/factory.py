"""Builds the services of the core, each with just what it needs."""

from __future__ import annotations

import functools
from collections.abc import Callable
from datetime import UTC, datetime

from .access.service import Authorizer
from .audit.service import AuditService
from .database import Database
from .environments.service import Catalogue
from .metrics import watch_connections
from .people.service import PeopleService
from .projects.departure_service import DepartureService
from .projects.invitation_service import InvitationService
from .projects.join_request_service import JoinRequestService
from .projects.member_service import MemberService
from .projects.service import ProjectService
from .servers.excess import ExcessQuery
from .servers.limits import ServerLimits
from .servers.planner import Planner
from .servers.service import ServerService
from .settings import Settings, load_settings
from .volumes.scratch_service import ScratchService
from .volumes.service import DataService


def utc_now() -> datetime:
    """Return the present instant."""
    return datetime.now(UTC)


class Factory:
    """The services of one process, on one database."""

    def __init__(self, settings: Settings, database: Database, clock: Callable[[], datetime] = utc_now) -> None:
        self.settings = settings
        self.database = database
        limits = settings.limits
        authorizer = Authorizer(settings.rights)
        self.catalogue = Catalogue(settings)
        planner = Planner(authorizer, self.catalogue, limits, settings.storage)
        self.audit = AuditService(database, authorizer)
        self.people = PeopleService(database, authorizer, settings.people, clock)
        usual_size = int(settings.storage.project_size)
        self.projects = ProjectService(database, authorizer, self.catalogue, limits, clock, usual_size=usual_size)
        self.members = MemberService(database, authorizer, limits, clock, consent=settings.people.consent)
        self.invitations = InvitationService(database, authorizer, limits, clock)
        self.join_requests = JoinRequestService(database, authorizer, clock)
        self.departures = DepartureService(database, authorizer, clock)
        self.data = DataService(database, authorizer, self.catalogue, clock)
        self.scratch = ScratchService(database, authorizer, clock)
        self.servers = ServerService(database, authorizer, planner, ExcessQuery(settings), ServerLimits(limits), clock)

    @classmethod
    def open(cls, settings: Settings, clock: Callable[[], datetime] = utc_now) -> Factory:
        """Return the services on the database that the settings name."""
        url = settings.database.url.get_secret_value()
        database = Database(url, pool_size=settings.database.pool_size)
        watch_connections(database.engine)
        return cls(settings, database, clock)

    async def close(self) -> None:
        """Close the database connections."""
        await self.database.close()


@functools.cache
def shared_factory() -> Factory:
    """Return the services of this process, from the settings file and the environment; always the same ones."""
    return Factory.open(load_settings())
