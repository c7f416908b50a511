"""JupyterLab as people use it."""

from __future__ import annotations

import re
from pathlib import Path

from playwright.sync_api import Locator, Page, expect


def wait_for_lab(page: Page) -> None:
    """Wait until JupyterLab can be used."""
    page.wait_for_url(re.compile(r"/user/.+/lab"), timeout=60_000)
    expect(page.locator(".jp-DirListing-content")).to_be_visible(timeout=60_000)


def upload(page: Page, file: Path) -> None:
    """Put a file into the folder that the file browser shows."""
    with page.expect_file_chooser() as chooser:
        page.locator(".jp-FileBrowser-toolbar").get_by_title("Upload Files").first.click()
    chooser.value.set_files(file)
    expect(listed(page, file.name)).to_be_visible()


def listed(page: Page, name: str) -> Locator:
    """Return a file in the file browser."""
    return page.locator(".jp-DirListing-item", has_text=name)


def open_notebook(page: Page, name: str) -> None:
    """Open a notebook and wait for its kernel."""
    listed(page, name).dblclick()
    expect(page.locator(".jp-Notebook")).to_be_visible()
    expect(page.locator("#jp-main-statusbar")).to_contain_text("Python 3 (ipykernel) | Idle", timeout=60_000)


def run_all(page: Page) -> None:
    """Run all cells from the menu and wait for the curve."""
    unfold(page, "Run", "Run All Cells").click()
    expect(page.locator(".jp-OutputArea-output img")).to_be_visible(timeout=60_000)
    expect(page.locator(".jp-OutputArea-output", has_text=re.compile(r"R²\s+0\.99"))).to_be_visible()


def unfold(page: Page, name: str, item: str) -> Locator:
    """Open a menu of the menu bar; return one of its items."""
    page.locator(".lm-MenuBar-item", has_text=re.compile(f"^{name}$")).click()
    return page.locator(".lm-Menu-item", has_text=re.compile(f"^{item}")).first


def save(page: Page) -> None:
    """Save what is open."""
    unfold(page, "File", "Save Notebook").click()
