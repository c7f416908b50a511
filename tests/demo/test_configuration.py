"""The embedded default as an operator starts it, without the demo around it."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from jupyterhub_collab.demo.running import configuration
from jupyterhub_collab.state import STATE_VARIABLE, StateFolder
from tests.support.demo import Site
from tests.support.demo import site as lent_site

PASSWORD = "three-plain-words"
SETTINGS = """
[database]
url = "sqlite+aiosqlite:///{state}/collab.sqlite"
[storage]
root = "{state}/volumes"
[rights.operator]
names = ["chief"]
[limits]
idle_minutes = 7
"""


@pytest.fixture(scope="module")
def hub() -> Iterator[Site]:
    with lent_site() as made:
        StateFolder(made.state).prepare()
        (made.state / "settings.toml").write_text(SETTINGS.format(state=made.state))
        places = {STATE_VARIABLE: str(made.state), "PORT": str(made.port)}
        made._run([sys.executable, "-m", "jupyterhub", "--config", str(configuration())], places)
        made.wait_until(made.serves, 120)
        yield made


def browser(hub: Site) -> httpx.Client:
    return httpx.Client(base_url=hub.address, follow_redirects=True, timeout=60)


def send(web: httpx.Client, path: str, **fields: str) -> httpx.Response:
    found = re.search(r'name="_xsrf" value="([^"]+)"', web.get(path).text)
    assert found
    return web.post(path, data=fields | {"_xsrf": found.group(1)})


def sign_up(web: httpx.Client, name: str) -> httpx.Response:
    return send(web, "/hub/signup", username=name, signup_password=PASSWORD, signup_password_confirmation=PASSWORD)


def log_in(web: httpx.Client, name: str) -> httpx.Response:
    return send(web, "/hub/login", username=name, password=PASSWORD)


def test_people_wait_for_approval_and_operators_give_it(hub: Site) -> None:
    chief, other = browser(hub), browser(hub)
    sign_up(chief, "chief")
    sign_up(other, "other")
    assert log_in(chief, "chief").url.path == "/services/projects/"
    assert log_in(other, "other").status_code == 403
    page = chief.get("/hub/authorize")
    assert page.status_code == 200
    assert "other" in page.text
    xsrf = chief.cookies.get("_xsrf", path="/hub/") or ""
    assert chief.post("/hub/authorize/other", data={"_xsrf": xsrf}).status_code == 200
    assert log_in(other, "other").url.path == "/services/projects/"
    assert other.get("/hub/authorize").status_code == 403


def test_an_operator_is_no_admin_of_the_hub(hub: Site) -> None:
    chief = browser(hub)
    sign_up(chief, "chief")
    log_in(chief, "chief")
    assert chief.get("/hub/admin").status_code == 403
    assert chief.patch("/hub/api/users/other", json={"name": "somebody"}).status_code == 403


def test_idle_servers_are_stopped_after_the_time_in_the_settings(hub: Site) -> None:
    culler = Path(f"/proc/{hub.pid_of('jupyterhub_collab_spawner.idle_culler')}/cmdline").read_text().split("\0")
    assert "--timeout=420" in culler


def test_services_end_with_a_killed_hub(hub: Site) -> None:
    services = [hub.pid_of("jupyterhub_collab_spawner.idle_culler"), hub.pid_of("jupyterhub_collab_services.projects")]
    assert hub.process is not None
    hub.process.kill()
    hub.process.wait()
    hub.wait_until(lambda: not set(services) & set(hub.processes()), 10)
