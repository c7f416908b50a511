"""A small site with the people of the permission table, on which most tests stand."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from pydantic import SecretStr

from jupyterhub_collab.access.models import Role, Visibility
from jupyterhub_collab.audit.models import Event
from jupyterhub_collab.database import Database as Core
from jupyterhub_collab.factory import Factory
from jupyterhub_collab.people.models import Kind
from jupyterhub_collab.projects.invitation_service import NewLink
from jupyterhub_collab.projects.models import Invitation, Member, NewInvitation, Project
from jupyterhub_collab.projects.service import NewProject, ProjectChanges
from jupyterhub_collab.settings import (
    Allowed,
    Database,
    DataVolume,
    Environment,
    Holders,
    People,
    ResourceClass,
    Rights,
    Settings,
)

SLUG: Final = "co2"
MEMBERS: Final = {"lead": Role.LEAD, "editor": Role.EDITOR, "viewer": Role.VIEWER}
ACCOUNTS: Final = (*MEMBERS, "stranger", "operator")
EVERYONE: Final = (*ACCOUNTS, None)
"""Everyone of the permission table; None is the visitor, who has no account."""
START: Final = datetime(2026, 11, 21, 12, tzinfo=UTC)


class Clock:
    """A clock that moves when a test says so."""

    def __init__(self, now: datetime = START) -> None:
        self.now = now

    def __call__(self) -> datetime:
        """Return the present instant."""
        return self.now

    def move(self, **by: float) -> None:
        """Let time pass, such as ``days=30``."""
        self.now += timedelta(**by)


def make_settings(url: str, **changes: Any) -> Settings:
    """Return settings with something gated, something writable and an operator in them."""
    values: dict[str, Any] = {
        "database": Database(url=SecretStr(url), pool_size=3),
        "people": People(group_loss_limit=2),
        "rights": Rights(operator=Holders(names=frozenset({"operator"}))),
        "data": {
            "noaa-co2": DataVolume(title="NOAA CO₂", source="/data/noaa"),
            "drop": DataVolume(title="Drop box", source="/data/drop", path="/data/box", writable_by_leads=True),
            "gated": DataVolume(source="/data/gated", allowed=Allowed(groups=frozenset({"gpu-users"}))),
        },
        "environments": {
            "default": Environment(title="Default"),
            "gpu": Environment(title="GPU", allowed=Allowed(groups=frozenset({"gpu-users"}))),
        },
        "resource_classes": {
            "small": ResourceClass(title="Small"),
            "large": ResourceClass(title="Large", allowed=Allowed(projects=frozenset({SLUG}))),
        },
    }
    return Settings(**values | changes)


@dataclass
class World:
    """A site: its services, its clock, and short words for what tests need first."""

    factory: Factory
    clock: Clock
    links: dict[str, str] = field(default_factory=dict)

    async def sign_in(self, name: str, *groups: str, kind: Kind = Kind.PERSON) -> None:
        """Let a person log in; without groups named, their groups become none."""
        await self.factory.people.sign_in(name, display_name=f"{name.title()} Doe", groups=frozenset(groups), kind=kind)

    async def create(
        self, slug: str = SLUG, *, who: str = "lead", visibility: Visibility = Visibility.PRIVATE, title: str = ""
    ) -> Project:
        """Make a project."""
        new = NewProject(title=title or f"Project {slug}", slug=slug, visibility=visibility)
        return await self.factory.projects.create(who, new)

    async def join(self, person: str, role: Role, slug: str = SLUG, *, by: str = "lead") -> None:
        """Make someone a member: invited by a lead and accepted by themselves."""
        offer = await self.factory.members.put(by, slug, person, role)
        if isinstance(offer, Invitation):
            await self.factory.invitations.accept(person, offer.id)

    async def link(self, slug: str = SLUG, *, role: Role = Role.VIEWER, **terms: int) -> NewInvitation:
        """Make an invitation link."""
        return await self.factory.invitations.make_link("lead", slug, NewLink(role=role, **terms))

    async def roles(self, slug: str = SLUG) -> dict[str, Role]:
        """Return the members of a project and their effective roles."""
        return {name: member.role for name, member in (await self.members(slug)).items()}

    async def members(self, slug: str = SLUG) -> dict[str, Member]:
        """Return the members of a project by name, as the operator sees them."""
        page = await self.factory.members.page("operator", slug)
        return {member.user: member for member in page.items}

    async def change(self, slug: str = SLUG, *, who: str = "lead", **changes: Any) -> Project:
        """Change a project, whatever its version is."""
        return await self.factory.projects.change(who, slug, ProjectChanges(**changes), etag=None)

    async def events(self, **search: Any) -> list[Event]:
        """Return the newest audit events that match."""
        return (await self.factory.audit.search("operator", **search)).items

    async def last_event(self) -> Event:
        """Return the newest audit event."""
        return (await self.events())[0]


async def fill(database: Core) -> None:
    """Let everyone log in, and make the private project ``co2`` with its three members."""
    clock = Clock()
    settings = make_settings(database.url.render_as_string(hide_password=False))
    world = World(Factory(settings, database, clock), clock)
    for name in ACCOUNTS:
        await world.sign_in(name)
    await world.create()
    await world.join("editor", Role.EDITOR)
    await world.join("viewer", Role.VIEWER)
