"""Each person's servers on an origin of their own: the main pages, login, a server and an invitation link."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

import httpx
import pytest
from playwright.sync_api import Browser, Page, expect

from tests.support.browsing import chromium, log_in, logged_in, window
from tests.support.demo import Site

# What a page of somebody's server would try against the Hub with the rights of whoever looks at it
ATTACK = """async ([hub, own]) => {
    const ask = (url) => fetch(url, {credentials: "include"}).then((answer) => answer.status, () => "refused");
    return [await ask(`${hub}/services/projects/api/v1/me`), await ask(`${hub}/hub/api/user`), await ask(own)];
}"""


@dataclass
class OwnOrigins(Site):
    """A Hub at a name of its own; browsers know that all names below localhost are this machine."""

    @property
    def address(self) -> str:
        return f"http://hub.localhost:{self.port}"

    def serves(self) -> bool:
        self.assert_runs()
        try:
            pages = ("/hub/login", "/services/projects/healthz")
            host = {"Host": f"hub.localhost:{self.port}"}
            return all(httpx.get(f"http://127.0.0.1:{self.port}{p}", headers=host).status_code == 200 for p in pages)
        except httpx.HTTPError:
            return False


@pytest.fixture(scope="module")
def own_origins() -> Iterator[OwnOrigins]:
    made = OwnOrigins()
    made.environment = {"SUBDOMAIN_HOST": made.address}
    try:
        made.start_hub()
        yield made
    finally:
        made.clean()


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as made:
        yield made


def make_project(page: Page) -> None:
    page.goto("/services/projects/new")
    page.get_by_label("Title").fill("Tall tower")
    page.get_by_role("button", name=re.compile("Make|Create")).click()
    expect(page.get_by_role("heading", name="Tall tower", level=1)).to_be_visible()


def open_server(page: Page, person: str, site: OwnOrigins) -> str:
    """Open the project's server from its page; return where that leads."""
    page.get_by_role("button", name="Open").first.click()
    own = f"http://{person}.hub.localhost:{site.port}/user/{person}/tall-tower/"
    page.wait_for_url(f"{own}**", timeout=60_000)
    expect(page.locator("#jp-top-panel")).to_be_visible(timeout=60_000)
    return own


def test_main_pages_servers_and_invitations(own_origins: OwnOrigins, browser: Browser) -> None:
    site = own_origins
    lead = logged_in(browser, site, "lead")
    expect(lead).to_have_url(f"{site.address}/services/projects/")
    make_project(lead)
    own = open_server(lead, "lead", site)
    assert lead.evaluate(ATTACK, [site.address, f"{own}static/favicons/favicon.ico"]) == ["refused", "refused", 200]

    lead.goto("/hub/home")
    expect(lead.get_by_role("link", name="Projects", exact=True)).to_have_attribute("href", "/services/projects/")
    lead.goto("/services/projects/p/tall-tower/members")
    lead.locator("summary", has_text="New invitation link").click()
    lead.get_by_role("button", name="Make link").click()
    link = lead.get_by_role("link", name="The whole link").get_attribute("href") or ""
    assert link.startswith(f"{site.address}/services/projects/join/"), link

    viewer = window(browser, site)
    viewer.goto(link)
    cookies = {cookie["name"]: cookie for cookie in viewer.context.cookies()}
    assert (cookies["collab-invitation"]["domain"], cookies["collab-invitation"]["path"]) == ("hub.localhost", "/hub/")
    viewer.get_by_role("link", name="Log in to join").click()
    log_in(viewer, "viewer")
    viewer.get_by_role("button", name="Join project").click()
    expect(viewer.get_by_role("heading", name="Tall tower", level=1)).to_be_visible()
    open_server(viewer, "viewer", site)

    # Nobody's page reaches another one's server either
    theirs = [site.address, f"{own}static/favicons/favicon.ico"]
    assert viewer.evaluate(ATTACK, theirs) == ["refused", "refused", "refused"]
    lead.goto("/services/projects/p/tall-tower")
    lead.get_by_role("button", name=re.compile("^Stop")).first.click()
    expect(lead.get_by_text("Your server for Tall tower is stopped.")).to_be_visible()
