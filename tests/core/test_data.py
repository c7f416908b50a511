from __future__ import annotations

from collections.abc import Callable

import pytest

from jupyterhub_collab.access.models import Visibility
from jupyterhub_collab.errors import (
    ArchivedError,
    InvalidInputError,
    LoginRequiredError,
    MissingPermissionError,
    NotAllowedHereError,
    NotFoundError,
)
from jupyterhub_collab.factory import Factory
from jupyterhub_collab.settings import DataVolume
from jupyterhub_collab.volumes.models import Mode
from tests.support.databases import snapshot
from tests.support.world import SLUG, World


async def test_a_lead_attaches_and_detaches(world: World) -> None:
    data = world.factory.data
    attached = await data.attach("lead", SLUG, "noaa-co2")
    assert (attached.path, attached.mode, attached.title, attached.attached_by) == (
        "/data/noaa-co2", Mode.READ_ONLY, "NOAA CO₂", "lead",
    )  # fmt: skip
    assert [a.name for a in await data.attached("viewer", SLUG)] == ["noaa-co2"]
    before = await snapshot(world.factory.database)
    await data.attach("lead", SLUG, "noaa-co2")
    assert await snapshot(world.factory.database) == before
    await data.detach("lead", SLUG, "noaa-co2")
    assert await data.attached("viewer", SLUG) == []
    with pytest.raises(NotFoundError):
        await data.detach("lead", SLUG, "noaa-co2")
    assert [e.action for e in await world.events(project=SLUG)][:2] == ["data.detach", "data.attach"]


async def test_what_is_read_only_stays_read_only(world: World) -> None:
    with pytest.raises(NotAllowedHereError) as caught:
        await world.factory.data.attach("lead", SLUG, "noaa-co2", Mode.READ_WRITE)
    assert caught.value.field == "mode"
    assert (await world.factory.data.attach("lead", SLUG, "drop", Mode.READ_WRITE)).mode is Mode.READ_WRITE
    assert (await world.factory.data.attach("lead", SLUG, "drop", Mode.READ_ONLY)).mode is Mode.READ_ONLY


async def test_gated_data_is_attached_by_those_who_may_use_it(world: World) -> None:
    with pytest.raises(NotAllowedHereError):
        await world.factory.data.attach("lead", SLUG, "gated")
    await world.sign_in("lead", "gpu-users")
    assert (await world.factory.data.attach("lead", SLUG, "gated")).path == "/data/gated"


@pytest.mark.parametrize("name", ["none-such", "", "../etc", "noaa-co2/..", "a" * 500])
async def test_data_that_is_not_offered_is_refused(world: World, name: str) -> None:
    with pytest.raises(InvalidInputError) as caught:
        await world.factory.data.attach("lead", SLUG, name)
    assert caught.value.field == "name"


async def test_only_leads_manage_data(world: World) -> None:
    await world.factory.data.attach("lead", SLUG, "noaa-co2")
    for who in ("editor", "viewer", "operator"):
        with pytest.raises(MissingPermissionError):
            await world.factory.data.attach(who, SLUG, "drop")
        with pytest.raises(MissingPermissionError):
            await world.factory.data.detach(who, SLUG, "noaa-co2")
        assert len(await world.factory.data.attached(who, SLUG)) == 1
    await world.change(visibility=Visibility.PUBLIC)
    with pytest.raises(MissingPermissionError):
        await world.factory.data.attached("stranger", SLUG)
    with pytest.raises(LoginRequiredError):
        await world.factory.data.attached(None, SLUG)


async def test_an_archived_project_keeps_its_data(world: World) -> None:
    await world.factory.data.attach("lead", SLUG, "noaa-co2")
    await world.factory.projects.archive("lead", SLUG)
    for attempt in (
        world.factory.data.attach("lead", SLUG, "drop"),
        world.factory.data.detach("lead", SLUG, "noaa-co2"),
    ):
        with pytest.raises(ArchivedError):
            await attempt


async def test_data_that_the_operator_took_away_can_still_be_detached(
    world: World, with_settings: Callable[..., Factory]
) -> None:
    await world.factory.data.attach("lead", SLUG, "noaa-co2")
    later = with_settings(data={})
    assert [(a.name, a.path) for a in await later.data.attached("lead", SLUG)] == [("noaa-co2", "")]
    await later.data.detach("lead", SLUG, "noaa-co2")
    assert await later.data.attached("lead", SLUG) == []


async def test_data_that_the_operator_made_read_only_is_shown_so(
    world: World, with_settings: Callable[..., Factory]
) -> None:
    await world.factory.data.attach("lead", SLUG, "drop", Mode.READ_WRITE)
    later = with_settings(data={"drop": DataVolume(source="/data/drop")})
    assert [a.mode for a in await later.data.attached("lead", SLUG)] == [Mode.READ_ONLY]
