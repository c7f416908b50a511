"""Who may call which route: every route, every person, every method, against a table written by hand.

A new route without a row here fails. What is refused changes nothing; what is allowed leaves an audit event, or goes
through the Hub with the person's own token.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import pytest
from pydantic import BaseModel

from jupyterhub_collab.access.models import Role, Standing, Visibility
from jupyterhub_collab.projects.models import Invitation
from jupyterhub_collab_services.base.routes import Route
from jupyterhub_collab_services.projects.api import api
from tests.support.api import Client, path_of
from tests.support.databases import snapshot
from tests.support.world import ACCOUNTS, SLUG, World

# Status for: lead editor viewer operator | stranger if private, if not | visitor if not public, if public
TABLE = """
GET    /me                                            200 200 200 200 | 200 200 | 401 401
GET    /me/projects                                   200 200 200 200 | 200 200 | 401 401
GET    /me/invitations                                200 200 200 200 | 200 200 | 401 401
GET    /catalogue                                     200 200 200 200 | 200 200 | 401 401
GET    /people                                        200 200 200 200 | 200 200 | 401 401
GET    /projects                                      200 200 200 200 | 200 200 | 200 200
POST   /projects                                      201 201 201 201 | 201 201 | 401 401
GET    /projects/{slug}                               200 200 200 200 | 404 200 | 404 200
PATCH  /projects/{slug}                               200 403 403 200 | 404 403 | 404 401
DELETE /projects/{slug}                               200 403 403 200 | 404 403 | 404 401
POST   /projects/{slug}/archive                       200 403 403 200 | 404 403 | 404 401
POST   /projects/{slug}/restore                       200 403 403 200 | 404 404 | 404 404
PUT    /projects/{slug}/pin                           204 204 204 403 | 404 403 | 404 401
GET    /projects/{slug}/activity                      200 200 200 200 | 404 403 | 404 401
GET    /projects/{slug}/members                       200 200 200 200 | 404 403 | 404 401
PUT    /projects/{slug}/members/{user}                200 403 403 200 | 404 403 | 404 401
DELETE /projects/{slug}/members/{user}                204 403 204 204 | 404 403 | 404 401
GET    /projects/{slug}/groups                        200 200 200 200 | 404 403 | 404 401
PUT    /projects/{slug}/groups/{group}                200 403 403 200 | 404 403 | 404 401
DELETE /projects/{slug}/groups/{group}                204 403 403 204 | 404 403 | 404 401
GET    /projects/{slug}/invitations                   200 403 403 200 | 404 403 | 404 401
POST   /projects/{slug}/invitations                   201 403 403 201 | 404 403 | 404 401
DELETE /projects/{slug}/invitations/{id:int}          204 403 403 204 | 404 403 | 404 401
POST   /invitations/{id}/accept                       404 404 404 404 | 200 200 | 401 401
POST   /invitations/{id:int}/decline                  404 404 404 404 | 204 204 | 401 401
GET    /projects/{slug}/join-requests                 200 403 403 200 | 404 403 | 404 401
POST   /projects/{slug}/join-requests                 409 409 409 201 | 404 201 | 404 401
POST   /projects/{slug}/join-requests/{id:int}/approve 204 403 403 204 | 404 403 | 404 401
POST   /projects/{slug}/join-requests/{id:int}/decline 204 403 403 204 | 404 403 | 404 401
GET    /projects/{slug}/data                          200 200 200 200 | 404 403 | 404 401
PUT    /projects/{slug}/data/{name}                   200 403 403 403 | 404 403 | 404 401
DELETE /projects/{slug}/data/{name}                   204 403 403 403 | 404 403 | 404 401
GET    /projects/{slug}/server                        200 200 200 403 | 404 403 | 401 401
POST   /projects/{slug}/server                        202 202 202 403 | 404 403 | 401 401
DELETE /projects/{slug}/server                        202 202 202 403 | 404 403 | 401 401
POST   /projects/{slug}/servers/stop                  202 403 403 202 | 404 403 | 404 401
GET    /operator/projects                             403 403 403 200 | 403 403 | 401 401
GET    /operator/people                               403 403 403 200 | 403 403 | 401 401
GET    /operator/audit                                403 403 403 200 | 403 403 | 401 401
GET    /operator/groups                               403 403 403 200 | 403 403 | 401 401
DELETE /people/{user}                                 403 403 403 204 | 403 403 | 401 401
POST   /operator/groups/{group}/resume                403 403 403 204 | 403 403 | 401 401
"""
CODES = {
    401: {"login-required"},
    403: {"missing-permission", "missing-site-right"},
    404: {"not-found"},
    409: {"already-member"},
}
BODIES: dict[str, object] = {
    "POST /projects": {"title": "Sea level", "slug": "sea-level"},
    "PATCH /projects/{slug}": {"title": "Other title"},
    "PUT /projects/{slug}/pin": {"pinned": False},
    "PUT /projects/{slug}/members/{user}": {"role": "editor"},
    "PUT /projects/{slug}/groups/{group}": {"role": "editor"},
    "POST /projects/{slug}/invitations": {"role": "viewer"},
    "POST /projects/{slug}/join-requests": {"message": "Please"},
    "POST /projects/{slug}/join-requests/{id:int}/approve": {"role": "viewer"},
    "PUT /projects/{slug}/data/{name}": {"mode": "read-only"},
    "POST /projects/{slug}/servers/stop": {},
}
METHODS = {"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"}
ROUTES = {f"{route.method} {route.path}": route for route in api.table}


@dataclass(frozen=True)
class Row:
    """What each person gets at one route."""

    members: dict[str, int]
    stranger: tuple[int, int]
    visitor: tuple[int, int]

    def expected(self, who: str | None, visibility: Visibility) -> int:
        """Return the status for a person and a project of this visibility."""
        if who is None:
            return self.visitor[visibility is Visibility.PUBLIC]
        if who == "stranger":
            return self.stranger[visibility is not Visibility.PRIVATE]
        return self.members[who]


def _rows() -> dict[str, Row]:
    rows = {}
    for line in TABLE.strip().splitlines():
        head, stranger, visitor = line.split("|")
        method, path, *statuses = head.split()
        members = dict(zip(("lead", "editor", "viewer", "operator"), map(int, statuses), strict=True))
        pair = [tuple(int(status) for status in part.split()) for part in (stranger, visitor)]
        rows[f"{method} {path}"] = Row(members, pair[0], pair[1])  # type: ignore[arg-type]
    return rows


ROWS = _rows()
PEOPLE = (*ACCOUNTS, None)
CASES = [(key, who, visibility) for key in ROWS for visibility in Visibility for who in PEOPLE]
WRITES = [
    (key, who, visibility)
    for key, who, visibility in CASES
    if not key.startswith("GET") and ROWS[key].expected(who, visibility) < 400
    # One visibility is enough for those to whom it makes no difference
    if visibility is Visibility.PRIVATE or ROWS[key].expected(who, Visibility.PRIVATE) >= 400
    if visibility is not Visibility.PUBLIC or ROWS[key].expected(who, Visibility.INTERNAL) >= 400
]


def test_every_route_has_a_row_and_every_row_a_route() -> None:
    assert set(ROWS) == set(ROUTES)
    assert {"stranger", "operator", "lead", "editor", "viewer"} == set(ACCOUNTS)
    assert len(PEOPLE) == len(Standing)


def test_every_write_route_is_tried_by_someone() -> None:
    assert {key for key, _, _ in WRITES} == {key for key in ROUTES if not key.startswith("GET")}


@dataclass
class Stage:
    """A project where every route has something to do, and a client."""

    client: Client
    world: World
    ids: dict[str, int] = field(default_factory=dict)

    async def request(self, who: str | None, key: str) -> Any:
        """Call a route as it is meant to be called."""
        method, path = key.split()
        id_ = self.ids["request" if "join-requests" in path else "invitation"]
        filled = path_of(path, slug=SLUG, user="viewer", group=self._group(path), name=self._data(method), id=id_)
        headers = {"If-Match": "*"} if method == "PATCH" else {}
        query = "?q=lea" if path == "/people" else ""
        return await self.client(who, method, filled + query, BODIES.get(key), headers=headers)

    def _group(self, path: str) -> str:
        return "paused" if path.endswith("/resume") else "staff"

    def _data(self, method: str) -> str:
        return "drop" if method == "PUT" else "noaa-co2"


@pytest.fixture
async def stage(client: Client, world: World) -> Stage:
    factory = world.factory
    await world.sign_in("asker", "staff", "paused")
    for name in ("p1", "p2", "p3"):
        await world.sign_in(name, "paused")
        await world.sign_in(name)
    await world.change(visibility=Visibility.INTERNAL)
    asked = await factory.join_requests.ask("asker", SLUG)
    await world.change(visibility=Visibility.PRIVATE)
    await factory.members.put_group("lead", SLUG, "staff", Role.VIEWER)
    await factory.data.attach("lead", SLUG, "noaa-co2")
    invited = await factory.members.put("lead", SLUG, "stranger", Role.VIEWER)
    assert isinstance(invited, Invitation)
    for member in ("lead", "editor", "viewer"):
        await client.hub.start(member, SLUG)
    return Stage(client, world, {"invitation": invited.id, "request": asked.id})


async def _prepare(stage: Stage, key: str) -> None:
    """Bring the project into the one state in which a route makes sense, where it is not the usual one."""
    if key.endswith("/restore"):
        await stage.world.factory.projects.archive("lead", SLUG)
    if key == f"POST {SERVER}":
        for member in ("lead", "editor", "viewer"):
            await stage.client.hub.stop(member, SLUG)


SERVER = "/projects/{slug}/server"


@pytest.mark.parametrize("key", ROWS)
async def test_who_may_not_is_refused_and_changes_nothing(stage: Stage, key: str) -> None:
    for visibility in Visibility:
        await stage.world.change(visibility=visibility)
        if visibility is Visibility.PRIVATE or key.endswith("/restore"):
            await _prepare(stage, key)
        before = await snapshot(stage.world.factory.database)
        for who in PEOPLE:
            status = ROWS[key].expected(who, visibility)
            if status >= 400:
                reply = await stage.request(who, key)
                code = reply.json["code"]
                assert (reply.status, code in CODES[status]) == (status, True), (who, visibility, reply.content)
                reply.problem(status, code)
        assert await snapshot(stage.world.factory.database) == before
        if key.endswith("/restore"):
            await stage.world.factory.projects.restore("lead", SLUG)


@pytest.mark.parametrize("key", [key for key in ROWS if key.startswith("GET")])
async def test_who_may_read_gets_what_the_route_promises(stage: Stage, key: str) -> None:
    for visibility in Visibility:
        await stage.world.change(visibility=visibility)
        before = await snapshot(stage.world.factory.database)
        for who in PEOPLE:
            status = ROWS[key].expected(who, visibility)
            if status < 400:
                reply = await stage.request(who, key)
                assert reply.status == status, (who, visibility, reply.content)
                _check_shape(ROUTES[key], reply.json)
        assert await snapshot(stage.world.factory.database) == before


@pytest.mark.parametrize(("key", "who", "visibility"), WRITES)
async def test_who_may_write_does_and_leaves_an_event(stage: Stage, key: str, who: str, visibility: Visibility) -> None:
    if visibility is not Visibility.PRIVATE:
        await stage.world.change(visibility=visibility)
    await _prepare(stage, key)
    before = await snapshot(stage.world.factory.database, without=frozenset({"audit_events"}))
    newest = (await stage.world.last_event()).id
    reply = await stage.request(who, key)
    assert reply.status == ROWS[key].expected(who, visibility), reply.content
    if ROUTES[key].returns is not None:
        _check_shape(ROUTES[key], reply.json)
    assert await snapshot(stage.world.factory.database, without=frozenset({"audit_events"})) != before
    if ROUTES[key].audited:
        events = [event for event in await stage.world.events() if event.id > newest]
        assert who in {event.actor for event in events}
    else:
        method = "POST" if key.startswith("POST") else "DELETE"
        assert f"{method} /hub/api/users/{who}/servers/{SLUG}" in stage.client.hub.seen


def _check_shape(route: Route, body: Any) -> None:
    """Check that a body has all the fields of the route's model and no others."""
    model = route.returns
    assert model is not None
    model.model_validate(body)
    assert body.keys() == _fields(model)


def _fields(model: type[BaseModel]) -> set[str]:
    return set(model.model_fields)


@pytest.mark.parametrize("path", sorted({route.path for route in api.table}))
async def test_other_methods_are_refused_to_everyone(stage: Stage, path: str) -> None:
    known = {route.method for route in api.table if route.path == path}
    before = await snapshot(stage.world.factory.database)
    filled = path_of(path, slug=SLUG, user="viewer", group="staff", name="drop", id=1)
    for method in sorted(METHODS - known):
        for who in PEOPLE:
            reply = await stage.client(who, method, filled, {} if method in ("POST", "PUT", "PATCH") else None)
            assert reply.status == 405, (method, who, reply.content)
            assert set(reply.headers["Allow"].split(", ")) == known
            if method != "HEAD":
                reply.problem(405, "method-not-allowed")
    assert await snapshot(stage.world.factory.database) == before
