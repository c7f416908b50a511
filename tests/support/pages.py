"""Show the pages with sample data, or take their pictures: ``python -m tests.support.pages [folder] [page…]``."""

from __future__ import annotations

import asyncio
import sys
import tempfile
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Final
from urllib.parse import quote

from playwright.async_api import Browser, Page, async_playwright
from pydantic import SecretStr

from jupyterhub_collab.database import Database
from jupyterhub_collab.factory import Factory
from jupyterhub_collab.migrations import upgrade
from jupyterhub_collab.names import scratch_volume
from jupyterhub_collab.settings import Database as DatabaseSettings
from jupyterhub_collab.settings import Settings
from jupyterhub_collab.volumes.models import ScratchUse

from .hub import PREFIX, FakeServer, Site, running_site
from .sample import ME, NOW, Sample, catalogue
from .world import Clock

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

AXE_SOURCE: Final = (Path(__file__).parents[2] / "node_modules" / "axe-core" / "axe.min.js").read_text(encoding="utf-8")
VIEWS: Final = {"": (1280, "light"), "-dark": (1280, "dark"), "-phone": (390, "light"), "-phone-dark": (390, "dark")}
PAGES: Final = {
    "projects": (ME, ""),
    "projects-empty": ("outsider", ""),
    "projects-archived": (ME, "?archived=1"),
    "directory": (ME, "directory?q=flask"),
    "directory-visitor": ("", "directory"),
    "new": (ME, "new"),
    "project": (ME, "p/atmospheric-co2"),
    "project-viewer": ("d.watteau", "p/atmospheric-co2"),
    "project-stranger": ("outsider", "p/atmospheric-co2"),
    "project-visitor": ("", "p/growth-rate"),
    "project-operator": ("operator", "p/atmospheric-co2"),
    "project-archived": (ME, "p/old-course"),
    "readme": (ME, "p/atmospheric-co2/readme"),
    "members": (ME, "p/atmospheric-co2/members"),
    "members-viewer": ("d.watteau", "p/atmospheric-co2/members"),
    "data": (ME, "p/atmospheric-co2/data"),
    "activity": (ME, "p/atmospheric-co2/activity"),
    "settings": (ME, "p/atmospheric-co2/settings"),
    "settings-operator": ("operator", "p/atmospheric-co2/settings"),
    "delete": (ME, "p/atmospheric-co2/settings/delete"),
    "letter": (ME, "invitations/{invitation}"),
    "starting": (ME, "p/tall-tower/starting"),
    "open": (ME, "p/qc/open"),
    "code": (ME, "join"),
    "not-found": (ME, "p/none-such"),
    "forbidden": ("d.watteau", "p/atmospheric-co2/settings"),
    "operator": ("operator", "operator"),
    "operator-persons": ("operator", "operator/persons"),
    "operator-deleted": ("operator", "operator/deleted"),
    "operator-machine": ("operator", "operator/machine"),
    "operator-audit": ("operator", "operator/audit"),
}


@asynccontextmanager
async def sample_site(folder: Path) -> AsyncIterator[Site]:
    """Run the service on the sample data, at the time of the pictures."""
    url = f"sqlite+aiosqlite:///{folder / 'sample.sqlite'}"
    settings = Settings(database=DatabaseSettings(url=SecretStr(url)), **catalogue())
    database, clock = Database(url), Clock(NOW)
    await upgrade(database)
    factory = Factory(settings, database, clock)
    await Sample(factory, clock).fill()
    async with running_site(factory, clock=clock) as site:
        await factory.servers.grant(ME, "tall-tower", running=frozenset())
        use = ScratchUse(size=62_000_000_000, going=4_100_000_000, goes_from=NOW + timedelta(days=3))
        await factory.scratch.seen(scratch_volume(ME), use)
        for name, ready in (("atmospheric-co2", True), ("ocean-sinks", True), ("tall-tower", False)):
            site.hub.servers[ME, name] = FakeServer(
                started=NOW - timedelta(hours=2), ready=ready, pending=None if ready else "spawn"
            )
        yield site
    await factory.close()


async def visit(browser: Browser, site: Site, who: str, path: str, width: int, scheme: str) -> Page:
    """Open a page as someone, logged in the way people are."""
    context = await browser.new_context(
        viewport={"width": width, "height": 800}, color_scheme="dark" if scheme == "dark" else "light"
    )
    page = await context.new_page()
    await page.clock.set_fixed_time(NOW)
    site.hub.browser_user = who
    address = f"login?next={quote(PREFIX + path)}" if who else path
    await page.goto(site.url + address, wait_until="load")
    return page


async def faults(page: Page) -> list[str]:
    """Return what axe-core calls serious or critical, and whether the page is wider than its window."""
    await page.evaluate(AXE_SOURCE)
    found = await page.evaluate("axe.run().then(r => r.violations)")
    wrong = [
        f"{v['impact']} {v['id']}: " + "; ".join(str(n["target"][0]) for n in v["nodes"][:4])
        for v in found
        if v["impact"] in ("serious", "critical")
    ]
    if await page.evaluate("document.documentElement.scrollWidth > innerWidth"):
        wrong.append("wider than its window")
    return wrong


async def pictures(target: Path, names: list[str]) -> int:
    """Take pictures of pages in four views; return how many serious faults they have."""
    serious = 0
    with tempfile.TemporaryDirectory() as folder:
        async with sample_site(Path(folder)) as site, async_playwright() as play:
            browser = await play.chromium.launch(executable_path="/usr/bin/chromium", args=["--no-sandbox"])
            for name in names or list(PAGES):
                serious += await _pictures_of(browser, site, name, target)
            await browser.close()
    return serious


async def address_of(site: Site, name: str) -> tuple[str, str]:
    """Return who looks at a page, and its path."""
    who, path = PAGES[name]
    if "{invitation}" in path and site.hub.core:
        path = path.format(invitation=(await site.hub.core.invitations.mine(ME))[0].id)
    return who, path


async def _pictures_of(browser: Browser, site: Site, name: str, target: Path) -> int:
    who, path = await address_of(site, name)
    found = 0
    for suffix, (width, scheme) in VIEWS.items():
        page = await visit(browser, site, who, path, width, scheme)
        wrong = await faults(page)
        for line in wrong:
            sys.stdout.write(f"{name}{suffix}: {line}\n")
        found += len(wrong)
        await page.screenshot(path=target / f"{name}{suffix}.png", full_page=True)
        await page.context.close()
    return found


if __name__ == "__main__":
    folder = Path(sys.argv[1] if len(sys.argv) > 1 else "test-results/pages")
    folder.mkdir(parents=True, exist_ok=True)
    raise SystemExit(1 if asyncio.run(pictures(folder, sys.argv[2:])) else 0)
