"""Scratch space and the public area in real sandboxes."""

from __future__ import annotations

import pytest

from jupyterhub_collab.access.models import Role
from tests.spawner.conftest import ACCOUNTS, MakeSite
from tests.spawner.support.running import Site

WRITE = """
import os
for path in ("~/scratch/mine", "~/public/from-me", "~/projects/stray"):
    try:
        print(open(os.path.expanduser(path), "w").write("x"))
    except OSError as error:
        print(error.strerror)
print(sorted(os.listdir(os.path.expanduser("~/public"))))
"""
REFUSED = "Read-only file system"


@pytest.fixture(scope="module", params=ACCOUNTS)
def site(request: pytest.FixtureRequest, make_site: MakeSite) -> Site:
    made = make_site(request.param)
    settings = made.settings_file.read_text(encoding="utf-8")
    places = '[storage]\nscratch_days = 30\npublic = true\npublic_editors = ["co2"]\n'
    made.settings_file.write_text(settings.replace("[storage]\n", places), encoding="utf-8")
    made.start_hub()
    return made


def test_everyone_has_scratch_space_and_editors_write_for_everyone(site: Site) -> None:
    for person in ("ben", "eve"):
        assert site.start(person).status_code == 201
    assert site.run("ben", "", WRITE).splitlines() == ["1", "1", REFUSED, "['from-me']"]
    assert site.run("eve", "", WRITE).splitlines() == ["1", REFUSED, REFUSED, "['from-me']"]
    for person in ("ben", "eve"):
        assert (site.storage / f"scratch-{person}" / "mine").read_text(encoding="utf-8") == "x"
    site.member("ben", Role.VIEWER)
    site.wait_until(lambda: site.running("ben") == {})
    assert site.start("ben").status_code == 201
    assert site.run("ben", "", WRITE).splitlines() == ["1", REFUSED, REFUSED, "['from-me']"]
