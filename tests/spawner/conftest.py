from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.spawner.support.running import ORDINARY, Site

MakeSite = Callable[..., Site]
# Whoever is root tries both; everyone else has but their own account
ACCOUNTS = [pytest.param(0, id="root"), pytest.param(ORDINARY, id="account")] if os.geteuid() == 0 else [os.geteuid()]


@pytest.fixture(scope="module")
def make_site() -> Iterator[MakeSite]:
    """Make sites that end with the module."""
    made: list[Site] = []

    def make(uid: int = os.geteuid(), more: str = "") -> Site:
        folder = Path(tempfile.mkdtemp(prefix="collab-")).resolve()
        folder.chmod(0o755)
        made.append(Site(folder, uid, more))
        return made[-1]

    yield make
    for site in made:
        site.clean()
        shutil.rmtree(site.state)
        shutil.rmtree(site.runtime, ignore_errors=True)


@pytest.fixture(scope="module")
def own_site(make_site: MakeSite) -> Site:
    """A running Hub of the account that runs the tests, where the account makes no difference."""
    made = make_site()
    made.start_hub()
    return made


@pytest.fixture(scope="module", params=ACCOUNTS)
def site(request: pytest.FixtureRequest, make_site: MakeSite) -> Site:
    """A running Hub, once as root and once as an ordinary account."""
    made = make_site(request.param)
    made.start_hub()
    return made
