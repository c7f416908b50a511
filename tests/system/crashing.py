"""A group whose machine is not kind to it: whatever is going on, one of the processes is killed in the middle of it."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import os
import random
import signal
import threading
import time
from collections import Counter
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Final, TypeVar

import httpx

from jupyterhub_collab.audit.models import Event
from jupyterhub_collab.factory import Factory
from jupyterhub_collab.settings import load_settings
from jupyterhub_collab_spawner.processes import alive
from jupyterhub_collab_spawner.records import all_records
from tests.support.demo import PASSWORD, Person, Site

SLUG: Final = "ice-cores"
EDITOR: Final = f"/projects/{SLUG}/members/editor"
T = TypeVar("T")
Server = tuple[str, str]

# How long each step takes here, more or less: the kill comes at a random instant of it, or a little later
STEPS: Final = {"start": 2.5, "stop": 1.0, "add": 0.2, "remove": 1.0, "log in": 0.4, "rest": 0.1}
VICTIMS: Final = ("hub", "service", "proxy", "server")


class Group:
    """A lead, an editor who comes and goes, and what was acknowledged to them."""

    def __init__(self, site: Site) -> None:
        self.site = site
        self.lead = site.person("lead")
        self.editor = site.person("editor")
        self.lead.api("POST", "/projects", 201, json={"title": "Ice cores"})
        self.lead.api("PUT", EDITOR, json={"role": "editor"})
        self.answer: int | None = None

    def survive(self, step: str, victim: str, instant: random.Random) -> None:
        """Kill one process in the middle of a step, bring back what an operator would, and check everything."""
        self._arrange(step, victim)
        self.answer = None
        doing = threading.Thread(target=self._do, args=(step,))
        doing.start()
        time.sleep(instant.uniform(0, STEPS[step]))
        self._kill(victim)
        doing.join(120)
        assert not doing.is_alive()
        self.check(step)

    def check(self, step: str) -> None:
        """Check that people can log in, nothing is lost or doubled, and nobody has more than allowed."""
        self.site.wait_until(self.site.serves, 60)
        landed = Person(self.site, "viewer").log_in()
        assert landed.status_code == 200
        assert landed.url.path == "/services/projects/"
        self._check_members(step)
        self.site.wait_until(self._agrees, 90)
        assert self.core(lambda factory: factory.servers.excess()) == []

    def _check_members(self, step: str) -> None:
        members = self._members()
        assert sorted(set(members)) == sorted(members)
        assert "lead" in members
        if self.answer is not None and step in {"add", "remove"}:
            assert ("editor" in members) == (step == "add"), "what was acknowledged is lost"
        events = [event.action for event in self.events() if event.target == "editor" and event.project == SLUG]
        changes = [action for action in events if action in {"member.add", "member.remove"}]
        assert changes[0] == ("member.add" if "editor" in members else "member.remove")
        assert all(one != other for one, other in itertools.pairwise(changes)), changes

    def _agrees(self) -> bool:
        """Tell whether the Hub, the core, the records and the kernel know the same servers, each of them once."""
        known = {("editor", name): model for name, model in self.editor.servers().items()}
        if any(model["pending"] or not model["ready"] for model in known.values()):
            return False
        grants = self.core(lambda factory: factory.servers.open_grants())
        granted = Counter((grant.person, grant.server_name) for grant in grants)
        records = [record for record in all_records(self.site.runtime) if alive(record.init)]
        recorded = Counter((record.person, record.server_name) for record in records)
        wanted = Counter(dict.fromkeys(known, 1))
        return wanted == granted == recorded and self.inits() == {record.init.pid for record in records}

    def inits(self) -> set[int]:
        """Return the first processes of all sandboxes of this site."""
        return {pid for pid in self.site.sandboxes() if _is_first(pid)}

    def events(self) -> list[Event]:
        """Return what happened, newest first."""

        async def dump(factory: Factory) -> list[Event]:
            page = await factory.database.read(
                lambda session: factory.audit.dump(session, limit=1000, project=SLUG, target="editor")
            )
            return page.items

        return self.core(dump)

    def core(self, work: Callable[[Factory], Awaitable[T]]) -> T:
        """Ask the core's database."""

        async def run() -> T:
            factory = Factory.open(load_settings(self.site.state / "settings.toml"))
            try:
                return await work(factory)
            finally:
                await factory.close()

        return asyncio.run(run())

    def _arrange(self, step: str, victim: str) -> None:
        """Bring about what the step begins with."""
        if step != "add":
            self.lead.api("PUT", EDITOR, json={"role": "editor"})
        elif "editor" in self._members():
            self.lead.api("DELETE", EDITOR, 204)
        self.site.wait_until(self._agrees, 90)
        running = SLUG in self.editor.servers()
        if step == "start" and running:
            self.editor.stop(SLUG)
        elif (step in {"stop", "remove"} or (victim == "server" and step not in {"start", "add"})) and not running:
            self.editor.start(SLUG)
            self.editor.ask(SLUG, "GET", "api/contents")

    def _members(self) -> list[str]:
        return [member["user"] for member in self.lead.api("GET", f"/projects/{SLUG}/members")["items"]]

    def _do(self, step: str) -> None:
        """Do the step; whoever does it sees an error when what they ask is killed."""
        with contextlib.suppress(httpx.HTTPError):
            self.answer = self._answer(step)

    def _answer(self, step: str) -> int | None:
        lead, editor = self.lead, self.editor
        api = f"/services/projects/api/v1{EDITOR}"
        match step:
            case "start":
                answer = editor.hub("POST", f"/users/editor/servers/{SLUG}")
            case "stop":
                answer = editor.hub("DELETE", f"/users/editor/servers/{SLUG}")
            case "add":
                answer = lead.request("PUT", api, json={"role": "editor"})
            case "remove":
                answer = lead.request("DELETE", api)
            case "log in":
                with httpx.Client(base_url=self.site.address, follow_redirects=True) as web:
                    answer = web.post("/hub/login", data={"username": "viewer", "password": PASSWORD})
            case _:
                return None
        return answer.status_code if answer.is_success else None

    def _kill(self, victim: str) -> None:
        if victim == "hub":
            self.site.stop(signal.SIGKILL)
            self.site.start_hub()
        elif victim == "server":
            for pid in self.inits():
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
        else:
            mark = "jupyterhub_collab_services.projects" if victim == "service" else "configurable-http-proxy"
            os.kill(self.site.pid_of(mark), signal.SIGKILL)


def _is_first(pid: int) -> bool:
    with contextlib.suppress(OSError):
        for line in Path(f"/proc/{pid}/status").read_text(encoding="utf-8").splitlines():
            if line.startswith("NSpid:"):
                return line.split()[-1] == "1"
    return False
