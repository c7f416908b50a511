"""Every page: for people who see little, on every screen, by keyboard alone, and without scripts."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.browser.stage import SLUG, Stage, staged
from tests.support.browsing import log_in, logged_in, window
from tests.support.demo import PASSWORD

AXE = Path(__file__).parents[2] / "node_modules/axe-core/axe.min.js"
WIDTHS = (320, 390, 768, 1280, 1920)
HEIGHT = 800
FAULTS = """async rules => {
    const chosen = rules ? {runOnly: {type: "rule", values: rules}} : {};
    const found = await axe.run(document, {resultTypes: ["violations"], ...chosen});
    return found.violations.filter(fault => ["serious", "critical"].includes(fault.impact))
        .map(fault => fault.id + ": " + fault.nodes.map(node => node.target.join(" ")).join(", "));
}"""
TOO_WIDE = """() => [...document.querySelectorAll("body *")]
    .filter(thing => document.documentElement.scrollWidth > window.innerWidth
        && thing.getBoundingClientRect().right > window.innerWidth + 1)
    .map(thing => thing.tagName + "." + thing.className + "#" + thing.id).slice(0, 5)"""


@pytest.fixture(scope="module")
def stage() -> Iterator[Stage]:
    with staged() as made:
        yield made


class Readers(dict[str | None, Page]):
    """A window for each person, and one for a visitor."""

    def __init__(self, browser: Browser, stage: Stage) -> None:
        super().__init__()
        self._browser = browser
        self._stage = stage

    def __missing__(self, name: str | None) -> Page:
        options: dict[str, Any] = {"bypass_csp": True}  # axe is a script from outside
        site = self._stage.site
        self[name] = logged_in(self._browser, site, name, **options) if name else window(self._browser, site, **options)
        return self[name]


@pytest.fixture(scope="module")
def readers(browser: Browser, stage: Stage) -> Readers:
    return Readers(browser, stage)


def names() -> list[str]:
    from tests.browser.stage import _pages  # noqa: PLC0415

    return list(_pages("", 0))


@pytest.mark.parametrize("name", names())
def test_a_page_is_for_everyone_on_every_screen(stage: Stage, readers: Readers, name: str) -> None:
    person, address = stage.pages[name]
    page = readers[person]
    broken: list[str] = []
    page.on("pageerror", lambda error: broken.append(str(error)))
    answer = page.goto(address)
    assert answer is not None
    assert answer.status < 500
    page.add_script_tag(path=AXE)
    for width in WIDTHS:
        page.set_viewport_size({"width": width, "height": HEIGHT})
        assert page.evaluate(TOO_WIDE) == [], f"at {width} px"
    for theme, rules in (("light", None), ("dark", ["color-contrast", "link-in-text-block"])):
        page.evaluate("theme => document.documentElement.setAttribute('data-bs-theme', theme)", theme)
        for width in (390, 1280):
            page.set_viewport_size({"width": width, "height": HEIGHT})
            assert page.evaluate(FAULTS, rules) == [], f"{theme}, {width} px"
    assert broken == []


def test_each_page_of_the_service_is_looked_at(stage: Stage) -> None:
    """A page that is added must be added to the stage."""
    from jupyterhub_collab_services.projects.pages import table  # noqa: PLC0415

    looked = [re.sub(r"\?.*", "", address) for _, address in stage.pages.values()]
    parts = {
        "needs-you",
        "needs-you.js",
        "new/slug",
        "login",
        "p/{slug}/members/leaving",
        "p/{slug}/members/suggest",
        "p/{slug}/members/table",
    }
    parts |= {"p/{slug}/server", "p/{slug}/ask", "p/{slug}/invitations"}  # each leads to a page, or is part of one
    for route in table:
        leads_elsewhere = re.search(r"/(stop|restart|starting)$", route.path)
        if "GET" in route.needs and route.path not in parts and not leads_elsewhere:
            pattern = "/services/projects/" + re.sub(r"\{\w+\}", "[^/]+", route.path) + "$"
            assert any(re.match(pattern, address) for address in looked), route.path


def test_the_toggle_turns_the_page_dark_and_it_stays_so(browser: Browser, stage: Stage) -> None:
    page = logged_in(browser, stage.site, "lead")
    page.get_by_role("button", name="Toggle dark mode").click()
    expect(page.locator("html")).to_have_attribute("data-bs-theme", "dark")
    page.goto("/hub/home")
    expect(page.locator("html")).to_have_attribute("data-bs-theme", "dark")
    page.context.close()


def reach(page: Page, name: str, key: str = "Tab") -> None:
    """Press Tab until something with this name has the focus."""
    for _ in range(80):
        page.keyboard.press(key)
        if re.search(name, str(page.evaluate(NAME))):
            return
    pytest.fail(f"Nothing called {name} can be reached by keyboard on {page.url}")


NAME = """() => {
    const here = document.activeElement;
    if (!here) return "";
    const label = here.labels?.length ? here.labels[0].innerText : "";
    return here.getAttribute("aria-label") || label || here.innerText || "";
}"""


def test_a_project_is_made_and_led_by_keyboard_alone(browser: Browser, stage: Stage) -> None:
    page = window(browser, stage.site)
    for text in ("viewer", PASSWORD):
        page.keyboard.type(text)
        page.keyboard.press("Tab" if text == "viewer" else "Enter")
    expect(page.get_by_role("heading", name="My projects")).to_be_visible()
    page.keyboard.press("Tab")
    expect(page.get_by_role("link", name="Skip to content")).to_be_focused()
    reach(page, "^New project")
    page.keyboard.press("Enter")
    expect(page.get_by_label("Title")).to_be_focused()
    page.keyboard.type("By hand")
    expect(page.get_by_label("Short name")).to_have_value("by-hand")
    reach(page, "^Make project")
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", level=1)).to_have_text("By hand")
    reach(page, "^Members")
    page.keyboard.press("Enter")
    _invite(page)
    _withdraw(page)
    page.context.close()


def _invite(page: Page) -> None:
    expect(page.get_by_label("Invite people")).to_be_visible()
    reach(page, "^Invite people")
    page.keyboard.type("out")
    expect(page.get_by_role("option", name=re.compile("outsider"))).to_have_attribute("aria-selected", "true")
    page.keyboard.press("Enter")
    expect(page.get_by_label("Invite people")).to_have_value("outsider")
    reach(page, "^Role for")
    page.keyboard.press("ArrowDown")
    reach(page, "^Invite$")
    page.keyboard.press("Enter")
    expect(page.get_by_role("row", name=re.compile("outsider"))).to_contain_text("Editor")
    page.wait_for_load_state()


def _withdraw(page: Page) -> None:
    reach(page, "^Withdraw")
    page.keyboard.press("Enter")
    expect(page.get_by_role("row", name=re.compile("outsider"))).to_have_count(0)
    page.wait_for_load_state()
    reach(page, r"^VI\s+viewer\b", "Shift+Tab")
    page.keyboard.press("Enter")
    expect(page.get_by_role("link", name="My servers")).to_be_visible()
    page.keyboard.press("Escape")
    expect(page.get_by_role("link", name="My servers")).to_be_hidden()
    assert re.match(r"VI\s+viewer\b", str(page.evaluate(NAME)))


def test_the_main_flows_work_without_scripts(browser: Browser, stage: Stage) -> None:
    page = window(browser, stage.site, java_script_enabled=False)
    log_in(page, "lead")
    page.get_by_role("link", name="New project").click()
    page.get_by_label("Title").fill("Plain")
    page.get_by_role("button", name="Make project").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Plain")
    _led_without_scripts(page)
    _opened_without_scripts(page)
    _ended_without_scripts(page)
    page.context.close()


def _led_without_scripts(page: Page) -> None:
    page.get_by_role("link", name="Members 1").click()
    page.get_by_label("Invite people").fill("nobody-of-this-name")
    page.get_by_role("button", name="Invite", exact=True).click()
    expect(page.locator("[aria-invalid=true]")).to_have_value("nobody-of-this-name")
    page.get_by_label("Invite people").fill("outsider")
    page.get_by_role("button", name="Invite", exact=True).click()
    expect(page.get_by_role("row", name=re.compile("outsider"))).to_contain_text("Not accepted")
    page.get_by_role("link", name=re.compile("^Data")).click()
    page.get_by_label("Attach data").select_option("noaa-co2")
    page.get_by_role("button", name="Attach").click()
    expect(page.get_by_text("/data/noaa-co2", exact=True)).to_be_visible()
    page.get_by_role("link", name="Settings").click()
    page.get_by_label("Description").fill("Works without scripts")
    page.get_by_role("button", name="Save name").click()
    expect(page.get_by_text("Works without scripts").first).to_be_visible()


def _opened_without_scripts(page: Page) -> None:
    page.goto("/services/projects/p/plain")
    page.get_by_role("button", name="Open Plain").click()
    page.wait_for_url(re.compile("/user/lead/plain/lab"), timeout=60_000)
    page.goto("/services/projects/p/plain")
    page.get_by_role("region", name="My server").get_by_role("button", name="Stop").click()
    expect(page.get_by_role("region", name="My server")).to_contain_text(re.compile("Stopp"))


def _ended_without_scripts(page: Page) -> None:
    page.goto("/services/projects/p/plain/settings")
    page.get_by_role("link", name="Delete project").click()
    page.get_by_label("Type plain").fill("plain")
    page.get_by_role("button", name="Delete project").click()
    page.get_by_role("button", name="Undo").click()
    page.goto("/services/projects/p/plain/members")
    page.get_by_role("button", name="Leave").click()
    page.get_by_role("button", name="Leave").click()
    expect(page.get_by_role("alert")).to_contain_text("only lead")


def test_a_readme_runs_nothing_and_loads_nothing(browser: Browser, stage: Stage) -> None:
    lead = stage.site.person("lead")
    hostile = """
<script>document.title = "owned"</script><img src=x onerror="document.title='owned'">
<a href="javascript:document.title='owned'">press</a> [press too](javascript:document.title='owned')
![far](https://example.org/pixel.png) <style>body { display: none }</style> <iframe src="/hub/home"></iframe>
"""
    lead.api("PATCH", "/projects/empty", json={"readme": hostile}, headers={"If-Match": "*"})
    page = logged_in(browser, stage.site, "lead")
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.goto("/services/projects/p/empty", wait_until="networkidle")
    for link in page.locator(".prose a").all():
        link.click(trial=True)
        assert "javascript:" not in (link.get_attribute("href") or "")
    assert "owned" not in page.title()
    expect(page.locator("h1")).to_be_visible()
    assert not [url for url in asked if "example.org" in url or url.endswith("/hub/home")]
    assert page.locator(".prose script, .prose style, .prose iframe, .prose [onerror]").count() == 0
    page.context.close()


def test_a_page_forges_nothing_from_another_site(browser: Browser, stage: Stage) -> None:
    """A page of another origin posts a form with the reader's cookies."""
    page = logged_in(browser, stage.site, "lead")
    form = f"""<form method="post" action="{stage.site.address}/services/projects/p/{SLUG}/settings/archive">
        <button>Win</button></form>"""
    page.route("http://other.example/", lambda route: route.fulfill(body=form, content_type="text/html"))
    page.goto("http://other.example/")
    with page.expect_navigation() as arrived:
        page.get_by_role("button", name="Win").click()
    assert arrived.value is not None
    assert arrived.value.status in {302, 403}
    assert stage.site.person("viewer").api("GET", f"/projects/{SLUG}")["state"] == "active"
    page.context.close()
