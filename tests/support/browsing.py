"""People in browsers: Chromium, a window for each, and pictures of what they see."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

from PIL import Image
from playwright.sync_api import Browser, Page, expect, sync_playwright

from tests.support.demo import PASSWORD, Place

PICTURES: Final = "MANUAL_PICTURES"
"""Names the folder into which the main job puts the pictures of the manual; without it none are kept."""
_NAMES: Final = ("chromium", "chromium-browser", "google-chrome")
_COLOURS: Final = 192
_PATIENCE: Final = 20_000


@contextmanager
def chromium() -> Iterator[Browser]:
    """Lend a browser."""
    program = next(filter(None, map(shutil.which, _NAMES)), None)
    assert program is not None, "Chromium is missing. Install the package chromium."
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program, args=["--no-sandbox"])
        yield browser
        browser.close()


def window(browser: Browser, site: Place, **options: Any) -> Page:
    """Open a private window."""
    settings = {"viewport": {"width": 1280, "height": 800}, "reduced_motion": "reduce"} | options
    context = browser.new_context(base_url=site.address, **settings)
    context.set_default_timeout(_PATIENCE)
    page = context.new_page()
    page.goto("/")
    return page


def log_in(page: Page, name: str) -> None:
    """Fill in the login form that the page shows."""
    page.get_by_label("Username").fill(name)
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Sign in").click()
    expect(page.locator("#username_input")).to_have_count(0)


def logged_in(browser: Browser, site: Place, name: str, **options: Any) -> Page:
    """Open a private window of someone who is logged in."""
    page = window(browser, site, **options)
    log_in(page, name)
    return page


def picture(page: Page, name: str) -> None:
    """Keep a picture of the window for the manual, where one is wanted."""
    folder = os.environ.get(PICTURES)
    if folder:
        path = Path(folder) / f"{name}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        page.screenshot(path=path, animations="disabled", caret="hide")
        with Image.open(path) as image:
            image.convert("RGB").quantize(_COLOURS, dither=Image.Dither.NONE).save(path, optimize=True)
