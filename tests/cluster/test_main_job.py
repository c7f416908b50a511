"""A group at work on a real cluster: the walk of the main job, in real pods on real volumes."""

from __future__ import annotations

import pytest

from tests.browser.conftest import browser  # noqa: F401 - the walk's fixtures
from tests.browser.test_main_job import (  # noqa: F401 - collected here too, on another site
    cards,
    test_1_the_lead_makes_a_project,
    test_2_the_lead_invites_by_name_and_by_link,
    test_3_the_lead_attaches_data,
    test_4_the_editor_accepts_and_works,
    test_5_the_viewer_reads_and_cannot_save,
    test_6_the_outsider_asks_and_the_lead_approves,
    test_7_demotion_ends_it_and_promotion_offers_a_restart,
    test_7_removal_ends_the_open_server,
    test_8_the_project_is_archived_and_restored,
    test_8_the_project_is_deleted_and_that_is_undone,
    windows,
)

from .release import Release

pytestmark = pytest.mark.cluster


@pytest.fixture(scope="module")
def site(release: Release) -> Release:
    return release
