from __future__ import annotations

from pathlib import Path

from playwright.async_api import async_playwright

from tests.support.pages import PAGES, address_of, faults, sample_site, visit

# Light and dark at the two widths where the layout differs most, and the edges of what is promised
VIEWS = ((1280, "light"), (1280, "dark"), (390, "dark"), (320, "light"), (768, "light"), (1920, "light"))


async def test_no_page_has_a_serious_fault_or_is_wider_than_its_window(tmp_path: Path) -> None:
    found: list[str] = []
    async with sample_site(tmp_path) as site, async_playwright() as play:
        browser = await play.chromium.launch(executable_path="/usr/bin/chromium", args=["--no-sandbox"])
        for number, name in enumerate(PAGES):
            who, path = await address_of(site, name)
            # Each page in two views, in turn: every view meets every kind of component
            for width, scheme in (VIEWS[number % len(VIEWS)], VIEWS[(number + 1) % len(VIEWS)]):
                page = await visit(browser, site, who, path, width, scheme)
                found += [f"{name} {width} {scheme}: {fault}" for fault in await faults(page)]
                await page.context.close()
        await browser.close()
    assert found == []


async def test_pages_work_without_scripts(tmp_path: Path) -> None:
    async with sample_site(tmp_path) as site, async_playwright() as play:
        browser = await play.chromium.launch(executable_path="/usr/bin/chromium", args=["--no-sandbox"])
        page = await (await browser.new_context(java_script_enabled=False)).new_page()
        site.hub.browser_user = "outsider"
        await page.goto(f"{site.url}login")
        await page.get_by_role("link", name="New project").click()
        await page.get_by_label("Title").fill("Sea ice")
        await page.get_by_role("button", name="Make project").click()
        assert await page.locator("h1").inner_text() == "Sea ice"
        assert "Sea ice is made." in await page.get_by_role("status").first.inner_text()
        await page.get_by_role("link", name="Members 1").click()
        await page.get_by_label("Invite people").fill("h.watling")
        await page.get_by_role("button", name="Invite").click()
        await page.get_by_role("button", name="Withdraw the invitation of h.watling").click()
        assert "is withdrawn" in await page.locator("#toasts").inner_text()
        await page.get_by_role("button", name="Open Sea ice").click()
        assert await page.title() == "JupyterLab"
        await browser.close()


async def test_keyboard_alone_finds_and_invites(tmp_path: Path) -> None:
    async with sample_site(tmp_path) as site, async_playwright() as play:
        browser = await play.chromium.launch(executable_path="/usr/bin/chromium", args=["--no-sandbox"])
        page = await visit(browser, site, "m.okafor", "p/atmospheric-co2/members", 1280, "light")
        box = page.get_by_role("combobox", name="Invite people")
        await box.focus()
        await page.keyboard.type("h.w")
        await page.get_by_role("option", name="h.watling").wait_for()
        assert await page.locator('[role="option"][aria-disabled="true"]').inner_text() != ""
        await page.keyboard.press("Enter")
        assert await box.input_value() == "h.watling"
        assert await box.get_attribute("aria-expanded") == "false"
        await page.keyboard.press("Enter")
        await page.get_by_text("h.watling is invited as viewer.").wait_for()
        await browser.close()


async def test_a_lower_role_asks_and_can_be_taken_back(tmp_path: Path) -> None:
    async with sample_site(tmp_path) as site, async_playwright() as play:
        browser = await play.chromium.launch(executable_path="/usr/bin/chromium", args=["--no-sandbox"])
        page = await visit(browser, site, "m.okafor", "p/atmospheric-co2/members", 1280, "light")
        select = page.get_by_label("Role of p.novakova")
        await select.select_option("viewer")
        await page.get_by_role("dialog").get_by_role("button", name="Cancel").click()
        assert await select.input_value() == "editor"
        await select.select_option("viewer")
        await page.get_by_role("dialog").get_by_role("button", name="Make viewer").click()
        await page.get_by_text("p.novakova is viewer now.").wait_for()
        await page.get_by_role("button", name="Undo").click()
        await page.get_by_text("p.novakova is editor now.").wait_for()
        assert await page.get_by_label("Role of p.novakova").input_value() == "editor"
        await browser.close()
