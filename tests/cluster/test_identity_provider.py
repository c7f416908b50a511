"""Login through Keycloak: what it says of groups decides about projects, at login and at each refresh."""

from __future__ import annotations

import copy
import re
import time
from collections.abc import Iterator
from html import unescape
from typing import Any, Final

import httpx
import pytest

from tests.support.demo import Person

from .keycloak import ACCESS_SECONDS, CLIENT, SECRET, Keycloak, fill_login_form, keycloak
from .layout import MACHINE_ADDRESS
from .release import Release

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(900)]

REFRESH: Final = 1
SLUG: Final = "tide-tables"


class Visitor(Person):
    """Someone who logs in at the provider, by the forms that a browser shows."""

    def log_in(self) -> httpx.Response:
        form = self.web.get("/hub/oauth_login")
        address, fields = fill_login_form(form, self.name)
        landed = self.web.post(address, data=fields)
        assert landed.status_code == httpx.codes.OK, f"{landed.url}: {landed.text[:2000]}"
        return landed

    def wait_for_refresh(self) -> httpx.Response:
        """Come back when the access token has run out: the Hub takes a new one, and asks again who one is."""
        time.sleep(ACCESS_SECONDS + REFRESH)
        return self.web.get("/hub/home")

    def projects(self) -> list[str]:
        return [project["slug"] for project in self.api("GET", "/me/projects")["items"]]

    def groups(self) -> list[str]:
        return list(self.api("GET", "/me")["groups"])


@pytest.fixture(scope="module")
def provider(release: Release, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Keycloak]:
    with keycloak(MACHINE_ADDRESS, tmp_path_factory.mktemp("keycloak")) as made:
        made.make_realm(f"{release.address}/hub/oauth_callback")
        for group in ("staff", "tides"):
            made.add_group(group)
        yield made


@pytest.fixture(scope="module")
def site(release: Release, provider: Keycloak) -> Iterator[Release]:
    """The release with this provider instead of the demo's accounts, until the end of the module."""
    before = copy.deepcopy(release.values)
    release.kubectl("create", "secret", "generic", "oidc", f"--from-literal=client-secret={SECRET}")
    release.install(**values(release, provider))
    yield release
    release.values = before
    release.install()
    release.kubectl("delete", "secret", "oidc")


@pytest.fixture(scope="module")
def reader(site: Release, provider: Keycloak) -> Visitor:
    """The first of the group ``tides`` to come: before that nobody here knows the group."""
    return come(site, provider, "bob", "tides")


@pytest.fixture(scope="module")
def lead(site: Release, provider: Keycloak, reader: Visitor) -> Visitor:
    """Someone of the staff, with a project that the group ``tides`` reads."""
    lead = come(site, provider, "ada", "staff")
    lead.api("POST", "/projects", 201, json={"title": "Tide tables"})
    lead.api("PUT", f"/projects/{SLUG}/groups/tides", json={"role": "viewer"})
    return lead


def values(release: Release, provider: Keycloak) -> dict[str, Any]:
    oidc = {
        "client_id": CLIENT,
        "oauth_callback_url": f"{release.address}/hub/oauth_callback",
        "authorize_url": f"{provider.endpoints}/auth",
        "token_url": f"{provider.endpoints}/token",
        "userdata_url": f"{provider.endpoints}/userinfo",
        "logout_redirect_url": f"{provider.endpoints}/logout?client_id={CLIENT}",
        "auth_state_groups_key": "oauth_user.groups",
        "allowed_groups": ["staff", "tides"],
        "auth_refresh_age": REFRESH,
    }
    secret = {"valueFrom": {"secretKeyRef": {"name": "oidc", "key": "client-secret"}}}
    port = httpx.URL(provider.address).port
    return {
        "hub": {
            "config": {"JupyterHub": {"authenticator_class": "collab-oidc"}, "CollabOIDCAuthenticator": oidc},
            "extraEnv": {"OAUTH_CLIENT_SECRET": secret},
        },
        "networkPolicy": {
            "identityProvider": {"ports": [port], "to": [{"ipBlock": {"cidr": f"{MACHINE_ADDRESS}/32"}}]}
        },
    }


def come(site: Release, provider: Keycloak, name: str, *groups: str) -> Visitor:
    """Let a new person log in for the first time."""
    provider.add_person(name, *groups)
    visitor = Visitor(site, name)
    visitor.log_in()
    visitor.make_token()
    return visitor


def test_a_login_tells_who_one_is_and_in_which_groups(lead: Visitor, reader: Visitor) -> None:
    me = lead.api("GET", "/me")
    assert (me["user"], me["display_name"], me["groups"]) == ("ada", "Ada Example", ["staff"])
    (project,) = reader.api("GET", "/me/projects")["items"]
    assert (project["slug"], project["my_role"], project["via"]) == (SLUG, "viewer", "tides")


def test_who_is_in_no_allowed_group_is_not_let_in(site: Release, provider: Keycloak) -> None:
    provider.add_person("eve")
    stranger = Visitor(site, "eve")
    address, fields = fill_login_form(stranger.web.get("/hub/oauth_login"), "eve")
    assert stranger.web.post(address, data=fields).status_code == httpx.codes.FORBIDDEN
    assert provider.sessions("eve") == 1


def test_a_group_given_later_opens_the_project(site: Release, provider: Keycloak, lead: Visitor) -> None:
    person = come(site, provider, "cleo", "staff")
    assert person.projects() == []
    provider.join("cleo", "tides")
    assert person.wait_for_refresh().url.path == "/hub/home"
    assert person.groups() == ["staff", "tides"]
    assert person.projects() == [SLUG]


def test_a_group_taken_away_takes_the_project_and_stops_its_server(
    site: Release, provider: Keycloak, lead: Visitor
) -> None:
    person = come(site, provider, "dora", "staff", "tides")
    person.start(SLUG)
    assert [pod for pod in site.servers() if mounts_project(pod)]
    provider.leave("dora", "tides")
    assert person.wait_for_refresh().url.path == "/hub/home"
    assert person.projects() == []
    site.wait_until(lambda: person.servers() == {}, 60)
    assert not [pod for pod in site.servers() if mounts_project(pod)]


def mounts_project(pod: dict[str, Any]) -> bool:
    return any(mount["mountPath"].endswith(SLUG) for mount in pod["spec"]["containers"][0]["volumeMounts"])


def test_a_login_that_the_provider_has_ended_ends_here(site: Release, provider: Keycloak) -> None:
    person = come(site, provider, "finn", "staff")
    provider.end_sessions("finn")
    landed = person.wait_for_refresh()
    assert landed.url.path == "/hub/login"
    assert person.log_in().url.path.startswith("/services/projects")


def test_logging_out_leads_through_the_provider(site: Release, provider: Keycloak) -> None:
    person = come(site, provider, "gita", "staff")
    asked = person.web.get("/hub/logout")
    assert str(asked.url).startswith(f"{provider.endpoints}/logout")
    form = re.search(r'<form[^>]* action="([^"]+logout-confirm[^"]*)"', asked.text)
    code = re.search(r'name="session_code" value="([^"]+)"', asked.text)
    assert form is not None, asked.text
    assert code is not None, asked.text
    fields = {"session_code": code[1], "confirmLogout": "Logout"}
    assert person.web.post(asked.url.join(unescape(form[1])), data=fields).status_code == httpx.codes.OK
    assert provider.sessions("gita") == 0
    assert person.web.get("/hub/home").url.path == "/hub/login"
