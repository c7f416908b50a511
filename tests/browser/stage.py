"""A Hub with something on every page, for tests that look at the pages."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from tests.support.demo import Person, Site, demo

SLUG = "atmospheric-co2"
README = """\
# What we do

We fit a **trend** and a season, see [the notebook](trend.ipynb).

| column | meaning |
|---|---|
| `date` | the Saturday that ends the week |

```python
weeks = read_csv("/data/noaa-co2/mlo-weekly.csv")
```
"""


@dataclass(frozen=True, kw_only=True)
class Stage:
    """Addresses by the name of what they show, for each person; None is a visitor."""

    site: Site
    pages: dict[str, tuple[str | None, str]]


@contextmanager
def staged() -> Iterator[Stage]:
    """Run the demo and fill it."""
    with demo() as site:
        yield Stage(site=site, pages=_fill(site))


def _fill(site: Site) -> dict[str, tuple[str | None, str]]:
    lead, editor, viewer, outsider, operator = (
        site.person(name) for name in ("lead", "editor", "viewer", "outsider", "operator")
    )
    code = _project(lead, editor, viewer)
    _others(lead, editor)
    asked = outsider.api("POST", f"/projects/{SLUG}/join-requests", 201, json={"message": "I have flask samples."})
    assert asked["state"] == "open"
    invited = lead.api("PUT", f"/projects/{SLUG}/members/operator", json={"role": "viewer"})["invitation"]["id"]
    editor.start(SLUG)
    lead.api("PUT", f"/projects/{SLUG}/members/editor", json={"role": "lead"})
    lead.api("PATCH", f"/projects/{SLUG}", json={"resource_class": "medium"}, headers={"If-Match": "*"})
    assert operator.api("GET", "/me")["user"] == "operator"
    return _pages(code, invited)


def _project(lead: Person, editor: Person, viewer: Person) -> str:
    """Make the project that most pages show; return the code of an invitation link."""
    new = {"title": "Atmospheric CO₂", "visibility": "public", "readme": README, "description": "Trend and season"}
    lead.api("POST", "/projects", 201, json=new)
    for person, role in ((editor, "editor"), (viewer, "viewer")):
        invited = lead.api("PUT", f"/projects/{SLUG}/members/{person.name}", json={"role": role})
        person.api("POST", f"/invitations/{invited['invitation']['id']}/accept")
    lead.api("PUT", f"/projects/{SLUG}/data/noaa-co2", json={"mode": "read-only"})
    made = lead.api("POST", f"/projects/{SLUG}/invitations", 201, json={"role": "viewer", "days": 1, "uses": 3})
    return str(made["url"]).rpartition("/")[2]


def _others(lead: Person, editor: Person) -> None:
    """Make projects in every other state, one with words as long as they may be."""
    for title, slug in (("Put away", "put-away"), ("Thrown away", "thrown-away"), ("Empty", "empty")):
        lead.api("POST", "/projects", 201, json={"title": title, "slug": slug, "visibility": "internal"})
    lead.api("POST", "/projects/put-away/archive")
    lead.api("DELETE", "/projects/thrown-away")
    long = {
        "title": "Donaudampfschifffahrtsgesellschaft" * 3,
        "slug": "a" * 30,
        "description": "ohne-leerzeichen-" * 16,
    }
    editor.api("POST", "/projects", 201, json=long | {"visibility": "internal", "readme": "x" * 400})


def _pages(code: str, invitation: int) -> dict[str, tuple[str | None, str]]:
    base, project = "/services/projects/", f"/services/projects/p/{SLUG}"
    return {
        "login": (None, "/hub/login"),
        "directory of a visitor": (None, f"{base}directory"),
        "project of a visitor": (None, project),
        "invitation of a visitor": (None, f"{base}join/{code}"),
        "code": ("viewer", f"{base}join"),
        "link that is over": ("viewer", f"{base}join/0000-0000-0000-0000"),
        "my projects": ("lead", base),
        "archived projects": ("lead", f"{base}?archived=1"),
        "no projects": ("outsider", base),
        "new project": ("lead", f"{base}new"),
        "directory": ("outsider", f"{base}directory?q=trend"),
        "nothing found": ("outsider", f"{base}directory?q=nothing-of-this-name"),
        "project": ("lead", project),
        "project of a viewer": ("viewer", project),
        "project of who asked": ("outsider", project),
        "restart to apply": ("editor", project),
        "readme": ("lead", f"{project}/readme"),
        "members": ("lead", f"{project}/members"),
        "members of a viewer": ("viewer", f"{project}/members"),
        "data": ("lead", f"{project}/data"),
        "activity": ("lead", f"{project}/activity"),
        "settings": ("lead", f"{project}/settings"),
        "delete": ("lead", f"{project}/settings/delete"),
        "open": ("lead", f"{project}/open"),
        "workspace": ("lead", f"{base}workspace/open"),
        "empty project": ("lead", f"{base}p/empty"),
        "archived project": ("lead", f"{base}p/put-away"),
        "deleted project": ("lead", f"{base}p/thrown-away"),
        "long words": ("editor", f"{base}p/{'a' * 30}"),
        "long words in the directory": ("viewer", f"{base}directory"),
        "invitation": ("operator", f"{base}invitations/{invitation}"),
        "not found": ("viewer", f"{base}p/no-such-project"),
        "forbidden": ("viewer", f"{project}/settings"),
        "operator": ("operator", f"{base}operator"),
        "deleted projects": ("operator", f"{base}operator/deleted"),
        "persons": ("operator", f"{base}operator/persons"),
        "machine": ("operator", f"{base}operator/machine"),
        "audit": ("operator", f"{base}operator/audit"),
        "hub home": ("editor", "/hub/home"),
        "hub tokens": ("lead", "/hub/token"),
        "hub refuses a server": ("lead", "/hub/spawn/lead/nonsense"),
        "hub says not running": ("lead", "/user/lead/empty/lab"),
        "hub not found": ("lead", "/hub/nothing-here"),
    }
