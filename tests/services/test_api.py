"""What the API says, in the words of its documentation, to those who may hear it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from urllib.parse import urlsplit

import aiohttp
import pytest
from yarl import URL

from jupyterhub_collab.access.models import Role, Visibility
from jupyterhub_collab.factory import Factory
from jupyterhub_collab.settings import Holders, People, Rights
from tests.support.api import Client, running_client
from tests.support.databases import snapshot
from tests.support.hub import PREFIX, token_of
from tests.support.world import SLUG, World

PROJECT_FIELDS = {
    "slug", "title", "description", "readme", "visibility", "state", "my_role", "environment", "resource_class",
    "created_at", "last_activity",
}  # fmt: skip
HERE = f"/projects/{SLUG}"


async def following(client: Client, who: str | None, path: str) -> list[Any]:
    """Return all items of a list, page by page, as a client would: by the addresses that the answers give."""
    items: list[Any] = []
    address: str | None = path
    while address is not None:
        page = (await client(who, "GET", address)).json
        items += page["items"]
        address = page["next"] and page["next"].removeprefix(f"{PREFIX}api/v1")
    return items


# Words ----------------------------------------------------------------------------------------------------


async def test_a_project_has_the_documented_fields(client: Client) -> None:
    reply = await client("viewer", "GET", HERE)
    assert reply.json.keys() >= PROJECT_FIELDS
    assert (reply.json["slug"], reply.json["my_role"], reply.json["state"]) == (SLUG, "viewer", "active")
    assert reply.json["created_at"] == "2026-11-21T12:00:00Z"
    assert reply.headers["Content-Type"] == "application/json"
    assert reply.headers["Cache-Control"] == "no-store"


async def test_a_member_has_the_documented_fields(client: Client) -> None:
    (editor, *_) = (await client("viewer", "GET", f"{HERE}/members")).json["items"]
    assert editor.keys() >= {"user", "role", "via", "since"}
    assert (editor["user"], editor["role"], editor["via"]) == ("editor", "editor", "invitation from lead")


async def test_an_invitation_has_the_documented_fields_and_its_url_once(client: Client, world: World) -> None:
    made = (await client("lead", "POST", f"{HERE}/invitations", {"role": "viewer", "days": 7, "uses": 1})).json
    assert made.keys() >= {"id", "role", "expires_at", "uses_left", "url"}
    assert "code" not in made
    code = urlsplit(made["url"]).path.removeprefix(f"{PREFIX}join/")
    (listed,) = (await client("lead", "GET", f"{HERE}/invitations")).json["items"]
    assert listed["url"] is None
    assert code not in repr(await snapshot(world.factory.database))
    joined = await client("stranger", "POST", f"/invitations/{code}/accept")
    assert (joined.status, joined.json["my_role"]) == (200, "viewer")


async def test_a_join_request_has_the_documented_fields(client: Client, world: World) -> None:
    await world.change(visibility=Visibility.INTERNAL)
    made = await client("stranger", "POST", f"{HERE}/join-requests", {"message": "Please"})
    assert made.status == 201
    assert made.json.keys() >= {"id", "user", "message", "state"}
    (listed,) = (await client("lead", "GET", f"{HERE}/join-requests")).json["items"]
    assert (listed["user"], listed["message"], listed["state"]) == ("stranger", "Please", "open")


async def test_data_and_events_have_the_documented_fields(client: Client) -> None:
    attached = (await client("lead", "PUT", f"{HERE}/data/noaa-co2", {})).json
    assert attached.keys() >= {"name", "path", "mode"}
    assert (attached["path"], attached["mode"]) == ("/data/noaa-co2", "read-only")
    event = (await client("viewer", "GET", f"{HERE}/activity")).json["items"][0]
    assert event.keys() >= {"at", "actor", "action", "target", "detail"}
    assert (event["actor"], event["action"], event["target"]) == ("lead", "data.attach", "noaa-co2")


async def test_me_and_the_catalogue(client: Client, world: World) -> None:
    await world.sign_in("viewer", "staff")
    me = (await client("viewer", "GET", "/me")).json
    assert me == {"user": "viewer", "display_name": "Viewer Doe", "groups": ["staff"], "rights": ["create projects"]}
    assert "operator" in (await client("operator", "GET", "/me")).json["rights"]
    names = {
        kind: [e["name"] for e in entries]
        for kind, entries in (await client("viewer", "GET", "/catalogue")).json.items()
    }
    assert names == {"environments": ["default"], "resource_classes": ["small"], "data": ["noaa-co2", "drop"]}


async def test_outsiders_read_no_members_name(client: Client, world: World) -> None:
    """The maker of a project is a member; finding a project must not give them away."""
    await world.change(visibility=Visibility.PUBLIC, readme="Hello", description="Words")
    for who in ("stranger", None):
        for path in (HERE, "/projects"):
            text = (await client(who, "GET", path)).content.decode()
            assert "Hello" in text or path == "/projects"
            assert not {name for name in ("lead", "editor", "viewer") if f'"{name}"' in text}
    assert (await client("viewer", "GET", HERE)).json["created_by"] == "lead"


# Making and changing --------------------------------------------------------------------------------------


async def test_making_a_project_says_where_it_is(client: Client) -> None:
    made = await client("stranger", "POST", "/projects", {"title": "Atmospheric CO₂", "visibility": "internal"})
    assert (made.status, made.json["slug"], made.json["my_role"]) == (201, "atmospheric-co2", "lead")
    assert made.headers["Location"] == f"{PREFIX}api/v1/projects/atmospheric-co2"
    assert (await client("stranger", "GET", "/projects/atmospheric-co2")).headers["ETag"] == made.headers["ETag"]


async def test_two_leads_editing_at_once_lose_nothing(client: Client) -> None:
    seen = (await client("lead", "GET", HERE)).headers["ETag"]
    saved = await client("lead", "PATCH", HERE, {"title": "Mine"}, headers={"If-Match": seen})
    assert saved.status == 200
    late = await client("operator", "PATCH", HERE, {"title": "Yours"}, headers={"If-Match": seen})
    assert late.problem(412, "changed-meanwhile")["current"] == saved.headers["ETag"]
    assert (await client("lead", "GET", HERE)).json["title"] == "Mine"
    assert (await client("lead", "PATCH", HERE, {"title": "Ours"}, headers={"If-Match": "*"})).status == 200


@pytest.mark.parametrize("etag", ["", "1", '"0"', 'W/"1"', '"1", "2"', "\xff", '"' + "9" * 5000 + '"'])
async def test_an_etag_that_is_not_the_projects_changes_nothing(client: Client, etag: str) -> None:
    reply = await client("lead", "PATCH", HERE, {"title": "New"}, headers={"If-Match": etag})
    assert (reply.status, reply.json["code"]) == (412, "changed-meanwhile")


async def test_a_change_names_the_version_that_it_is_of(client: Client) -> None:
    reply = await client("lead", "PATCH", HERE, {"title": "New"})
    reply.problem(428, "precondition-required")
    assert (await client("lead", "GET", HERE)).json["title"] == "Project co2"


async def test_putting_a_member_twice_is_putting_them_once(client: Client, world: World) -> None:
    first = await client("lead", "PUT", f"{HERE}/members/stranger", {"role": "editor"})
    before = await snapshot(world.factory.database)
    second = await client("lead", "PUT", f"{HERE}/members/stranger", {"role": "editor"})
    assert first.json == second.json
    assert first.json["member"] is None
    assert (first.json["invitation"]["user"], first.json["invitation"]["role"]) == ("stranger", "editor")
    assert await snapshot(world.factory.database) == before
    changed = await client("lead", "PUT", f"{HERE}/members/viewer", {"role": "editor"})
    assert (changed.json["member"]["role"], changed.json["invitation"]) == ("editor", None)


async def test_deleting_says_until_when_it_can_be_undone(client: Client, world: World) -> None:
    deleted = await client("lead", "DELETE", HERE)
    assert deleted.json == {"restorable_until": "2026-12-21T12:00:00Z"}
    (await client("viewer", "GET", HERE)).problem(404, "not-found")
    assert [p["slug"] for p in (await client("operator", "GET", "/operator/projects?deleted=true")).json["items"]] == [
        SLUG
    ]
    assert (await client("lead", "POST", f"{HERE}/restore")).json["deleted_at"] is None
    (await client("lead", "POST", f"{HERE}/restore")).problem(409, "not-deleted")


async def test_the_last_lead_stays(client: Client) -> None:
    for reply in (
        await client("lead", "DELETE", f"{HERE}/members/lead"),
        await client("lead", "PUT", f"{HERE}/members/lead", {"role": "viewer"}),
    ):
        reply.problem(409, "last-lead")


async def test_an_archived_project_says_so(client: Client) -> None:
    await client("lead", "POST", f"{HERE}/archive")
    for method, path, body in (
        ("PATCH", HERE, {"title": "New"}),
        ("PUT", f"{HERE}/data/noaa-co2", {}),
        ("DELETE", f"{HERE}/data/noaa-co2", None),
    ):
        reply = await client("lead", method, path, body, headers={"If-Match": "*"})
        reply.problem(409, "project-archived")


# Lists ----------------------------------------------------------------------------------------------------


async def test_every_list_is_paged_by_the_addresses_that_it_gives(client: Client, world: World) -> None:
    for number in range(60):
        await world.sign_in(f"p{number:02}", "staff")
    for number in range(45):
        await world.create(f"s{number:02}", visibility=Visibility.INTERNAL)
    await world.factory.members.put_group("lead", SLUG, "staff", Role.VIEWER)
    for number in range(35):
        await world.change(title=f"Title {number}")
    assert len(await following(client, "viewer", f"{HERE}/members")) == 63
    assert len(await following(client, "viewer", f"{HERE}/activity")) == 41
    assert len(await following(client, "stranger", "/projects?sort=title")) == 45
    assert len(await following(client, "lead", "/projects?mine=true")) == 46
    assert len(await following(client, "stranger", "/projects?mine=false&q=project")) == 45
    assert len(await following(client, "operator", "/operator/projects?q=s")) == 45
    assert len(await following(client, "operator", "/operator/people")) == 65
    assert len(await following(client, "operator", f"/operator/audit?project={SLUG}&action=project.change")) == 35


async def test_a_filter_lasts_over_the_pages(client: Client, world: World) -> None:
    for number in range(25):
        await world.create(f"mine{number:02}", who="stranger", visibility=Visibility.INTERNAL)
        await world.create(f"other{number:02}", visibility=Visibility.INTERNAL)
    found = await following(client, "stranger", "/projects?mine=false")
    assert {project["slug"][:5] for project in found} == {"other"}
    assert len(found) == 25


async def test_the_directory_is_open_to_visitors(client: Client, world: World) -> None:
    assert (await client(None, "GET", "/projects")).json == {"items": [], "next": None}
    await world.change(visibility=Visibility.PUBLIC)
    (project,) = (await client(None, "GET", "/projects?q=proj")).json["items"]
    assert (project["slug"], project["my_role"], project["members"]) == (SLUG, None, 3)


# People search --------------------------------------------------------------------------------------------


async def test_people_search_finds_names_and_groups(client: Client, world: World) -> None:
    await world.sign_in("viewer", "viewing")
    reply = await client("stranger", "GET", "/people?q=vie")
    assert reply.json == {
        "items": [{"name": "viewer", "display_name": "Viewer Doe"}],
        "groups": [{"group": "viewing", "people": 1}],
    }
    (await client("stranger", "GET", "/people?q=vi")).problem(422, "invalid-input", "q")
    (await client("stranger", "GET", "/people")).problem(422, "invalid-input", "q")


async def test_people_search_has_a_rate(world: World, with_settings: Callable[..., Factory]) -> None:
    slow = with_settings(people=People(searches_per_minute=3))
    async with running_client(slow) as client:
        for _ in range(3):
            assert (await client("viewer", "GET", "/people?q=lead")).status == 200
        reply = await client("viewer", "GET", "/people?q=lead")
        problem = reply.problem(429, "too-many-requests")
        assert 1 <= int(reply.headers["Retry-After"]) == problem["retry_after"] <= 60
        assert (await client("lead", "GET", "/people?q=lead")).status == 200
        assert (await client("viewer", "GET", "/me")).status == 200


# My server ------------------------------------------------------------------------------------------------


async def test_a_server_is_started_and_stopped_with_my_own_token(client: Client) -> None:
    server = f"{HERE}/server"
    assert (await client("editor", "GET", server)).json["state"] == "stopped"
    started = await client("editor", "POST", server)
    assert (started.status, started.json["state"], started.json["url"]) == (202, "running", "/user/editor/co2/")
    assert (await client("editor", "POST", server)).status == 202
    assert (await client("viewer", "GET", server)).json["state"] == "stopped"
    stopped = await client("editor", "DELETE", server)
    assert (stopped.status, stopped.json["state"]) == (202, "stopped")
    assert (await client("editor", "DELETE", server)).status == 202


async def test_a_running_server_says_what_a_restart_would_change(client: Client, world: World) -> None:
    await client("viewer", "POST", f"{HERE}/server")
    await world.factory.members.put("lead", SLUG, "viewer", Role.EDITOR)
    server = (await client("viewer", "GET", f"{HERE}/server")).json
    assert server["restart_to_apply"]
    assert server["changes"] == [{"path": "~/projects/co2", "granted": "read-only", "allowed": "read-write"}]


async def test_a_refused_start_says_why(client: Client) -> None:
    await client("lead", "POST", f"{HERE}/archive")
    reply = await client("lead", "POST", f"{HERE}/server")
    assert "archived" in reply.problem(409, "hub-refused")["detail"]
    assert "archived" in (await client("lead", "GET", f"{HERE}/server")).json["refusal"]


async def test_without_the_hub_servers_are_unavailable_and_nobody_is_known(client: Client) -> None:
    client.hub.away = True
    reply = await client("lead", "POST", f"{HERE}/server")
    assert reply.status == 503
    assert reply.headers["Content-Type"] == "application/problem+json"


async def test_a_lead_ends_a_members_server(client: Client, world: World) -> None:
    await client("editor", "POST", f"{HERE}/server")
    assert (await client("lead", "POST", f"{HERE}/servers/stop", {"user": "editor"})).json == {"servers": 1}
    assert [e.person for e in await world.factory.servers.excess()] == ["editor"]
    (await client("lead", "POST", f"{HERE}/servers/stop", {"user": "viewer"})).problem(404, "not-found")


# Who asks -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("token", ["wrong", "x" * 1000, "' OR 1=1", "../..", "\xff\xfe", "a b"])
async def test_a_wrong_token_is_nobody(client: Client, token: str) -> None:
    for scheme in ("Bearer", "token"):
        reply = await client(None, "GET", "/me", headers={"Authorization": f"{scheme} {token}"})
        reply.problem(401, "login-required")
        assert reply.headers["WWW-Authenticate"] == "Bearer"
        assert token not in reply.content.decode()


async def test_a_token_in_the_address_is_none(client: Client) -> None:
    (await client(None, "GET", f"/me?token={token_of('lead')}")).problem(401, "login-required")


async def test_who_the_core_does_not_know_has_to_log_in(client: Client) -> None:
    (await client("ghost", "GET", "/me")).problem(401, "unknown-account")
    (await client("ghost", "POST", "/projects", {"title": "Mine"})).problem(401, "unknown-account")


async def logged_in(client: Client, who: str) -> aiohttp.ClientSession:
    """Log in with a browser, so that the service knows the person by its cookie."""
    client.hub.browser_user = who
    session = aiohttp.ClientSession(cookie_jar=aiohttp.CookieJar(unsafe=True))
    async with session.get(client.site.url) as page:
        assert page.status == 200
    return session


async def test_a_write_by_cookie_needs_the_xsrf_token(client: Client, world: World) -> None:
    async with await logged_in(client, "lead") as browser:
        url = f"{client.site.url}api/v1{HERE}/members/stranger"
        before = await snapshot(world.factory.database)
        cookies = browser.cookie_jar.filter_cookies(URL(client.site.url))
        wrong: list[dict[str, str]] = [{}, {"X-XSRFToken": ""}, {"X-XSRFToken": "x"}, {"Authorization": ""}]
        for headers in wrong:
            async with browser.put(url, json={"role": "viewer"}, headers=headers) as answer:
                problem = await answer.json(content_type=None)
                assert (answer.status, problem["code"], problem["field"]) == (403, "xsrf", "_xsrf")
        assert await snapshot(world.factory.database) == before
        async with browser.put(url, json={"role": "viewer"}, headers={"X-XSRFToken": cookies["_xsrf"].value}) as answer:
            assert (answer.status, (await answer.json())["invitation"]["user"]) == (200, "stranger")


async def test_a_token_counts_more_than_a_cookie(client: Client) -> None:
    """A page of somebody else's can't make a browser act by sending a token that is none."""
    async with await logged_in(client, "lead") as browser:
        url = f"{client.site.url}api/v1{HERE}"
        for headers in ({"Authorization": "Bearer nonsense"}, {"Authorization": f"token {token_of('stranger')}"}):
            async with browser.delete(url, headers=headers) as answer:
                assert answer.status in (401, 404)
    assert (await client("lead", "GET", HERE)).json["deleted_at"] is None


async def test_rights_are_read_anew_at_each_request(client: Client, world: World) -> None:
    """Nothing that a person may do outlives its removal, whatever the service remembers of who they are."""
    assert (await client("editor", "GET", f"{HERE}/members")).status == 200
    await client("lead", "DELETE", f"{HERE}/members/editor")
    (await client("editor", "GET", f"{HERE}/members")).problem(404, "not-found")


# The machinery --------------------------------------------------------------------------------------------


async def test_health_metrics_and_unknown_addresses(client: Client, world: World) -> None:
    health = await client.send("GET", f"{client.site.url}healthz")
    assert (health.status, health.json) == (200, {"status": "ok"})
    metrics = f"{client.site.url}metrics"
    assert (await client.send("GET", metrics)).status == 401
    as_lead = {"Authorization": f"token {token_of('lead')}"}
    assert (await client.send("GET", metrics, headers=as_lead)).status == 403
    as_operator = {"Authorization": f"token {token_of('operator')}"}
    text = (await client.send("GET", metrics, headers=as_operator)).content.decode()
    assert "jupyterhub_collab_requests_total" in text
    for path in ("/", "/none", "/projects/", "//projects", f"{HERE}/members/", "/projects/co2/none"):
        (await client("lead", "GET", path)).problem(404, "not-found")


async def test_metrics_name_routes_and_not_people(client: Client) -> None:
    await client("lead", "GET", f"{HERE}")
    reply = await client.send(
        "GET", f"{client.site.url}metrics", headers={"Authorization": f"token {token_of('operator')}"}
    )
    assert SLUG not in reply.content.decode()


async def test_an_answer_has_a_number_for_the_log(client: Client) -> None:
    reply = await client("lead", "GET", "/me", headers={"X-Request-Id": "abc"})
    assert reply.headers["X-Request-Id"] == "abc"
    assert len((await client("lead", "GET", "/me")).headers["X-Request-Id"]) == 16
    assert reply.headers["X-Content-Type-Options"] == "nosniff"
    assert "Server" not in reply.headers


@pytest.mark.parametrize("number", ["a\tb", "ü", "x" * 5000, "<script>"])
async def test_a_strange_number_harms_nothing(client: Client, number: str) -> None:
    reply = await client("lead", "GET", "/me", headers={"X-Request-Id": number})
    assert reply.status == 200
    assert len(reply.headers["X-Request-Id"]) <= 64


async def test_an_operator_by_group_is_one_as_long_as_in_the_group(
    world: World, with_settings: Callable[..., Factory]
) -> None:
    site = with_settings(rights=Rights(operator=Holders(groups=frozenset({"staff"}))))
    await world.sign_in("stranger", "staff")
    async with running_client(site) as client:
        assert (await client("stranger", "GET", "/operator/people")).status == 200
        await world.sign_in("stranger")
        (await client("stranger", "GET", "/operator/people")).problem(403, "missing-site-right")


# Room -----------------------------------------------------------------------------------------------------


async def test_only_operators_give_a_project_room_and_it_only_grows(client: Client) -> None:
    async def give(who: str, size: object) -> Any:
        return await client(who, "PATCH", HERE, {"volume_size": size}, headers={"If-Match": "*"})

    (await give("lead", "20GiB")).problem(403, "missing-site-right")
    (await give("editor", "20GiB")).problem(403, "missing-permission")
    assert (await give("operator", "20GiB")).json["volume_size"] == 20 * 1024**3
    assert (await give("operator", 30 * 1024**3)).json["volume_size"] == 30 * 1024**3
    problem = (await give("operator", "20GiB")).problem(409, "volume-only-grows", "volume_size")
    assert problem["present"] == 30 * 1024**3
    for wrong in ("much", -1, 0, 2**70, [1]):
        (await give("operator", wrong)).problem(422, "invalid-input", "volume_size")
