"""How long until a server answers, and until a person can work in it."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import time
from collections import defaultdict
from collections.abc import Callable, Container, Iterator
from pathlib import Path
from typing import Final, TypeVar

import httpx
from playwright.sync_api import Page, expect

from jupyterhub_collab.state import free_port
from tests.support.browsing import chromium, logged_in
from tests.support.demo import Person, demo

from .figures import Figure, percentile
from .stock import stock

PAIRS: Final = 10
SLUG: Final = "atmospheric-co2"
_PATIENCE: Final = 90_000

Times = dict[str, list[float]]
T = TypeVar("T")


def make_project(lead: Person) -> None:
    """Make a project with data, as the main job has it."""
    lead.api("POST", "/projects", 201, json={"title": "Atmospheric CO2", "slug": SLUG})
    lead.api("PUT", f"/projects/{SLUG}/data/noaa-co2", json={"mode": "read-only"})


def by_turns(ways: dict[str, Callable[[], T]], times: int) -> dict[str, list[T]]:
    """Do each of some things once to warm up and then by turns; return what each took.

    How fast a machine is changes within seconds: one after the other, they would be compared with another machine.
    Neighbours change places, which keeps a drift from either.
    """
    taken: dict[str, list[T]] = defaultdict(list)
    for number in range(times + 1):
        for name in sorted(ways, reverse=bool(number % 2)):
            measured = ways[name]()
            if number:
                taken[name].append(measured)
    return taken


def until_it_answers(person: Person, server: str) -> float:
    """Start a server by the Hub's API; return the seconds until the server itself answers. Then stop it."""
    begin = time.monotonic()
    person.hub("POST", f"/users/{person.name}/servers/{server}", json={"user_options": {}}).raise_for_status()
    while person.ask(server, "GET", "api/status").status_code != httpx.codes.OK:
        assert time.monotonic() - begin < _PATIENCE / 1000, person.site.log
        time.sleep(0.02)
    seconds = time.monotonic() - begin
    person.stop(server)
    return seconds


def answering() -> Times:
    """Start a project's server and a stock one by turns."""
    with demo() as ours, stock() as theirs:
        lead, peer = ours.person("lead"), theirs.person("lead")
        make_project(lead)
        return by_turns(
            {"ours": lambda: until_it_answers(lead, SLUG), "theirs": lambda: until_it_answers(peer, "")}, PAIRS
        )


def until_launcher(page: Page) -> None:
    """Wait until JupyterLab's launcher can be clicked."""
    expect(page.locator(".jp-LauncherCard").first).to_be_visible(timeout=_PATIENCE)


def usable() -> Times:
    """Open a project by a click, by the Hub's own address, and the same JupyterLab by hand, by turns."""
    with demo() as site, chromium() as browser:
        lead = site.person("lead")
        make_project(lead)
        page = logged_in(browser, site, "lead")
        by_hand = browser.new_context().new_page()
        address = f"http://127.0.0.1:{free_port()}"  # one for all, so that the browser keeps what it loaded here too
        return by_turns(
            {
                "click": lambda: _click(page, lead),
                "hub": lambda: _hub(page, lead),
                "hand": lambda: _hand(by_hand, site.home, address),
            },
            PAIRS,
        )


def _click(page: Page, person: Person) -> float:
    page.goto(f"/services/projects/p/{SLUG}")
    button = page.get_by_role("button", name="Open Atmospheric CO2")
    expect(button).to_be_visible()
    begin = time.monotonic()
    button.click()
    until_launcher(page)
    seconds = time.monotonic() - begin
    person.stop(SLUG)
    return seconds


def _hub(page: Page, person: Person) -> float:
    begin = time.monotonic()
    page.goto(f"/hub/spawn/{person.name}/{SLUG}")
    until_launcher(page)
    seconds = time.monotonic() - begin
    person.stop(SLUG)
    return seconds


def _hand(page: Page, home: Path, address: str) -> float:
    """Start JupyterLab as a process of its own, with neither Hub nor sandbox, and open it as soon as it answers."""
    begin = time.monotonic()
    with _jupyter_lab(home, address):
        while not _answers(address):
            time.sleep(0.02)
        page.goto(f"{address}/lab")
        until_launcher(page)
        return time.monotonic() - begin


@contextlib.contextmanager
def _jupyter_lab(home: Path, address: str) -> Iterator[None]:
    command = [sys.executable, "-m", "jupyterlab", "--no-browser", f"--port={address.rpartition(':')[2]}"]
    options = ["--IdentityProvider.token=", "--ServerApp.disable_check_xsrf=True", f"--notebook-dir={home}"]
    root = ["--allow-root"] if os.geteuid() == 0 else []
    environment = {"HOME": str(home), "LANG": "C.UTF-8", "PATH": os.environ["PATH"]}
    with subprocess.Popen(
        [*command, *options, *root], env=environment, cwd=home, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    ) as process:
        try:
            yield
        finally:
            process.terminate()


def _answers(address: str) -> bool:
    with contextlib.suppress(httpx.HTTPError):
        return httpx.get(f"{address}/api/status").status_code == httpx.codes.OK
    return False


def run(wanted: Container[str]) -> Iterator[Figure]:
    """Measure what is wanted; medians, since two cores have more to do than this."""
    if "spawn_sandbox" in wanted:
        taken = answering()
        yield _figure("spawn_sandbox", taken["ours"], "SimpleLocalProcessSpawner", taken["theirs"])
    if "spawn_usable_s" in wanted:
        taken = usable()
        yield _figure("spawn_usable_s.hub", taken["click"], "the same server by the Hub's own address", taken["hub"])
        yield _figure("spawn_usable_s", taken["click"], "the same JupyterLab started by hand", taken["hand"])


def _figure(name: str, values: list[float], peer: str, peer_values: list[float]) -> Figure:
    return Figure(name=name, value=percentile(values, 50), unit="s", peer=peer, peer_value=percentile(peer_values, 50))
