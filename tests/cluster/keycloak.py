"""A real identity provider: Keycloak on this machine, with a realm whose people and groups a test changes at will."""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import time
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from html import unescape
from pathlib import Path
from re import search
from typing import Any, Final

import httpx

from jupyterhub_collab.state import free_port

from .layout import CACHE

VERSION: Final = "26.4.2"
REALM: Final = "site"
CLIENT: Final = "jupyterhub"
SECRET: Final = "made-up-client-secret"
PASSWORD: Final = "made-up-password"
ACCESS_SECONDS: Final = 5  # so short that a refresh has to use its refresh token
_ARTIFACT: Final = f"org.keycloak:keycloak-quarkus-dist:{VERSION}:zip"
_START: Final = 300
_GROUPS: Final = {
    "name": "groups",
    "protocol": "openid-connect",
    "protocolMapper": "oidc-group-membership-mapper",
    "config": {"claim.name": "groups", "full.path": "false", "userinfo.token.claim": "true"},
}


@dataclass
class Keycloak:
    """A running Keycloak with the realm ``site`` and the client of the Hub in it."""

    address: str
    log: Path
    http: httpx.Client = field(default_factory=lambda: httpx.Client(timeout=60, trust_env=False))

    @property
    def endpoints(self) -> str:
        """Where the realm speaks OpenID Connect."""
        return f"{self.address}/realms/{REALM}/protocol/openid-connect"

    def make_realm(self, callback: str) -> None:
        """Make the realm, and in it the client that tells a person's groups."""
        client = {
            "clientId": CLIENT,
            "secret": SECRET,
            "redirectUris": [callback],
            "attributes": {"post.logout.redirect.uris": callback.replace("oauth_callback", "*")},
            "protocolMappers": [_GROUPS],
        }
        realm = {"realm": REALM, "enabled": True, "sslRequired": "none", "accessTokenLifespan": ACCESS_SECONDS}
        self._ask("POST", "", json={**realm, "clients": [client]})

    def add_group(self, name: str) -> None:
        """Make a group."""
        self._ask("POST", f"/{REALM}/groups", json={"name": name})

    def add_person(self, name: str, *groups: str) -> None:
        """Make an account whose profile is complete, in these groups."""
        profile = {"firstName": name.title(), "lastName": "Example", "email": f"{name}@example.org"}
        credentials = [{"type": "password", "value": PASSWORD, "temporary": False}]
        person = {"username": name, "enabled": True, "emailVerified": True, "credentials": credentials, **profile}
        self._ask("POST", f"/{REALM}/users", json=person)
        for group in groups:
            self.join(name, group)

    def join(self, name: str, group: str) -> None:
        """Put a person into a group."""
        self._ask("PUT", self._membership(name, group))

    def leave(self, name: str, group: str) -> None:
        """Take a person out of a group."""
        self._ask("DELETE", self._membership(name, group))

    def end_sessions(self, name: str) -> None:
        """End all logins of a person here, as an administrator does."""
        self._ask("POST", f"/{REALM}/users/{self._id('users', name)}/logout")

    def sessions(self, name: str) -> int:
        """Return how many logins a person has here."""
        return len(self._ask("GET", f"/{REALM}/users/{self._id('users', name)}/sessions").json())

    def _membership(self, name: str, group: str) -> str:
        return f"/{REALM}/users/{self._id('users', name)}/groups/{self._id('groups', group)}"

    def _id(self, kind: str, name: str) -> str:
        key = {"users": "username", "groups": "search"}[kind]
        found = self._ask("GET", f"/{REALM}/{kind}", params={key: name, "exact": "true"}).json()
        return str(found[0]["id"])

    def _ask(self, method: str, path: str, **options: Any) -> httpx.Response:
        headers = {"Authorization": f"Bearer {self._token()}"}
        answer = self.http.request(method, f"{self.address}/admin/realms{path}", headers=headers, **options)
        assert answer.is_success, f"{method} {path}: {answer.status_code} {answer.text}"
        return answer

    def _token(self) -> str:
        form = {"grant_type": "password", "client_id": "admin-cli", "username": "admin", "password": PASSWORD}
        answer = self.http.post(f"{self.address}/realms/master/protocol/openid-connect/token", data=form)
        return str(answer.raise_for_status().json()["access_token"])

    def answers(self) -> bool:
        """Tell whether it is up."""
        with contextlib.suppress(httpx.HTTPError):
            return self.http.get(f"{self.address}/realms/master").status_code == httpx.codes.OK
        return False


def fill_login_form(page: httpx.Response, name: str) -> tuple[str, dict[str, str]]:
    """Return where Keycloak's login page sends its form, and what a person writes in it."""
    action = search(r'<form id="kc-form-login"[^>]* action="([^"]+)"', page.text)
    assert action is not None, page.text[:3000]
    return unescape(action[1]), {"username": name, "password": PASSWORD, "credentialId": ""}


@contextlib.contextmanager
def keycloak(host: str, folder: Path) -> Iterator[Keycloak]:
    """Run Keycloak on an address of this machine until the end of the block; it keeps nothing."""
    port, log = free_port(), folder / "keycloak.log"
    options = [f"--http-host={host}", f"--http-port={port}", "--db=dev-mem"]
    names = {"KC_BOOTSTRAP_ADMIN_USERNAME": "admin", "KC_BOOTSTRAP_ADMIN_PASSWORD": PASSWORD}
    memory = {"JAVA_OPTS_KC_HEAP": "-Xms64m -Xmx512m"}
    with log.open("wb") as output:
        process = subprocess.Popen(
            ["/bin/sh", str(_distribution() / "bin" / "kc.sh"), "start-dev", *options],
            env=os.environ | names | memory,
            stdout=output,
            stderr=output,
            start_new_session=True,
        )
    made = Keycloak(f"http://{host}:{port}", log)
    try:
        _wait(made, process)
        yield made
    finally:
        made.http.close()
        process.terminate()
        process.wait(60)


def _wait(made: Keycloak, process: subprocess.Popen[bytes]) -> None:
    begun = time.monotonic()
    while not made.answers():
        assert process.poll() is None, made.log.read_text()
        assert time.monotonic() - begun < _START, made.log.read_text()
        time.sleep(0.5)


def _distribution() -> Path:
    """Return the folder of Keycloak, fetched once."""
    folder = CACHE / f"keycloak-{VERSION}"
    if not folder.exists():
        partial = CACHE / f"keycloak-{VERSION}.partial"
        shutil.rmtree(partial, ignore_errors=True)
        repository = f"-Dmaven.repo.local={partial}/maven"
        command = ["mvn", "--quiet", "--batch-mode", repository, "dependency:get", f"-Dartifact={_ARTIFACT}"]
        subprocess.run([*command, "-Dtransitive=false"], check=True)
        found = next((partial / "maven" / "org" / "keycloak").rglob("*.zip"))
        with zipfile.ZipFile(found) as archive:
            archive.extractall(partial)
        (partial / f"keycloak-{VERSION}").rename(folder)
        shutil.rmtree(partial)
    return folder
