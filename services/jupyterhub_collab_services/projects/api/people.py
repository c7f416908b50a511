"""Who I am, what I may use, and whom I can find."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, Field

from jupyterhub_collab.errors import UnknownAccountError
from jupyterhub_collab.people.models import FoundGroup, FoundPerson
from jupyterhub_collab_services.base.rate import PerMinute
from jupyterhub_collab_services.base.routes import Call

from .table import PERSON, Body, api, me_of


class PeopleQuery(Body):
    """The beginning of a name."""

    q: str = Field(max_length=100)


class Me(BaseModel):
    """Who I am here."""

    user: str
    display_name: str
    groups: list[str]
    rights: list[str]


class CatalogueEntry(BaseModel):
    """An environment, a resource class or a data volume that I may use."""

    name: str
    title: str
    description: str


class Catalogue(BaseModel):
    """What I may use."""

    environments: list[CatalogueEntry]
    resource_classes: list[CatalogueEntry]
    data: list[CatalogueEntry]


class Found(BaseModel):
    """Persons and groups whose name begins so."""

    items: list[FoundPerson]
    groups: list[FoundGroup]


@api("GET", "/me", needs=PERSON, returns=Me)
async def get_me(call: Call) -> Me:
    """Return who I am, with my identity groups and site-wide rights."""
    person = await call.factory.people.get(me_of(call))
    if person is None:
        raise UnknownAccountError
    rights = await call.factory.people.rights(person.name)
    return Me(
        user=person.name,
        display_name=person.display_name,
        groups=sorted(person.groups),
        rights=sorted(right.value for right in rights),
    )


@api("GET", "/catalogue", needs=PERSON, returns=Catalogue)
async def get_catalogue(call: Call) -> Catalogue:
    """Return the environments, resource classes and data volumes that I may use."""
    person = await call.factory.people.get(me_of(call))
    groups = person.groups if person else frozenset()
    catalogue, who = call.factory.catalogue, me_of(call)
    return Catalogue(
        environments=_entries(catalogue.environments(who, groups, None)),
        resource_classes=_entries(catalogue.resource_classes(who, groups, None)),
        data=_entries(catalogue.data(who, groups, None)),
    )


def _entries(entries: dict[str, Any]) -> list[CatalogueEntry]:
    return [CatalogueEntry(name=n, title=e.title or n, description=e.description) for n, e in entries.items()]


@api("GET", "/people", needs=PERSON, query=PeopleQuery, returns=Found)
async def find_people(call: Call) -> Found:
    """Find persons and groups by the beginning of a name."""
    limit: PerMinute = call.handler.settings["people_limit"]
    limit.count(me_of(call))
    people = await call.factory.people.search(call.who, call.query.q)
    return Found(items=people, groups=await call.factory.people.search_groups(call.who, call.query.q))
