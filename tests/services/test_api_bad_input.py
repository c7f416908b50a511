"""Bad input gets a problem that names the field, and leaves nothing behind."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator

import pytest

from jupyterhub_collab.access.models import Visibility
from jupyterhub_collab_services.base.body_limit import LIMIT
from tests.support.api import Client, Reply
from tests.support.databases import snapshot
from tests.support.hub import token_of
from tests.support.world import SLUG, World

HERE = f"/projects/{SLUG}"
EMOJI = "🌊"
HUGE = 10**40

# method, path, body, status, code, field
CASES: list[tuple[str, str, object, int, str, str | None]] = [
    # Titles and slugs
    ("POST", "/projects", {"title": "x" * 5000}, 422, "invalid-input", "title"),
    ("POST", "/projects", {"title": ""}, 422, "invalid-input", "title"),
    ("POST", "/projects", {"title": " \t\n "}, 422, "invalid-input", "title"),
    ("POST", "/projects", {}, 422, "invalid-input", "title"),
    ("POST", "/projects", {"title": 5}, 422, "invalid-input", "title"),
    ("POST", "/projects", {"title": None}, 422, "invalid-input", "title"),
    ("POST", "/projects", {"title": ["x"]}, 422, "invalid-input", "title"),
    ("POST", "/projects", {"title": "a\0b"}, 422, "invalid-input", "title"),
    ("POST", "/projects", {"title": "a\nb"}, 422, "invalid-input", "title"),
    ("POST", "/projects", {"title": "\ud800"}, 422, "invalid-input", "title"),
    ("POST", "/projects", {"title": "x", "slug": "--"}, 422, "invalid-slug", "slug"),
    ("POST", "/projects", {"title": "x", "slug": "lab"}, 422, "invalid-slug", "slug"),
    ("POST", "/projects", {"title": "x", "slug": "..%2f"}, 422, "invalid-slug", "slug"),
    ("POST", "/projects", {"title": "x", "slug": "../../etc"}, 422, "invalid-slug", "slug"),
    ("POST", "/projects", {"title": "x", "slug": EMOJI * 2}, 422, "invalid-slug", "slug"),
    ("POST", "/projects", {"title": "x", "slug": "a" * 31}, 422, "invalid-slug", "slug"),
    ("POST", "/projects", {"title": "x", "slug": "CO2"}, 422, "invalid-slug", "slug"),
    ("POST", "/projects", {"title": "x", "slug": "co2\n"}, 422, "invalid-slug", "slug"),
    ("POST", "/projects", {"title": "x", "slug": "\ud800x"}, 422, "invalid-input", "slug"),
    ("POST", "/projects", {"title": "x", "slug": "a\0b"}, 422, "invalid-input", "slug"),
    ("POST", "/projects", {"title": "x", "slug": HUGE}, 422, "invalid-input", "slug"),
    ("POST", "/projects", {"title": "x", "slug": SLUG}, 409, "slug-taken", "slug"),
    ("POST", "/projects", {"title": "x", "description": "y" * 301}, 422, "invalid-input", "description"),
    ("POST", "/projects", {"title": "x", "visibility": "secret"}, 422, "invalid-input", "visibility"),
    ("POST", "/projects", {"title": "x", "visibility": 1}, 422, "invalid-input", "visibility"),
    ("POST", "/projects", {"title": "x", "readme": "y" * 100_001}, 422, "invalid-input", "readme"),
    ("POST", "/projects", {"title": "x", "readme": "a\0b"}, 422, "invalid-input", "readme"),
    ("POST", "/projects", {"title": "x", "readme": "\ud800"}, 422, "invalid-input", "readme"),
    ("POST", "/projects", {"title": "x", "state": "archived"}, 422, "invalid-input", "state"),
    ("POST", "/projects", {"title": "x", "created_by": "operator"}, 422, "invalid-input", "created_by"),
    ("PATCH", HERE, {"title": "x" * 5000}, 422, "invalid-input", "title"),
    ("PATCH", HERE, {"slug": "other"}, 422, "invalid-input", "slug"),
    ("PATCH", HERE, {"readme": "a\0b"}, 422, "invalid-input", "readme"),
    ("PATCH", HERE, {"readme": "x" * 100_001}, 422, "invalid-input", "readme"),
    ("PATCH", HERE, {"readme": {"x": 1}}, 422, "invalid-input", "readme"),
    ("PATCH", HERE, {"environment": "none-such"}, 422, "invalid-input", "environment"),
    ("PATCH", HERE, {"environment": "gpu"}, 403, "not-for-you", "environment"),
    ("PATCH", HERE, {"resource_class": "../x"}, 422, "invalid-input", "resource_class"),
    ("PATCH", HERE, {"resource_class": "a\0b"}, 422, "invalid-input", "resource_class"),
    # Members and groups
    ("PUT", f"{HERE}/members/stranger", {"role": "admin"}, 422, "invalid-input", "role"),
    ("PUT", f"{HERE}/members/stranger", {"role": "operator"}, 422, "invalid-input", "role"),
    ("PUT", f"{HERE}/members/stranger", {"role": 3}, 422, "invalid-input", "role"),
    ("PUT", f"{HERE}/members/stranger", {"role": None}, 422, "invalid-input", "role"),
    ("PUT", f"{HERE}/members/stranger", {}, 422, "invalid-input", "role"),
    ("PUT", f"{HERE}/members/stranger", None, 422, "invalid-input", "role"),
    ("PUT", f"{HERE}/members/stranger", {"role": "lead", "consent": False}, 422, "invalid-input", "consent"),
    ("PUT", f"{HERE}/members/ghost", {"role": "viewer"}, 422, "unknown-person", "user"),
    ("PUT", f"{HERE}/members/{'a' * 5000}", {"role": "viewer"}, 422, "unknown-person", "user"),
    ("PUT", f"{HERE}/members/%F0%9F%8C%8A", {"role": "viewer"}, 422, "unknown-person", "user"),
    ("PUT", f"{HERE}/members/..%2f..%2fetc", {"role": "viewer"}, 422, "unknown-person", "user"),
    ("PUT", f"{HERE}/members/a%00b", {"role": "viewer"}, 422, "invalid-input", "user"),
    ("DELETE", f"{HERE}/members/a%00b", None, 422, "invalid-input", "user"),
    ("DELETE", f"{HERE}/members/ghost", None, 404, "not-found", None),
    ("PUT", f"{HERE}/groups/nobody", {"role": "viewer"}, 422, "unknown-group", "group"),
    ("PUT", f"{HERE}/groups/collab:co2:lead", {"role": "lead"}, 422, "unknown-group", "group"),
    ("PUT", f"{HERE}/groups/a%00b", {"role": "viewer"}, 422, "invalid-input", "group"),
    # Invitations and join requests
    ("POST", f"{HERE}/invitations", {"role": "admin"}, 422, "invalid-input", "role"),
    ("POST", f"{HERE}/invitations", {"role": "viewer", "days": 0}, 422, "invalid-input", "days"),
    ("POST", f"{HERE}/invitations", {"role": "viewer", "days": 91}, 422, "invalid-input", "days"),
    ("POST", f"{HERE}/invitations", {"role": "viewer", "days": HUGE}, 422, "invalid-input", "days"),
    ("POST", f"{HERE}/invitations", {"role": "viewer", "days": 1.5}, 422, "invalid-input", "days"),
    ("POST", f"{HERE}/invitations", {"role": "viewer", "days": "soon"}, 422, "invalid-input", "days"),
    ("POST", f"{HERE}/invitations", {"role": "viewer", "uses": -1}, 422, "invalid-input", "uses"),
    ("POST", f"{HERE}/invitations", {"role": "viewer", "uses": HUGE}, 422, "invalid-input", "uses"),
    ("DELETE", f"{HERE}/invitations/999999", None, 404, "not-found", None),
    ("DELETE", f"{HERE}/invitations/{HUGE}", None, 404, "not-found", None),
    ("DELETE", f"{HERE}/invitations/-1", None, 404, "not-found", None),
    ("DELETE", f"{HERE}/invitations/%D9%A1", None, 404, "not-found", None),
    ("POST", "/invitations/999999/accept", None, 404, "not-found", None),
    ("POST", f"/invitations/{HUGE}/accept", None, 404, "not-found", None),
    ("POST", "/invitations/0000-0000-0000-0000/accept", None, 404, "not-found", None),
    ("POST", "/invitations/a%00b/accept", None, 422, "invalid-input", "id"),
    ("POST", f"/invitations/{'Z' * 5000}/accept", None, 404, "not-found", None),
    ("POST", "/invitations/%D9%A1/accept", None, 404, "not-found", None),
    ("POST", "/invitations/abc/decline", None, 404, "not-found", None),
    ("POST", f"{HERE}/join-requests", {"message": "x"}, 409, "already-member", None),
    ("POST", f"{HERE}/join-requests", {"message": "x" * 501}, 422, "invalid-input", "message"),
    ("POST", f"{HERE}/join-requests", {"message": "a\0b"}, 422, "invalid-input", "message"),
    ("POST", f"{HERE}/join-requests", {"message": 7}, 422, "invalid-input", "message"),
    ("POST", f"{HERE}/join-requests/{HUGE}/approve", {}, 404, "not-found", None),
    ("POST", f"{HERE}/join-requests/1/approve", {"role": "admin"}, 422, "invalid-input", "role"),
    # Data and servers
    ("PUT", f"{HERE}/data/none-such", {}, 422, "invalid-input", "name"),
    ("PUT", f"{HERE}/data/gated", {}, 403, "not-for-you", "name"),
    ("PUT", f"{HERE}/data/noaa-co2", {"mode": "read-write"}, 403, "not-for-you", "mode"),
    ("PUT", f"{HERE}/data/noaa-co2", {"mode": "rwx"}, 422, "invalid-input", "mode"),
    ("PUT", f"{HERE}/data/noaa-co2", {"path": "/etc"}, 422, "invalid-input", "path"),
    ("PUT", f"{HERE}/data/a%00b", {}, 422, "invalid-input", "name"),
    ("DELETE", f"{HERE}/data/noaa-co2", None, 404, "not-found", None),
    ("POST", f"{HERE}/servers/stop", {"user": "ghost"}, 404, "not-found", None),
    ("POST", f"{HERE}/servers/stop", {"user": "a\0b"}, 422, "invalid-input", "user"),
    ("POST", f"{HERE}/servers/stop", {"user": "\ud800"}, 422, "invalid-input", "user"),
    ("POST", f"{HERE}/servers/stop", {"user": 1}, 422, "invalid-input", "user"),
    ("PUT", f"{HERE}/pin", {"pinned": "perhaps"}, 422, "invalid-input", "pinned"),
    ("PUT", f"{HERE}/pin", {}, 422, "invalid-input", "pinned"),
    # Addresses and queries
    ("GET", "/projects/..%2f..%2fetc%2fpasswd", None, 404, "not-found", None),
    ("GET", "/projects/%F0%9F%8C%8A", None, 404, "not-found", None),
    ("GET", f"/projects/{'a' * 5000}", None, 404, "not-found", None),
    ("GET", "/projects/a%00b", None, 422, "invalid-input", "slug"),
    ("GET", "/projects/co2%27%20OR%201=1", None, 404, "not-found", None),
    ("GET", f"/projects?q={'x' * 201}", None, 422, "invalid-input", "q"),
    ("GET", "/projects?sort=random", None, 422, "invalid-input", "sort"),
    ("GET", "/projects?visibility=all", None, 422, "invalid-input", "visibility"),
    ("GET", "/projects?mine=perhaps", None, 422, "invalid-input", "mine"),
    ("GET", "/projects?limit=1000000", None, 422, "invalid-input", "limit"),
    ("GET", "/projects?cursor=x", None, 422, "invalid-input", "cursor"),
    ("GET", "/projects?cursor=W10", None, 422, "invalid-input", "cursor"),
    ("GET", "/projects?cursor=WyJ4IiwieSJd", None, 422, "invalid-input", "cursor"),
    ("GET", f"/projects?cursor={'W1tb' * 10_000}", None, 422, "invalid-input", "cursor"),
    ("GET", "/people?q=ab", None, 422, "invalid-input", "q"),
    ("GET", f"/people?q={'x' * 101}", None, 422, "invalid-input", "q"),
    ("GET", f"{HERE}/members?cursor={'x' * 501}", None, 422, "invalid-input", "cursor"),
    ("GET", f"{HERE}/activity?cursor={HUGE}", None, 422, "invalid-input", "cursor"),
    ("GET", f"{HERE}/activity?cursor=-1", None, 422, "invalid-input", "cursor"),
    ("GET", f"{HERE}/activity?cursor=x", None, 422, "invalid-input", "cursor"),
]


@pytest.fixture
async def asked(client: Client, world: World) -> AsyncIterator[Client]:
    """A client; afterwards the database is as it was before."""
    before = await snapshot(world.factory.database)
    yield client
    assert await snapshot(world.factory.database) == before


def _name(case: tuple[str, str, object, int, str, str | None]) -> str:
    method, path, body, *_ = case
    return f"{method} {path[:60]} {json.dumps(body)[:60]}"


async def test_every_bad_value_gets_its_problem_and_changes_nothing(client: Client, world: World) -> None:
    """One test for all of them: the world stays as it is, so that it serves for every case."""
    before = await snapshot(world.factory.database)
    wrong = []
    for case in CASES:
        method, path, body, status, code, field = case
        reply = await client("lead", method, path, body, headers={"If-Match": "*"})
        try:
            reply.problem(status, code, field)
        except (AssertionError, ValueError) as error:
            wrong.append(f"{_name(case)}: {str(error)[:300]}")
        if await snapshot(world.factory.database) != before:
            wrong.append(f"{_name(case)}: left something behind")
    assert not wrong, "\n".join(wrong)


@pytest.mark.parametrize(
    ("raw", "status"),
    [
        (b"{", 400),
        (b"", 422),
        (b"[]", 400),
        (b'"title"', 400),
        (b"null", 400),
        (b"title=x", 400),
        (b"\xff\xfe", 400),
        (b"\0", 400),
        (b"[" * 100_000, 400),
        (b'{"title": ' + b"[" * 100_000, 400),
        (b'{"title": ' + b"9" * 10_000 + b"}", 400),
        (b'{"title": NaN}', 422),
        (b'{"title": "x"', 400),
    ],
)
async def test_a_body_that_is_no_json_object_is_refused(asked: Client, raw: bytes, status: int) -> None:
    reply = await asked("lead", "POST", "/projects", raw=raw)
    reply.problem(status, "not-json" if status == 400 else "invalid-input", "body" if status == 400 else "title")


async def test_the_same_key_twice_is_one(client: Client) -> None:
    made = await client("lead", "POST", "/projects", raw=b'{"title": "A", "title": "Better"}')
    assert made.json["title"] == "Better"


@pytest.mark.parametrize("size", [LIMIT + 1, 50_000_000])
async def test_a_body_that_is_too_large_is_refused(asked: Client, size: int) -> None:
    reply = await asked("lead", "POST", "/projects", raw=b'{"title": "' + b"x" * size + b'"}')
    reply.problem(413, "body-too-large", "body")
    reply = await asked("lead", "PUT", f"{HERE}/members/viewer", raw=b" " * size)
    reply.problem(413, "body-too-large", "body")
    assert (await asked("lead", "GET", "/me")).status == 200


async def test_a_body_without_a_length_is_counted_too(asked: Client) -> None:
    async def pieces() -> AsyncIterator[bytes]:
        for _ in range(3000):
            yield b"x" * 1000

    url = f"{asked.site.url}api/v1/projects"
    headers = {"Authorization": f"token {token_of('lead')}"}
    reply = await asked.send("POST", url, data=pieces(), headers=headers)
    reply.problem(413, "body-too-large", "body")


@pytest.mark.parametrize("path", ["/projects/%ff", f"{HERE}/members/%c3%28", "/projects?q=%ff", "/people?q=%ff%fe%fd"])
async def test_an_address_that_is_no_text_is_refused(asked: Client, path: str) -> None:
    reply = await asked("lead", "GET", path)
    assert 400 <= reply.status < 500
    assert reply.json["status"] == reply.status


@pytest.mark.parametrize("path", ["/projects?q=a%00b", "/people?q=abc%00", f"{HERE}/members?cursor=a%00b"])
async def test_a_zero_byte_in_a_query_is_a_space(asked: Client, path: str) -> None:
    assert (await asked("lead", "GET", path)).status == 200


async def test_another_persons_invitation_is_no_ones_business(client: Client, world: World) -> None:
    offer = (await client("lead", "PUT", f"{HERE}/members/stranger", {"role": "editor"})).json["invitation"]
    before = await snapshot(world.factory.database)
    for who in ("viewer", "editor", "lead", "operator"):
        for action in ("accept", "decline"):
            (await client(who, "POST", f"/invitations/{offer['id']}/{action}")).problem(404, "not-found")
    assert await snapshot(world.factory.database) == before


async def test_links_that_are_over_say_why(client: Client, world: World) -> None:
    async def link(**terms: int) -> str:
        made = await client("lead", "POST", f"{HERE}/invitations", {"role": "viewer", **terms})
        return str(made.json["url"]).rsplit("/", 1)[1]

    await world.sign_in("second")
    used, expired = await link(), await link(days=1)
    assert (await client("stranger", "POST", f"/invitations/{used}/accept")).status == 200
    world.clock.move(days=1)
    before = await snapshot(world.factory.database)
    for code in (used, expired):
        (await client("second", "POST", f"/invitations/{code}/accept")).problem(410, "invitation-over")
    assert await snapshot(world.factory.database) == before


async def test_scripts_in_texts_are_kept_as_text(client: Client, world: World) -> None:
    """What they are on a page is the page's business; the API gives back what it was given."""
    text = "<script>alert(document.cookie)</script><img src=x onerror=alert(1)>"
    changed = await client("lead", "PATCH", HERE, {"readme": text, "title": text}, headers={"If-Match": "*"})
    assert (changed.status, changed.json["readme"], changed.json["title"]) == (200, text, text)
    assert changed.headers["Content-Type"] == "application/json"
    await world.change(visibility=Visibility.PUBLIC)
    assert (await client(None, "GET", HERE)).headers["X-Content-Type-Options"] == "nosniff"


@pytest.mark.parametrize("title", [EMOJI, "海面水位", "مستوى البحر", "E\u0301te\u0301", "a'b\"c\\d", "%s %d {x}", "0"])
async def test_any_script_of_the_world_makes_a_title(client: Client, title: str) -> None:
    made = await client("lead", "POST", "/projects", {"title": title, "readme": f"# {title}\n\u202e\u0007"})
    assert (made.status, made.json["title"]) == (201, title)
    found = (await client("lead", "GET", f"/projects/{made.json['slug']}")).json
    assert found["title"] == title


async def test_no_problem_shows_a_secret_or_a_trace(client: Client) -> None:
    replies: list[Reply] = [
        await client("lead", "POST", "/projects", raw=b"{"),
        await client("lead", "GET", "/projects/none"),
        await client(None, "GET", "/me", headers={"Authorization": "Bearer secretsecret"}),
    ]
    for reply in replies:
        text = reply.content.decode()
        assert not {word for word in ("Traceback", "sqlalchemy", "secretsecret", token_of("lead")) if word in text}
