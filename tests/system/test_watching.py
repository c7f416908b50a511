"""What operators watch: metrics as the manual says, and the log as JSON, with names of requests and no secrets."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest

from tests.support.demo import PASSWORD, Person, Site, site

NAME = "followed-from-outside"
MANUAL = Path(__file__).parents[2] / "docs" / "how-to" / "operators" / "watch-metrics.md"


@pytest.fixture(scope="module")
def hub(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """A Hub whose configuration goes on with what the manual says about metrics."""
    (block,) = re.findall(r"^```python\n(.*?)^```$", MANUAL.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)
    with site(JUPYTERHUB_COLLAB__SITE__LOG_FORMAT="json") as made:
        text = made.configuration.read_text(encoding="utf-8")
        made.configuration = tmp_path_factory.mktemp("configuration") / "jupyterhub_config.py"
        made.configuration.write_text(f"{text}\n{block}", encoding="utf-8")
        made.start_hub()
        yield made


def scrape(hub: Site, path: str, token: str) -> httpx.Response:
    return httpx.get(f"{hub.address}{path}", headers={"Authorization": f"Bearer {token}"})


def test_one_token_reads_the_metrics_of_both_and_nothing_else(hub: Site, lead: Person) -> None:
    token = (hub.state / "secrets" / "prometheus-token").read_text(encoding="ascii")
    lead.request("GET", "/services/projects/api/v1/projects/ice-cores")
    of_hub, of_service = scrape(hub, "/hub/metrics", token), scrape(hub, "/services/projects/metrics", token)
    assert (of_hub.status_code, of_service.status_code) == (200, 200)
    for name in ("enforcement_look_seconds_count", "servers_stopping", "database_connections", "claims"):
        assert f"jupyterhub_collab_{name}" in of_hub.text
    counted = (
        'jupyterhub_collab_requests_total{method="GET",route="/api/v1/projects/{slug}",service="projects",status="200"}'
    )
    assert counted in of_service.text
    assert scrape(hub, "/hub/api/users", token).status_code == 403
    assert scrape(hub, "/services/projects/api/v1/me/projects", token).status_code == 403


@pytest.mark.parametrize("path", ["/hub/metrics", "/services/projects/metrics"])
def test_metrics_are_not_for_everyone(hub: Site, lead: Person, path: str) -> None:
    assert scrape(hub, path, lead.token).status_code == 403
    assert httpx.get(f"{hub.address}{path}").status_code in {401, 403}


def test_the_time_of_the_last_look_is_shown(hub: Site, lead: Person) -> None:
    lead.start()  # before there is a server, nobody needs to look
    token = (hub.state / "secrets" / "prometheus-token").read_text(encoding="ascii")
    looked = r"^jupyterhub_collab_enforcement_last_look_timestamp_seconds (\S+)$"
    (found,) = re.findall(looked, scrape(hub, "/hub/metrics", token).text, re.MULTILINE)
    assert 0 <= time.time() - float(found) < 10


@pytest.fixture(scope="module")
def lead(hub: Site) -> Person:
    person = hub.person("lead")
    person.api("POST", "/projects", 201, json={"title": "Ice cores"})
    return person


def lines(hub: Site) -> list[dict[str, Any]]:
    """Return what Hub and projects service wrote; the proxy and the begin of a start have words of their own."""
    text = hub.output.read_text(encoding="utf-8")
    return [json.loads(line) for line in text.splitlines() if line.startswith('{"')]


def named(hub: Site, name: str, process: str) -> list[dict[str, Any]]:
    return [line for line in lines(hub) if line.get("request_id") == name and line["process"] == process]


def test_a_request_can_be_followed_from_the_service_to_the_hub(hub: Site, lead: Person) -> None:
    viewer = hub.person("viewer")  # with a token that the service has not asked the Hub about yet
    viewer.request("GET", "/services/projects/api/v1/me", headers={"X-Request-ID": NAME})
    hub.wait_until(lambda: named(hub, NAME, "projects") != [])
    assert [line["route"] for line in named(hub, NAME, "projects")] == ["/api/v1/me"]
    assert any("GET /hub/api/user" in line["message"] for line in named(hub, NAME, "hub"))


def test_what_a_request_begins_carries_its_name(hub: Site, lead: Person) -> None:
    lead.hub("POST", "/users/lead/servers/ice-cores", headers={"X-Request-ID": "starts-a-server"})
    hub.wait_until(lambda: lead.servers().get("ice-cores", {}).get("ready", False), 60)
    assert any("ice-cores" in line["message"] for line in named(hub, "starts-a-server", "hub"))


def test_the_hub_answers_with_a_name_and_shows_it_with_an_error(hub: Site, lead: Person) -> None:
    answer = lead.web.get("/hub/nothing-here", headers={"X-Request-ID": "shown-on-a-page"})
    assert (answer.status_code, answer.headers["X-Request-ID"]) == (404, "shown-on-a-page")
    assert "shown-on-a-page" in answer.text
    strange = lead.web.get("/hub/login", headers={"X-Request-ID": 'a" b'}, follow_redirects=False)
    assert strange.headers["X-Request-ID"] != 'a" b'


def test_each_line_says_when_who_and_how_grave(hub: Site, lead: Person) -> None:
    found = lines(hub)
    assert {"hub", "projects"} <= {line["process"] for line in found} <= {"hub", "projects", "idle-culler"}
    assert all(line.keys() >= {"time", "level", "logger", "message", "process"} for line in found)
    rest = [line for line in hub.output.read_text(encoding="utf-8").splitlines() if not line.startswith('{"')]
    assert [line for line in rest if line.startswith(("[", "Traceback")) and "JupyterHub" in line] == []


def test_enforcement_speaks_for_nobody(hub: Site, lead: Person) -> None:
    editor = hub.person("editor")
    invited = lead.api("PUT", "/projects/ice-cores/members/editor", json={"role": "editor"})
    editor.api("POST", f"/invitations/{invited['invitation']['id']}/accept")
    editor.start("ice-cores")
    lead.api("DELETE", "/projects/ice-cores/members/editor", 204)
    hub.wait_until(lambda: editor.servers() == {})
    (line,) = [line for line in lines(hub) if line["message"].startswith("Stopping editor")]
    assert (line["logger"], "request_id" in line) == ("jupyterhub.collab.enforcement", False)


def test_no_secret_stands_in_the_log(hub: Site, lead: Person) -> None:
    made = lead.api("POST", "/projects/ice-cores/invitations", 201, json={"role": "viewer", "days": 7, "uses": 1})
    code = urlsplit(made["url"]).path.rsplit("/", 1)[-1]
    viewer = Person(hub, "viewer")
    viewer.web.get(urlsplit(made["url"]).path)  # leads to the login first
    viewer.log_in()
    viewer.make_token()
    viewer.web.get(urlsplit(made["url"]).path)
    viewer.request("GET", f"/services/projects/join/{code}")
    viewer.request("GET", "/hub/api/user", params={"token": viewer.token})
    with httpx.Client(base_url=hub.address) as nobody:
        nobody.post("/hub/login", data={"username": "viewer", "password": f"not-{PASSWORD}"})
    secrets = {"code": code, "password": PASSWORD, "token": lead.token, "another token": viewer.token}
    secrets |= {path.name: path.read_text(encoding="ascii") for path in (hub.state / "secrets").iterdir()}
    # JupyterHub logs the id of a session, which opens nothing without its signed cookies
    cookies = {cookie.name: cookie.value or "" for cookie in viewer.web.cookies.jar}
    secrets |= {name: cookie for name, cookie in cookies.items() if name != "jupyterhub-session-id"}
    assert len(secrets) > 8
    log = hub.output.read_text(encoding="utf-8")
    assert [name for name, secret in secrets.items() if secret in log] == []
