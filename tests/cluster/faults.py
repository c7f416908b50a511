"""A group at work on a cluster that fails it, and what must hold after each fault."""

from __future__ import annotations

import re
from collections.abc import Callable
from contextlib import suppress
from typing import Any, Final

import httpx

from jupyterhub_collab.names import home_volume, project_volume
from tests.support.demo import Person

from .errors import ClusterError
from .release import Release

SLUG: Final = "sea-ice"
EDITOR: Final = f"/projects/{SLUG}/members/editor"
OURS: Final = {"app.kubernetes.io/managed-by": "jupyterhub-collab"}
PATIENCE: Final = 180


class Group:
    """A lead, an editor who may come and go, and their project."""

    def __init__(self, release: Release) -> None:
        self.release = release
        self.lead = release.person("lead")
        self.editor = release.person("editor")
        self.lead.api("POST", "/projects", 201, json={"title": "Sea ice"})
        self.join()

    def join(self) -> None:
        """Make the editor a member, unless they are one."""
        if "editor" not in self.members():
            self.lead.api("PUT", EDITOR, json={"role": "editor"})
            (invitation,) = self.editor.api("GET", "/me/invitations")["items"]
            self.editor.api("POST", f"/invitations/{invitation['id']}/accept")

    def check(self) -> None:
        """Check that nothing is lost or left over after a fault, and that servers start without anybody's help."""
        self.release.wait_until(self.release.serves, PATIENCE)
        self.release.wait_until(lambda: self._quiet(self._agrees), PATIENCE)
        assert self.lead.api("GET", f"/projects/{SLUG}")["slug"] == SLUG
        assert self.members() == {"lead": "lead", "editor": "editor"}
        assert self.release.core(lambda factory: factory.servers.excess()) == []
        assert self.claims() <= self.owned()
        self.start(self.editor)
        assert self.editor.ask(SLUG, "GET", "api/contents").status_code == httpx.codes.OK
        self.stop(self.editor)
        self.release.wait_until(lambda: self._quiet(self._agrees), PATIENCE)

    def start(self, person: Person) -> None:
        """Start someone's server in the project, and wait until it is ready; ask again where that was not heard."""

        def ready() -> bool:
            if SLUG not in person.servers():
                self.ask_for(person)
            return self.runs(person)

        self.release.wait_until(lambda: self._quiet(ready), PATIENCE)

    def ask_for(self, person: Person) -> httpx.Response:
        """Ask for someone's server in the project, without waiting."""
        return person.hub("POST", f"/users/{person.name}/servers/{SLUG}", json={"user_options": {}})

    def stop(self, person: Person) -> None:
        """Stop someone's server in the project, and wait until it is gone; ask again where that was not heard."""

        def gone() -> bool:
            there = person.servers().get(SLUG)
            if there and not there["pending"]:
                person.hub("DELETE", f"/users/{person.name}/servers/{SLUG}")
            return there is None

        self.release.wait_until(lambda: self._quiet(gone), PATIENCE)

    def runs(self, person: Person) -> bool:
        """Tell whether someone's server in the project is ready."""
        return bool(person.servers().get(SLUG, {}).get("ready"))

    def failure(self, person: Person, server: str = SLUG) -> str:
        """Return what a person reads where a start has failed."""
        page = person.web.get(f"/hub/spawn-pending/{person.name}/{server}").text
        return " ".join(re.sub(r"<script.*?</script>|<[^>]*>", " ", page, flags=re.DOTALL).split())

    def members(self) -> dict[str, str]:
        """Return who is a member, with the role."""
        return {one["user"]: one["role"] for one in self.lead.api("GET", f"/projects/{SLUG}/members")["items"]}

    def claims(self) -> set[str]:
        """Return the claims that we made."""
        return {one["metadata"]["name"] for one in self.release.all("pvc", **OURS)}

    def owned(self) -> set[str]:
        """Return the claims that a person or a project owns."""
        with self.release.postgres.connect("collab") as connection:
            projects = [slug for (slug,) in connection.execute("SELECT slug FROM projects")]
            people = [name for (name,) in connection.execute("SELECT name FROM persons")]
        return {home_volume(name) for name in people} | {project_volume(slug) for slug in projects}

    def _agrees(self) -> bool:
        """Tell whether the Hub, the core and the cluster know the same servers, and no work on volumes is left over."""
        known = {(p.name, name): model for p in (self.lead, self.editor) for name, model in p.servers().items()}
        if any(model["pending"] or not model["ready"] for model in known.values()):
            return False
        grants = {(g.person, g.server_name) for g in self.release.core(lambda factory: factory.servers.open_grants())}
        pods = self.release.servers()
        if any(map(ended, pods)):
            return False
        ours = {(name, server) for name, server in grants if name in {self.lead.name, self.editor.name}}
        return set(known) == ours and grants == set(map(_owner, pods)) and not self.release.all("pods", **OURS)

    @staticmethod
    def _quiet(holds: Callable[[], bool]) -> bool:
        """Tell whether something holds; while nobody answers it does not."""
        with suppress(httpx.HTTPError, ClusterError, KeyError, ValueError):
            return holds()
        return False


def ended(pod: dict[str, Any]) -> bool:
    """Tell whether a pod is over: evicted, or as its server took its end."""
    return pod["status"]["phase"] in {"Failed", "Succeeded"}


def _owner(pod: dict[str, Any]) -> tuple[str, str]:
    told = pod["metadata"]["annotations"]
    return told["hub.jupyter.org/username"], told.get("hub.jupyter.org/servername", "")
