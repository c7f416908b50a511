"""A group at work, as people see it: each test takes up where the one before it ended.

Where ``MANUAL_PICTURES`` names a folder, it gets the pictures of the manual.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

import nbformat
import pytest
from playwright.sync_api import Browser, Page, expect

from tests.browser import lab
from tests.support.browsing import log_in, logged_in, picture, window
from tests.support.demo import Place, Site, demo
from tests.support.notebooks import TREND

SLUG = "atmospheric-co2"
FOLDER = f"projects/{SLUG}"
README = """\
We fit a trend and a seasonal cycle to weekly mean CO₂ from Mauna Loa.

- `trend.ipynb` reads the data and fits the model
- the series is the data volume **noaa-co2**, 1958 to 2001
"""


class Windows(dict[str, Page]):
    """A private window for each person, opened and logged in when first needed."""

    def __init__(self, browser: Browser, site: Place) -> None:
        super().__init__()
        self._browser = browser
        self._site = site

    def __missing__(self, name: str) -> Page:
        self[name] = logged_in(self._browser, self._site, name)
        return self[name]


@pytest.fixture(scope="module")
def site() -> Iterator[Site]:
    with demo() as made:
        yield made


@pytest.fixture(scope="module")
def windows(browser: Browser, site: Place) -> Windows:
    return Windows(browser, site)


@pytest.fixture(scope="module")
def cards() -> dict[str, str]:
    """What one test hands to a later one."""
    return {}


def tab(page: Page, name: str) -> None:
    """Go to a tab of the project, from wherever the window is."""
    page.goto(f"/services/projects/p/{SLUG}")
    page.get_by_role("navigation", name="Project", exact=True).get_by_role("link", name=name).click()


def sure(page: Page, verb: str) -> None:
    """Say yes in the dialog that asks."""
    page.get_by_role("dialog").get_by_role("button", name=verb).click()


def test_1_the_lead_makes_a_project(windows: Windows) -> None:
    lead = windows["lead"]
    expect(lead.get_by_role("heading", level=1)).to_have_text("Give your group a place to work")
    lead.get_by_role("link", name="New project").click()
    lead.get_by_label("Title").fill("Atmospheric CO2")
    expect(lead.get_by_label("Short name")).to_have_value(SLUG)
    lead.get_by_label("Description").fill("Trend and season at Mauna Loa")
    lead.get_by_role("radio", name="Internal").check()
    picture(lead, "tutorial/01-new-project")
    lead.get_by_role("button", name="Make project").click()
    expect(lead.get_by_role("heading", level=1)).to_have_text("Atmospheric CO2")
    lead.get_by_role("link", name="Edit README.md").click()
    lead.get_by_label("README.md").fill(README)
    expect(lead.locator("#preview li")).to_have_count(2)
    lead.get_by_role("button", name="Save README").click()
    expect(lead.locator(".prose strong")).to_have_text("noaa-co2")
    picture(lead, "tutorial/02-project-with-readme")


def test_2_the_lead_invites_by_name_and_by_link(windows: Windows, cards: dict[str, str]) -> None:
    lead = windows["lead"]
    tab(lead, "Members")
    lead.get_by_role("combobox", name="Invite people").press_sequentially("edi", delay=40)
    found = lead.get_by_role("option", name=re.compile("editor"))
    expect(found).to_contain_text("Shreya Iyer")
    found.click()
    lead.get_by_label("Role for the people you add").select_option("editor")
    lead.get_by_role("button", name="Invite", exact=True).click()
    expect(lead.get_by_role("row", name=re.compile("editor"))).to_contain_text("Not accepted")
    lead.locator("summary", has_text="New invitation link").click()
    expect(lead.get_by_label("Valid for days")).to_have_value("7")
    expect(lead.get_by_label("For how many people")).to_have_value("1")
    lead.get_by_label("Role", exact=True).select_option("viewer")
    lead.get_by_role("button", name="Make link").click()
    link = lead.get_by_role("link", name="The whole link")
    cards["link"] = link.get_attribute("href") or ""
    assert "/services/projects/join/" in cards["link"]
    link.scroll_into_view_if_needed()
    picture(lead, "tutorial/03-invitations")
    lead.reload()
    expect(link).to_have_count(0)


def test_3_the_lead_attaches_data(windows: Windows) -> None:
    lead = windows["lead"]
    tab(lead, "Data")
    lead.get_by_label("Attach data").select_option("noaa-co2")
    lead.get_by_role("button", name="Attach").click()
    row = lead.get_by_role("listitem").filter(has_text="/data/noaa-co2")
    expect(row).to_contain_text("reads")
    picture(lead, "tutorial/04-data-attached")


def test_4_the_editor_accepts_and_works(site: Place, windows: Windows) -> None:
    editor = windows["editor"]
    needs = editor.get_by_role("region", name="Needs you")
    expect(needs).to_contain_text("lead invites you to Atmospheric CO2 as editor")
    picture(editor, "tutorial/05-needs-you")
    needs.get_by_role("link", name="See invitation").click()
    editor.get_by_role("button", name="Join project").click()
    expect(editor.get_by_role("heading", level=1)).to_have_text("Atmospheric CO2")
    editor.get_by_role("button", name="Open Atmospheric CO2").click()
    lab.wait_for_lab(editor)
    expect(editor.locator(".jp-FileBrowser-crumbs")).to_contain_text(SLUG)
    lab.upload(editor, TREND)
    lab.open_notebook(editor, "trend.ipynb")
    lab.run_all(editor)
    lab.save(editor)
    saved = site.project(SLUG) / "trend.ipynb"
    site.wait_until(lambda: saved.exists() and "image/png" in saved.read_text(encoding="utf-8"))
    notebook = nbformat.read(saved, as_version=4)  # type: ignore[no-untyped-call]
    assert re.search(r"weeks +2225\.", str(notebook))
    editor.locator(".jp-OutputArea-output img").scroll_into_view_if_needed()
    picture(editor, "tutorial/06-notebook")


def test_5_the_viewer_reads_and_cannot_save(
    site: Place, windows: Windows, browser: Browser, cards: dict[str, str]
) -> None:
    viewer = windows["viewer"] = window(browser, site)
    viewer.goto(cards["link"])
    expect(viewer.get_by_role("heading", level=1)).to_have_text("Atmospheric CO2")
    viewer.get_by_role("link", name="Log in to join").click()
    log_in(viewer, "viewer")
    viewer.get_by_role("button", name="Join project").click()
    viewer.goto("/services/projects/")
    viewer.get_by_role("button", name="Open workspace").click()
    lab.wait_for_lab(viewer)
    before = (site.project(SLUG) / "trend.ipynb").read_bytes()
    for folder in ("projects", SLUG):
        lab.listed(viewer, folder).dblclick()
    lab.open_notebook(viewer, "trend.ipynb")
    lab.run_all(viewer)
    expect(lab.unfold(viewer, "File", "Save Notebook")).to_be_disabled()
    picture(viewer, "tutorial/07-viewer-cannot-save")
    viewer.keyboard.press("Escape")
    forced = {"type": "file", "format": "text", "content": "mine"}
    assert asked_by(viewer, f"/user/viewer/api/contents/{FOLDER}/trend.ipynb", forced) >= 400
    assert (site.project(SLUG) / "trend.ipynb").read_bytes() == before


def test_6_the_outsider_asks_and_the_lead_approves(windows: Windows) -> None:
    outsider, lead = windows["outsider"], windows["lead"]
    outsider.get_by_role("link", name="Find a project").click()
    outsider.get_by_label("Search projects").fill("mauna")
    outsider.get_by_role("link", name="Atmospheric CO2", exact=True).click()
    expect(outsider.locator(".prose")).to_contain_text("a seasonal cycle")
    expect(outsider.get_by_text("Who they are is for members")).to_be_visible()
    expect(outsider.get_by_role("navigation", name="Project", exact=True)).to_have_count(0)
    outsider.get_by_label("A word to its leads").fill("I have flask samples from Samoa.")
    outsider.get_by_role("button", name="Ask to join").click()
    expect(outsider.get_by_role("heading", name="You asked to join")).to_be_visible()
    lead.goto("/services/projects/")
    needs = lead.get_by_role("region", name="Needs you")
    expect(needs).to_contain_text("outsider asks to join Atmospheric CO2")
    picture(lead, "tutorial/08-join-request")
    needs.get_by_role("button", name="Approve as viewer").click()
    expect(needs).to_be_hidden()
    outsider.reload()
    expect(outsider.get_by_role("navigation", name="Project", exact=True)).to_be_visible()


def test_7_removal_ends_the_open_server(site: Place, windows: Windows) -> None:
    lead, editor = windows["lead"], windows["editor"]
    address = f"/user/editor/{SLUG}/api/contents/{FOLDER}/trend.ipynb"
    assert asked_by(editor, address) == 200
    show_project(editor)
    tab(lead, "Members")
    row = lead.get_by_role("row", name=re.compile("^editor"))
    expect(row).to_contain_text("Running")
    row.get_by_role("button", name="Remove editor").click()
    sure(lead, "Remove editor")
    expect(lead.locator("#toasts")).to_contain_text("editor is removed")
    picture(lead, "tutorial/09-removed")
    site.wait_until(lambda: asked_by(editor, address) != 200, 5)
    expect(row).to_have_count(0)
    expect(lead.locator("#leaving .banner")).to_have_count(0)
    editor.goto(f"/services/projects/p/{SLUG}")
    expect(editor.get_by_role("button", name="Open Atmospheric CO2")).to_have_count(0)
    expect(editor.get_by_role("heading", name="Ask to join")).to_be_visible()


def show_project(page: Page) -> None:
    """Take the picture of the project page, in a tab beside JupyterLab."""
    beside = page.context.new_page()
    beside.goto(f"/services/projects/p/{SLUG}")
    expect(beside.get_by_role("region", name="My server")).to_contain_text("Running")
    picture(beside, "project")
    beside.close()


def asked_by(page: Page, address: str, put: dict[str, str] | None = None) -> int:
    """Ask an address from within JupyterLab, as its open tabs do; return the status."""
    ask = """([address, put]) => fetch(address, {
        method: put ? "PUT" : "GET",
        body: put ? JSON.stringify(put) : undefined,
        headers: {"X-XSRFToken": document.cookie.match(/_xsrf=([^;]+)/)[1]},
    }).then(answer => answer.status)"""
    return int(page.evaluate(ask, [address, put]))


def test_7_demotion_ends_it_and_promotion_offers_a_restart(windows: Windows) -> None:
    lead, outsider = windows["lead"], windows["outsider"]
    outsider.goto(f"/services/projects/p/{SLUG}")
    outsider.get_by_role("button", name="Open Atmospheric CO2").click()
    lab.wait_for_lab(outsider)
    tab(lead, "Members")
    lead.get_by_label("Role of outsider").select_option("editor")
    expect(lead.locator("#toasts")).to_contain_text("outsider")
    outsider.goto(f"/services/projects/p/{SLUG}")
    banner = outsider.get_by_role("status").filter(has_text="Restart to apply")
    expect(banner).to_contain_text("read-only")
    banner.get_by_role("button", name="Restart now").click()
    lab.wait_for_lab(outsider)
    tab(lead, "Members")
    lead.get_by_label("Role of outsider").select_option("viewer")
    sure(lead, "Make viewer")
    expect(lead.get_by_role("row", name=re.compile("^outsider"))).to_contain_text("Stopped")
    outsider.goto(f"/services/projects/p/{SLUG}")
    expect(outsider.get_by_role("region", name="My server")).to_contain_text("Stopped")


def test_8_the_project_is_archived_and_restored(windows: Windows) -> None:
    lead, viewer = windows["lead"], windows["viewer"]
    tab(lead, "Settings")
    lead.get_by_role("button", name="Archive project").click()
    expect(lead.locator(".banner")).to_contain_text("Archived.")
    viewer.goto("/services/projects/directory?q=mauna")
    expect(viewer.locator("#found")).to_contain_text("0 projects")
    lead.get_by_role("button", name="Restore project").click()
    expect(lead.locator(".banner")).to_have_count(0)
    viewer.reload()
    expect(viewer.locator("#found")).to_contain_text("1 project ")


def test_8_the_project_is_deleted_and_that_is_undone(site: Place, windows: Windows) -> None:
    lead = windows["lead"]
    tab(lead, "Settings")
    lead.get_by_role("link", name="Delete project").click()
    lead.get_by_label("Type atmospheric-co2").fill("atmospheric")
    lead.get_by_role("button", name="Delete project").click()
    expect(lead.locator("[aria-invalid=true]")).to_be_focused()
    lead.get_by_label("Type atmospheric-co2").fill(SLUG)
    lead.get_by_role("button", name="Delete project").click()
    undo = lead.locator("#toasts").get_by_role("button", name="Undo")
    expect(undo).to_be_visible()
    picture(lead, "tutorial/10-deleted")
    undo.click()
    lead.goto(f"/services/projects/p/{SLUG}")
    expect(lead.locator(".prose")).to_contain_text("a seasonal cycle")
    assert (site.project(SLUG) / "trend.ipynb").exists()
