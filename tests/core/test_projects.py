from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

import pytest
from pydantic import ValidationError

from jupyterhub_collab.access.models import Role, Visibility
from jupyterhub_collab.errors import (
    ArchivedError,
    ChangedMeanwhileError,
    ConflictError,
    ForbiddenError,
    InvalidInputError,
    InvalidSlugError,
    LoginRequiredError,
    MissingPermissionError,
    NotAllowedHereError,
    NotFoundError,
    NoUndoError,
    SiteRightError,
    SlugTakenError,
    SmallerVolumeError,
)
from jupyterhub_collab.factory import Factory
from jupyterhub_collab.people.models import Kind
from jupyterhub_collab.projects.models import ProjectState
from jupyterhub_collab.projects.service import DirectorySearch, NewProject, ProjectChanges
from jupyterhub_collab.settings import Creators, Limits, Rights
from tests.support.databases import scalar, snapshot
from tests.support.world import SLUG, World

# Making ---------------------------------------------------------------------------------------------------


async def test_its_maker_leads_a_new_project_and_has_it_pinned(world: World) -> None:
    made = await world.factory.projects.create("stranger", NewProject(title="  Sea level  "))
    assert (made.slug, made.title, made.my_role) == ("sea-level", "Sea level", Role.LEAD)
    assert (made.environment, made.resource_class) == ("default", "small")
    assert await world.roles("sea-level") == {"stranger": Role.LEAD}
    assert await world.factory.projects.pins("stranger") == {"sea-level"}
    event = await world.last_event()
    assert (event.actor, event.action, event.target) == ("stranger", "project.create", "sea-level")


@pytest.mark.parametrize(
    "slug", ["--", "a", "lab", "..%2f", "../x", "🌊", "Sea", "sea--level", "1sea", "sea-", "a" * 31]
)
async def test_a_slug_that_is_no_server_name_makes_nothing(world: World, slug: str) -> None:
    before = await snapshot(world.factory.database)
    with pytest.raises(InvalidSlugError) as caught:
        await world.create(slug)
    assert caught.value.field == "slug"
    assert await snapshot(world.factory.database) == before


async def test_a_taken_slug_makes_nothing(world: World) -> None:
    before = await snapshot(world.factory.database)
    with pytest.raises(SlugTakenError):
        await world.create(SLUG, who="stranger")
    assert await snapshot(world.factory.database) == before


async def test_a_visitor_makes_no_project(world: World) -> None:
    with pytest.raises(LoginRequiredError):
        await world.factory.projects.create(None, NewProject(title="Mine"))


async def test_a_throw_away_account_makes_no_project(world: World) -> None:
    await world.sign_in("visitor-1", kind=Kind.EXPLORE)
    with pytest.raises(SiteRightError):
        await world.create("mine", who="visitor-1")


async def test_an_operator_may_keep_making_projects_to_some(
    world: World, with_settings: Callable[..., Factory]
) -> None:
    creators = Creators(everyone=False, groups=frozenset({"staff"}))
    limited = with_settings(rights=Rights(create_projects=creators))
    with pytest.raises(SiteRightError):
        await limited.projects.create("stranger", NewProject(title="Mine"))
    await world.sign_in("stranger", "staff")
    assert (await limited.projects.create("stranger", NewProject(title="Mine"))).slug == "mine"


async def test_one_person_makes_only_so_many(world: World, with_settings: Callable[..., Factory]) -> None:
    limited = with_settings(limits=Limits(projects_per_person=2))
    await limited.projects.create("lead", NewProject(title="Second"))
    with pytest.raises(ConflictError):
        await limited.projects.create("lead", NewProject(title="Third"))
    await limited.projects.delete("lead", "second")
    assert (await limited.projects.create("lead", NewProject(title="Third"))).slug == "third"


@pytest.mark.parametrize("title", ["", "   ", "x" * 121, "x" * 5000, "two\nlines", "nul\0", "\ud800"])
def test_a_title_that_is_no_line_of_text_is_refused(title: str) -> None:
    with pytest.raises(ValidationError) as caught:
        NewProject(title=title)
    assert caught.value.errors()[0]["loc"] == ("title",)


async def test_a_readme_has_a_size(world: World, with_settings: Callable[..., Factory]) -> None:
    limited = with_settings(limits=Limits(readme_bytes=1000))
    await limited.projects.change("lead", SLUG, ProjectChanges(readme="é" * 500), etag=None)
    with pytest.raises(InvalidInputError) as caught:
        await limited.projects.change("lead", SLUG, ProjectChanges(readme="é" * 501), etag=None)
    assert caught.value.field == "readme"
    with pytest.raises(InvalidInputError):
        await limited.projects.create("lead", NewProject(title="Other", readme="x" * 1001))


# Changing -------------------------------------------------------------------------------------------------


async def test_a_change_has_a_new_version_and_an_event(world: World) -> None:
    before = (await world.factory.projects.get("lead", SLUG)).project
    after = await world.change(title="CO₂", visibility=Visibility.INTERNAL)
    assert (after.title, after.visibility, after.version) == ("CO₂", Visibility.INTERNAL, before.version + 1)
    assert (await world.factory.projects.get("viewer", SLUG)).project.title == "CO₂"
    assert (await world.last_event()).detail["fields"] == ["title", "visibility"]


async def test_a_change_that_changes_nothing_writes_nothing(world: World) -> None:
    await world.change(title="CO₂")
    before = await snapshot(world.factory.database)
    await world.change(title="CO₂")
    assert await snapshot(world.factory.database) == before


async def test_two_leads_who_save_at_once_lose_nothing(world: World) -> None:
    seen = (await world.factory.projects.get("lead", SLUG)).project
    saved = await world.factory.projects.change("lead", SLUG, ProjectChanges(title="Mine"), etag=seen.etag)
    with pytest.raises(ChangedMeanwhileError) as caught:
        await world.factory.projects.change("lead", SLUG, ProjectChanges(title="Yours"), etag=seen.etag)
    assert caught.value.extra["current"] == saved.etag
    assert (await world.factory.projects.get("lead", SLUG)).project.title == "Mine"
    again = await world.factory.projects.change("lead", SLUG, ProjectChanges(title="Yours"), etag=saved.etag)
    assert again.title == "Yours"


async def test_an_editor_changes_the_readme_and_nothing_else(world: World) -> None:
    assert (await world.change(who="editor", readme="# Data")).readme == "# Data"
    with pytest.raises(MissingPermissionError):
        await world.change(who="editor", readme="# More", title="Mine")
    with pytest.raises(MissingPermissionError):
        await world.change(who="viewer", readme="# Mine")


async def test_an_environment_and_a_size_must_be_open_to_whoever_chooses(world: World) -> None:
    with pytest.raises(InvalidInputError) as unknown:
        await world.change(environment="none-such")
    with pytest.raises(NotAllowedHereError) as gated:
        await world.change(environment="gpu")
    assert (unknown.value.field, gated.value.field) == ("environment", "environment")
    await world.sign_in("lead", "gpu-users")
    assert (await world.change(environment="gpu", resource_class="large")).environment == "gpu"
    await world.create("other")
    with pytest.raises(NotAllowedHereError):
        await world.change("other", resource_class="large")


GIB = 1024**3


async def test_an_operator_gives_a_project_more_room(world: World) -> None:
    before = (await world.factory.projects.get("lead", SLUG)).project
    assert (before.volume_size, await world.factory.projects.volume_sizes()) == (None, {})
    after = await world.change(who="operator", volume_size=20 * GIB)
    assert (after.volume_size, after.version) == (20 * GIB, before.version + 1)
    assert await world.factory.projects.volume_sizes() == {SLUG: 20 * GIB}
    event = await world.last_event()
    assert (event.actor, event.action, event.detail) == (
        "operator", "project.change", {"fields": ["volume_size"], "volume_size": str(20 * GIB)},
    )  # fmt: skip
    assert [m.size for m in (await world.factory.servers.grant("lead", SLUG)).plan.mounts] == [None, 20 * GIB]
    await world.factory.projects.delete("lead", SLUG)
    assert await world.factory.projects.volume_sizes() == {}


@pytest.mark.parametrize("who", ["lead", "editor", "viewer"])
async def test_nobody_else_gives_room(world: World, who: str) -> None:
    before = await snapshot(world.factory.database)
    with pytest.raises(ForbiddenError) as caught:
        await world.change(who=who, volume_size=20 * GIB)
    if who == "lead":
        assert "right “operator”" in caught.value.detail
    assert await snapshot(world.factory.database) == before


async def test_a_volume_only_grows(world: World) -> None:
    with pytest.raises(SmallerVolumeError, match="This one has 10 GiB"):
        await world.change(who="operator", volume_size=9 * GIB)
    await world.change(who="operator", volume_size=12.5 * GIB)
    with pytest.raises(SmallerVolumeError, match=r"This one has 12\.5 GiB") as caught:
        await world.change(who="operator", volume_size=12 * GIB)
    assert caught.value.field == "volume_size"


# Archive, delete, restore, purge --------------------------------------------------------------------------


async def test_an_archived_project_is_only_read(world: World) -> None:
    await world.change(visibility=Visibility.PUBLIC)
    assert (await world.factory.projects.archive("lead", SLUG)).state is ProjectState.ARCHIVED
    for refused in ({"title": "New"}, {"readme": "New"}):
        with pytest.raises(ArchivedError):
            await world.change(**refused)
    assert (await world.factory.projects.get("viewer", SLUG)).project.state is ProjectState.ARCHIVED
    for outsider in ("stranger", None):
        with pytest.raises(NotFoundError):
            await world.factory.projects.get(outsider, SLUG)
    assert [p.slug for p in await world.factory.projects.mine("viewer", archived=True)] == [SLUG]
    assert await world.factory.projects.mine("viewer") == []


async def test_archiving_twice_is_archiving_once(world: World) -> None:
    await world.factory.projects.archive("lead", SLUG)
    before = await snapshot(world.factory.database)
    await world.factory.projects.archive("lead", SLUG)
    assert await snapshot(world.factory.database) == before


async def test_restoring_brings_an_archived_project_back(world: World) -> None:
    await world.factory.projects.archive("lead", SLUG)
    for refused in ("editor", "viewer"):
        with pytest.raises(MissingPermissionError):
            await world.factory.projects.restore(refused, SLUG)
    assert (await world.factory.projects.restore("operator", SLUG)).state is ProjectState.ACTIVE
    with pytest.raises(NoUndoError):
        await world.factory.projects.restore("lead", SLUG)


async def test_a_deleted_project_is_gone_for_all_but_its_leads_and_operators(world: World) -> None:
    until = await world.factory.projects.delete("lead", SLUG)
    assert until == world.clock() + timedelta(days=30)
    for person in ("editor", "viewer", "stranger", None):
        with pytest.raises(NotFoundError):
            await world.factory.projects.get(person, SLUG)
    assert await world.factory.projects.mine("lead") == []
    for person in ("lead", "operator"):
        assert (await world.factory.projects.get(person, SLUG)).project.deleted_at == world.clock()
        with pytest.raises(NotFoundError):
            await world.change(who=person, title="New")
        with pytest.raises(NotFoundError):
            await world.factory.members.page(person, SLUG)


async def test_undo_brings_everything_back_as_it_was(world: World) -> None:
    await world.factory.projects.archive("lead", SLUG)
    await world.factory.projects.delete("lead", SLUG)
    world.clock.move(days=29, hours=23)
    restored = await world.factory.projects.restore("lead", SLUG)
    assert (restored.state, restored.deleted_at) == (ProjectState.ARCHIVED, None)
    assert await world.roles() == {"lead": Role.LEAD, "editor": Role.EDITOR, "viewer": Role.VIEWER}


async def test_after_the_days_of_grace_there_is_no_undo(world: World) -> None:
    await world.factory.projects.delete("lead", SLUG)
    world.clock.move(days=30)
    with pytest.raises(NoUndoError):
        await world.factory.projects.restore("lead", SLUG)


async def test_purging_waits_for_the_days_of_grace(world: World) -> None:
    projects = world.factory.projects
    await projects.purge(SLUG)
    await projects.delete("lead", SLUG)
    world.clock.move(days=29, hours=23)
    assert await projects.due_for_purge() == []
    await projects.purge(SLUG)
    assert (await projects.get("lead", SLUG)).project.deleted_at is not None


async def test_purging_leaves_only_the_slug_and_the_history(world: World) -> None:
    await world.link()
    await world.factory.members.put("lead", SLUG, "stranger", Role.EDITOR)
    await world.factory.data.attach("lead", SLUG, "noaa-co2")
    await world.factory.servers.grant("lead", SLUG)
    await world.factory.servers.stop_members("lead", SLUG)
    await world.factory.projects.delete("lead", SLUG)
    world.clock.move(days=30)
    assert await world.factory.projects.due_for_purge() == [SLUG]
    await world.factory.projects.purge(SLUG)
    rows = await snapshot(world.factory.database)
    assert {table for table, found in rows.items() if SLUG in repr(found)} <= {
        "slugs",
        "audit_events",
        "granted_plans",
        "granted_mounts",
    }
    assert (await world.last_event()).action == "project.purge"
    with pytest.raises(SlugTakenError):
        await world.create(SLUG)


# Directory ------------------------------------------------------------------------------------------------


async def found(world: World, who: str | None, **search: object) -> list[str]:
    page = await world.factory.projects.directory(who, DirectorySearch.model_validate(search))
    return sorted(project.slug for project in page.items)


@pytest.fixture
async def catalogue(world: World) -> World:
    """One project of each visibility besides ``co2``, none of them the stranger's."""
    await world.create("hidden", title="Hidden ice")
    await world.create("inside", visibility=Visibility.INTERNAL, title="Inner ice")
    await world.create("open", visibility=Visibility.PUBLIC, title="Open sea")
    return world


async def test_everyone_finds_what_its_visibility_says(catalogue: World) -> None:
    await catalogue.sign_in("visitor-1", kind=Kind.EXPLORE)
    await catalogue.sign_in("pupil-1", kind=Kind.WORKSHOP)
    assert await found(catalogue, "lead") == ["co2", "hidden", "inside", "open"]
    assert await found(catalogue, "stranger") == ["inside", "open"]
    for visitor in (None, "visitor-1", "pupil-1"):
        assert await found(catalogue, visitor) == ["open"]
    assert await found(catalogue, "viewer", mine=True) == ["co2"]
    assert await found(catalogue, "viewer", mine=False) == ["inside", "open"]
    assert await found(catalogue, "stranger", visibility="internal") == ["inside"]


async def test_the_directory_searches_beginnings_of_words(catalogue: World) -> None:
    await catalogue.change("open", readme="Where **Grönland** melts: 100% ice_core")
    assert await found(catalogue, "stranger", q="ice") == ["inside", "open"]
    assert await found(catalogue, "stranger", q="GRON") == ["open"]
    assert await found(catalogue, "stranger", q="open melt") == ["open"]
    assert await found(catalogue, "stranger", q="open inner") == []
    for wildcard in ("%", "_", "i%e", "i_e", "\\"):
        assert await found(catalogue, "stranger", q=f"x{wildcard}x") == []
    await catalogue.change("open", readme="")
    assert await found(catalogue, "stranger", q="gron") == []


async def test_archived_and_deleted_projects_leave_the_directory(catalogue: World) -> None:
    await catalogue.factory.projects.archive("lead", "open")
    await catalogue.factory.projects.delete("lead", "inside")
    assert await found(catalogue, "lead") == ["co2", "hidden"]
    assert await found(catalogue, "stranger") == []


@pytest.mark.parametrize("sort", ["active", "title"])
async def test_pages_of_the_directory_hold_each_project_once(world: World, sort: str) -> None:
    slugs = [f"p{number:02}" for number in range(45)]
    for number, slug in enumerate(slugs):
        world.clock.move(minutes=number % 3)
        await world.create(slug, visibility=Visibility.INTERNAL, title=f"Title {number % 7}")
    seen: list[str] = []
    cursor = None
    while True:
        page = await world.factory.projects.directory("stranger", DirectorySearch(sort=sort, cursor=cursor))
        seen += [project.slug for project in page.items]
        cursor = page.next
        if cursor is None:
            break
    assert sorted(seen) == slugs
    assert len(seen) == len(set(seen))
    assert await world.factory.projects.count_directory("stranger", DirectorySearch()) == 45


async def test_counting_stops_where_a_page_stops_to_care(world: World) -> None:
    assert await world.factory.projects.count_directory("lead", DirectorySearch()) == 1
    assert await world.factory.projects.count_directory(None, DirectorySearch()) == 0


async def test_recent_means_the_last_month(world: World) -> None:
    world.clock.move(days=31)
    await world.create("fresh")
    assert await found(world, "lead", recent=True) == ["fresh"]


async def test_the_operator_sees_all_and_no_one_else_does(catalogue: World) -> None:
    await catalogue.factory.projects.delete("lead", "hidden")
    page = await catalogue.factory.projects.all("operator")
    assert [project.slug for project in page.items] == ["co2", "inside", "open"]
    gone = await catalogue.factory.projects.all("operator", deleted=True)
    assert [project.slug for project in gone.items] == ["hidden"]
    with pytest.raises(SiteRightError):
        await catalogue.factory.projects.all("lead")


# Pins -----------------------------------------------------------------------------------------------------


async def test_members_pin_and_unpin(world: World) -> None:
    projects = world.factory.projects
    await projects.set_pin("viewer", SLUG, pinned=False)
    assert await projects.pins("viewer") == frozenset()
    before = await snapshot(world.factory.database)
    await projects.set_pin("viewer", SLUG, pinned=False)
    assert await snapshot(world.factory.database) == before
    await projects.set_pin("viewer", SLUG, pinned=True)
    assert await projects.pins("viewer") == {SLUG}
    for outsider, error in (("stranger", NotFoundError), ("operator", MissingPermissionError), (None, NotFoundError)):
        with pytest.raises(error):
            await projects.set_pin(outsider, SLUG, pinned=True)


async def test_a_measured_size_is_no_new_version(world: World) -> None:
    before = (await world.factory.projects.get("lead", SLUG)).project
    await world.factory.projects.measured(SLUG, 12_345)
    after = (await world.factory.projects.get("lead", SLUG)).project
    assert (after.size, after.etag) == (12_345, before.etag)
    assert (
        await scalar(world.factory.database, "SELECT count(*) FROM audit_events WHERE action = 'project.change'") == 0
    )
