"""What a service counts and logs of its requests: by route, name and code of an error, never by path or person."""

from __future__ import annotations

import io
import json
import logging
from collections.abc import Iterator
from typing import Any

import pytest
from jupyterhub.httpclient import JupyterHubHTTPClient
from jupyterhub.services.auth import HubOAuth
from prometheus_client import REGISTRY

from jupyterhub_collab import logs
from jupyterhub_collab_services.base.tracing import name_requests
from tests.support import hub
from tests.support.api import Client
from tests.support.hub import token_of
from tests.support.world import SLUG, World

HERE = f"/projects/{SLUG}"
ROUTE = "/api/v1/projects/{slug}"


@pytest.fixture
def backend() -> str:
    """What is counted does not depend on the database."""
    return "sqlite"


@pytest.fixture
def lines() -> Iterator[list[dict[str, Any]]]:
    """The log of the service as JSON, line by line."""
    found: list[dict[str, Any]] = []
    stream = io.StringIO()
    handler = logging.StreamHandler(stream)
    handler.setFormatter(logs.JsonLines("projects"))
    ours = logging.getLogger("jupyterhub_collab_services")
    ours.addHandler(handler)
    level = ours.level
    ours.setLevel(logging.INFO)
    handler.emit = lambda record: found.append(json.loads(handler.format(record)))  # type: ignore[method-assign]
    yield found
    ours.removeHandler(handler)
    ours.setLevel(level)


def value(name: str, **labels: str) -> float:
    return REGISTRY.get_sample_value(f"jupyterhub_collab_{name}", {"service": "projects", **labels}) or 0.0


async def test_requests_are_counted_by_route_method_and_status(client: Client) -> None:
    labels = {"route": ROUTE, "method": "GET"}
    before = value("requests_total", status="200", **labels), value("request_seconds_count", **labels)
    await client("lead", "GET", HERE)
    assert value("requests_total", status="200", **labels) == before[0] + 1
    assert value("request_seconds_count", **labels) == before[1] + 1


async def test_pages_are_counted_by_their_address_in_the_table(client: Client) -> None:
    labels = {"route": "/p/{slug}/members", "method": "GET", "status": "200"}
    before = value("requests_total", **labels)
    sent = {"Authorization": f"token {token_of('lead')}"}
    assert (await client.send("GET", f"{client.site.url}p/{SLUG}/members", headers=sent)).status == 200
    assert value("requests_total", **labels) == before + 1


async def test_nobody_can_make_new_labels(client: Client) -> None:
    for path in ("secret-1", "static/secret-2", "api/v1/secret-3", "p/secret-4", "oauth_callback?code=secret-5"):
        await client.send("GET", client.site.url + path)
    await client.send("SECRET", client.site.url)
    labels = [label for family in REGISTRY.collect() for sample in family.samples for label in sample.labels.values()]
    assert "/p/{slug}" in labels
    assert [label for label in labels if "secret" in label.lower()] == []
    assert value("requests_total", route="/", method="other", status="405") == 1


async def test_errors_are_counted_by_their_code(client: Client) -> None:
    before = value("problems_total", code="last-lead")
    (await client("lead", "DELETE", f"{HERE}/members/lead")).problem(409, "last-lead")
    assert value("problems_total", code="last-lead") == before + 1


async def test_an_error_that_a_form_shows_is_counted_once(client: Client) -> None:
    before = value("problems_total", code="invitation-over"), value("problems_total", code="not-found")
    sent = {"Authorization": f"token {token_of('lead')}"}
    await client.send("POST", f"{client.site.url}join", headers=sent, data={"code": "none"})
    after = value("problems_total", code="invitation-over"), value("problems_total", code="not-found")
    assert sum(after) == sum(before) + 1


async def test_a_service_without_the_scope_is_told_which_it_needs(client: Client) -> None:
    client.hub.services = frozenset({"prometheus"})
    sent = {"Authorization": f"token {token_of('prometheus')}"}
    refused = await client.send("GET", f"{client.site.url}metrics", headers=sent)
    refused.problem(403, "forbidden")
    assert "read:metrics" in refused.json["detail"]


async def test_the_scope_alone_opens_metrics_and_nothing_else(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hub, "SCOPES", [])
    client.hub.services = frozenset({"prometheus"})
    client.hub.more_scopes["prometheus"] = ["read:metrics"]
    sent = {"Authorization": f"token {token_of('prometheus')}"}
    text = (await client.send("GET", f"{client.site.url}metrics", headers=sent)).content.decode()
    for name in ("requests_total", "problems_total", "database_retries_total"):
        assert f"jupyterhub_collab_{name}" in text
    assert (await client("prometheus", "GET", HERE)).status == 403
    client.hub.more_scopes["prometheus"] += ["access:services!service=projects"]
    HubOAuth.instance().cache.clear()
    assert (await client("prometheus", "GET", HERE)).status == 404
    assert (await client("prometheus", "POST", "/projects", {"title": "Mine"})).status == 401


async def test_a_line_a_request_without_path_query_or_person(client: Client, lines: list[dict[str, Any]]) -> None:
    await client("lead", "GET", f"{HERE}/members?after=confidential", headers={"X-Request-ID": "from-outside"})
    (line,) = [line for line in lines if line.get("request_id") == "from-outside"]
    assert line.keys() >= {"time", "level", "logger", "message", "process", "milliseconds"}
    assert (line["method"], line["route"], line["status"]) == ("GET", f"{ROUTE}/members", 422)
    assert SLUG not in str(line)
    assert "confidential" not in str(line)


async def test_the_name_of_a_request_is_in_answer_problem_and_log(client: Client, lines: list[dict[str, Any]]) -> None:
    reply = await client("stranger", "GET", HERE)
    name = reply.headers["X-Request-ID"]
    assert reply.problem(404, "not-found")["request_id"] == name
    assert [line["status"] for line in lines if line["request_id"] == name] == [404]


async def test_the_name_of_a_request_is_on_the_page_of_an_error(client: Client) -> None:
    sent = {"Authorization": f"token {token_of('lead')}", "X-Request-ID": "seen-by-a-person"}
    page = await client.send("GET", f"{client.site.url}p/none", headers=sent)
    assert page.status == 404
    assert "seen-by-a-person" in page.content.decode()


async def test_a_fault_has_one_name_in_answer_and_log(
    client: Client, world: World, lines: list[dict[str, Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    async def broken(*_: Any, **__: Any) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr(world.factory.projects, "get", broken)
    reply = await client("lead", "GET", HERE)
    name = reply.problem(500, "unexpected")["request_id"]
    assert name in reply.json["detail"]
    traces = [line for line in lines if "exception" in line]
    assert [(line["request_id"], "ZeroDivisionError" in line["exception"]) for line in traces] == [(name, True)]


async def test_requests_on_one_connection_have_names_of_their_own(client: Client) -> None:
    names = [(await client("lead", "GET", "/me")).headers["X-Request-ID"] for _ in range(5)]
    assert len(set(names)) == 5


async def test_what_is_asked_of_the_hub_carries_the_name(client: Client) -> None:
    JupyterHubHTTPClient.clear_instance()
    JupyterHubHTTPClient.instance(session_options={"trace_configs": [name_requests()]})
    try:
        await client("lead", "GET", "/me", headers={"X-Request-ID": "goes-on"})
        assert len(client.hub.request_ids) >= 1
        assert set(client.hub.request_ids) == {"goes-on"}
    finally:
        await JupyterHubHTTPClient.instance().close()
