"""The OpenAPI document: valid, complete, and true of what the service answers to anything that fits it or does not."""

from __future__ import annotations

import asyncio
import random
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from openapi_spec_validator import OpenAPIV31SpecValidator
from schemathesis import Case
from schemathesis.core.result import Ok
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from jupyterhub_collab.database import Database
from jupyterhub_collab.factory import Factory
from jupyterhub_collab.settings import Limits, People
from jupyterhub_collab_services.projects.api import api
from jupyterhub_collab_services.projects.application import document
from tests.support.api import Client
from tests.support.databases import PostgresDatabases, SqliteDatabases
from tests.support.hub import PREFIX, Site, running_site, token_of
from tests.support.world import SLUG, make_settings

QUICK: Final = 5
LONG: Final = 145
CASES: Final = 10_000
Databases = SqliteDatabases | PostgresDatabases
# What random requests would hardly ever guess
REAL: Final = {"slug": SLUG, "user": "viewer", "group": "staff", "name": "noaa-co2", "id": 1}


@pytest.fixture(scope="module")
def openapi() -> dict[str, Any]:
    return document(PREFIX)


async def test_the_service_serves_it_to_anyone(client: Client, openapi: dict[str, Any]) -> None:
    reply = await client.send("GET", f"{client.site.url}openapi.json")
    assert (reply.status, reply.json) == (200, openapi)
    assert reply.headers["Content-Type"].startswith("application/json")


def test_it_is_valid(openapi: dict[str, Any]) -> None:
    OpenAPIV31SpecValidator(openapi).validate()
    assert openapi["openapi"].startswith("3.1")
    assert openapi["servers"] == [{"url": f"{PREFIX}api/v1"}]


def test_it_has_every_route_and_no_other(openapi: dict[str, Any]) -> None:
    documented = {f"{method.upper()} {path}" for path, item in openapi["paths"].items() for method in item}
    assert documented == {f"{route.method} {route.path.replace(':int', '')}" for route in api.table}


def test_every_operation_is_complete(openapi: dict[str, Any]) -> None:
    names = []
    for path, item in openapi["paths"].items():
        for method, operation in item.items():
            names.append(operation["operationId"])
            assert operation["summary"].endswith("."), path
            assert {"4XX", "503"} < operation["responses"].keys()
            in_path = {p["name"] for p in operation["parameters"] if p["in"] == "path"}
            assert in_path == set(re.findall(r"{(\w+)}", path))
            assert ("requestBody" in operation) <= (method in ("post", "put", "patch"))
    assert len(names) == len(set(names))
    assert openapi["paths"]["/projects/{slug}"]["patch"]["parameters"][-1]["name"] == "If-Match"


def test_every_reference_leads_somewhere(openapi: dict[str, Any]) -> None:
    wanted = set(re.findall(r"#/components/schemas/([\w.\[\]-]+)", repr(openapi)))
    assert wanted <= openapi["components"]["schemas"].keys()
    assert "Problem" in wanted


# Anything at all ------------------------------------------------------------------------------------------


@contextmanager
def site_in_thread(url: str) -> Iterator[Site]:
    """Run the service in a loop of its own, since what asks it blocks."""
    loop, ready, done = asyncio.new_event_loop(), threading.Event(), asyncio.Event()
    found: list[Site] = []

    async def serve() -> None:
        wide = {"limits": Limits(projects_per_person=10**6), "people": People(searches_per_minute=10**6)}
        database = Database(url)
        async with running_site(Factory(make_settings(url, **wide), database)) as site:
            found.append(site)
            ready.set()
            await done.wait()
        await database.close()

    thread = threading.Thread(target=lambda: loop.run_until_complete(serve()), daemon=True)
    thread.start()
    assert ready.wait(20)
    try:
        yield found[0]
    finally:
        loop.call_soon_threadsafe(done.set)
        thread.join(20)
        loop.close()


def aimed(case: Case[Any], dice: random.Random) -> Case[Any]:
    """Return a case of which some parts are real names, so that it gets past the first check."""
    for name in list(case.path_parameters):
        if dice.random() < 0.8:
            case.path_parameters[name] = REAL[name]
    if case.headers.get("If-Match") is not None and dice.random() < 0.8:
        case.headers["If-Match"] = "*"
    return case


def probe(operation: Any, site: Site, examples: int) -> int:
    """Send random requests of one operation, and check each answer against the document; return how many."""
    counted = 0
    dice = random.Random(examples)
    who = "operator" if operation.path.startswith("/operator") else "lead"
    headers = {"Authorization": f"Bearer {token_of(who)}"}

    @settings(
        max_examples=examples,
        deadline=None,
        suppress_health_check=list(HealthCheck),
        phases=[Phase.generate],
        database=None,
    )
    @given(case=operation.as_strategy())
    def send(case: Case[Any]) -> None:
        nonlocal counted
        counted += 1
        response = aimed(case, dice).call(base_url=f"{site.url}api/v1", headers=headers)
        assert response.status_code < 500, (case.as_curl_command(), response.text)
        checks = [status_code_conformance, content_type_conformance, response_schema_conformance]
        case.validate_response(response, checks=checks)

    send()
    return counted


def probe_all(databases: Databases, folder: Path, openapi: dict[str, Any], examples: int) -> int:
    """Probe each operation on a site as new."""
    counted = 0
    schema = schemathesis.openapi.from_dict(openapi)
    for result in schema.get_all_operations():
        assert isinstance(result, Ok)
        with databases.lend(folder, filled=True) as url, site_in_thread(url) as site:
            counted += probe(result.ok(), site, examples)
    return counted


@pytest.fixture
def databases(backend: str, request: pytest.FixtureRequest) -> Databases:
    found: Databases = request.getfixturevalue(f"{backend}_databases")
    return found


@pytest.mark.filterwarnings("ignore")
def test_nothing_that_is_sent_ends_in_a_fault(databases: Databases, tmp_path: Path, openapi: dict[str, Any]) -> None:
    assert probe_all(databases, tmp_path, openapi, QUICK) >= len(api.table)


@pytest.mark.long
@pytest.mark.filterwarnings("ignore")
def test_ten_thousand_requests_and_no_fault(databases: Databases, tmp_path: Path, openapi: dict[str, Any]) -> None:
    counted = 0
    while counted < CASES // 2:
        counted += probe_all(databases, tmp_path, openapi, LONG)
    print(f"schemathesis on {type(databases).__name__.removesuffix('Databases')}: {counted} cases, 0 wrong")  # noqa: T201 - the count
