"""Every page and every GET of the API, asked for by its readers; from the tables of routes, so that none is missed."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import cycle
from random import Random
from typing import Final
from urllib.parse import quote

from jupyterhub_collab.access.models import Permission, Role, SiteRight, lowest_role_with
from jupyterhub_collab.factory import Factory
from jupyterhub_collab.projects.invitation_service import NewLink
from jupyterhub_collab_services.projects.api import ANYONE, PREFIX, api
from jupyterhub_collab_services.projects.pages import table

from .sites import Site

# What else is asked of an address than what it shows first. In braces: what is drawn for each request
_QUERIES: Final = {
    f"{PREFIX}/people": ("q={three}",),
    f"{PREFIX}/projects": ("", "q={word}", "q={word}+{word}", "sort=title", "mine=true", "mine=false", "recent=true"),
    f"{PREFIX}/me/projects": ("", "archived=true"),
    f"{PREFIX}/projects/{{slug}}/members": ("", "cursor=m"),
    f"{PREFIX}/projects/{{slug}}/activity": ("", "cursor={event}"),
    f"{PREFIX}/operator/projects": ("", "q={three}", "cursor=m", "deleted=true"),
    f"{PREFIX}/operator/people": ("", "q={three}", "cursor=m"),
    f"{PREFIX}/operator/audit": ("", "actor={person}", "project={slug}", "action=project.change&target={slug}"),
    "directory": ("", "q={word}", "sort=title", "mine=member"),
    "p/{slug}/members/suggest": ("who={three}",),
    "new/slug": ("title={word}",),
    "operator": ("", "q={three}"),
    "operator/persons": ("", "q={three}"),
    "operator/audit": ("", "actor={person}"),
}
_PARAMETER: Final = re.compile(r"\{(\w+)(?::\w+)?\}")
_ROWS: Final = """
    SELECT person, project, role FROM members JOIN projects ON slug = project JOIN persons ON name = person
    WHERE state = 'active' AND deleted_at IS NULL AND kind = 'person' AND {}
    ORDER BY md5(person || project) LIMIT 500
"""
_INVITATIONS: Final = """
    SELECT person, id::text FROM invitations i JOIN projects ON slug = project
    WHERE person IS NOT NULL AND i.state = 'open' AND expires_at > now() AND deleted_at IS NULL
    ORDER BY md5(id::text) LIMIT 500
"""
_WORDS: Final = "SELECT word FROM project_words ORDER BY md5(word || project) LIMIT 500"
_EVENTS: Final = "SELECT id::text FROM audit_events ORDER BY md5(id::text) LIMIT 500"


@dataclass(frozen=True, kw_only=True, slots=True)
class Read:
    """One address and what is asked of it."""

    name: str
    path: str
    query: str
    needs: Permission | SiteRight | str


def all_reads() -> list[Read]:
    """Return every GET of the API and every page, each with the queries that differ."""
    found = [(r.endpoint.__name__, f"{PREFIX}{r.path}", r.needs) for r in api.table if r.method == "GET"]
    found += [(f"page_{r.path.replace('/', '_') or 'mine'}", r.path, r.needs["GET"]) for r in table if "GET" in r.needs]
    return [
        Read(name=_name(name, query), path=path, query=query, needs=needs)
        for name, path, needs in found
        for query in _QUERIES.get(path, ("",))
    ]


def _name(name: str, query: str) -> str:
    return re.sub(r"[{}]", "", name) + ("_by_" + re.sub(r"\W+", "_", query).strip("_") if query else "")


@dataclass(frozen=True, kw_only=True, slots=True)
class Drawn:
    """What of a site requests are made of."""

    rows: dict[Role | None, list[tuple[str, ...]]]
    """Person and project: members by the lowest role that they have; under none, persons who may find the project."""
    invitations: list[tuple[str, ...]]
    codes: list[str]
    words: list[tuple[str, ...]]
    events: list[tuple[str, ...]]

    @classmethod
    async def of(cls, site: Site) -> Drawn:
        """Draw from a site, the same at each run."""
        rows: dict[Role | None, list[tuple[str, ...]]] = {
            role: await site.rows(_ROWS.format(f"role >= {role.rank}")) for role in Role
        }
        findable = await site.rows(_ROWS.format("visibility <> 'private'"))
        rows[None] = [(person, slug) for (person, *_), (_, slug, _) in zip(rows[Role.LEAD], findable, strict=False)]
        factory = Factory.open(site.settings)
        new = NewLink(role=Role.VIEWER)
        links = [await factory.invitations.make_link(person, slug, new) for person, slug, _ in rows[Role.LEAD][:20]]
        await factory.close()
        return cls(
            rows=rows,
            invitations=await site.rows(_INVITATIONS),
            codes=[link.code or "" for link in links],
            words=await site.rows(_WORDS),
            events=await site.rows(_EVENTS),
        )

    def requests(self, read: Read) -> Iterator[tuple[str | None, str]]:
        """Return who asks for which address, without end."""
        random = Random(read.name)
        for person, slug, *_ in cycle(self.rows[_least(read)]):
            invited, invitation = random.choice(self.invitations)
            values = {
                "slug": slug,
                "person": person,
                "id": invitation,
                "code": random.choice(self.codes),
                "word": random.choice(self.words)[0],
                "three": random.choice((person, slug, "group-1"))[: random.randint(3, 6)],
                "event": random.choice(self.events)[0],
            }
            path, query = _fill(read.path, values), _fill(read.query, values)
            who = invited if "{id}" in read.path else person
            yield _reader(read, who, random), f"{path}?{query}" if query else path


def _reader(read: Read, person: str, random: Random) -> str | None:
    """Return who reads: the operator where it must be, a visitor every other time where anyone may."""
    if isinstance(read.needs, SiteRight) and read.needs is SiteRight.OPERATOR:
        return "operator"
    return None if read.needs == ANYONE and random.choice((True, False)) else person


def _least(read: Read) -> Role | None:
    """Return the lowest role that may read it; none where finding the project is enough."""
    if not isinstance(read.needs, Permission) or read.needs is Permission.FIND:
        return None
    return lowest_role_with(read.needs)


def _fill(text: str, values: Mapping[str, str]) -> str:
    def value(match: re.Match[str]) -> str:
        return quote(values[match[1]])

    return _PARAMETER.sub(value, text)
