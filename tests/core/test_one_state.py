"""A page's reads see one moment, and who may do what is asked once for it."""

from __future__ import annotations

import pytest
from sqlalchemy import event

from jupyterhub_collab.errors import NotFoundError
from jupyterhub_collab.factory import Factory
from jupyterhub_collab.projects.service import ProjectChanges
from tests.support.world import SLUG, World


@pytest.fixture
async def statements(world: World) -> list[str]:
    """What the database is asked."""
    asked: list[str] = []
    engine = world.factory.database.engine.sync_engine
    event.listen(engine, "before_cursor_execute", lambda _c, _u, statement, *_: asked.append(statement))
    return asked


async def test_reads_in_a_block_see_one_state(world: World) -> None:
    projects = world.factory.projects
    async with world.factory.database.one_state():
        before = (await projects.get("lead", SLUG)).project.title
        await projects.change("lead", SLUG, ProjectChanges(title="Renamed"), etag=None)
        assert (await projects.mine("lead"))[0].title == before
    assert (await projects.get("lead", SLUG)).project.title == "Renamed"


async def test_roles_are_asked_for_once_in_a_block(world: World, statements: list[str]) -> None:
    async with world.factory.database.one_state():
        await world.factory.members.count("viewer", SLUG)
        first = len(statements)
        await world.factory.projects.get("viewer", SLUG)
        assert len(statements) == first
        await world.factory.projects.get("editor", SLUG)
        assert len(statements) > first


async def test_outside_of_a_block_nothing_is_kept(world: World, statements: list[str]) -> None:
    await world.factory.projects.get("viewer", SLUG)
    first = len(statements)
    await world.factory.projects.get("viewer", SLUG)
    assert len(statements) == 2 * first


async def test_a_removal_in_a_block_holds_for_the_next(world: World) -> None:
    async with world.factory.database.one_state():
        await world.factory.projects.get("viewer", SLUG)
        await world.factory.members.remove("lead", SLUG, "viewer")
    async with world.factory.database.one_state():
        with pytest.raises(NotFoundError):
            await world.factory.projects.get("viewer", SLUG)


async def test_a_block_in_a_block_is_the_same_block(world: World, statements: list[str]) -> None:
    async with world.factory.database.one_state():
        await world.factory.projects.get("viewer", SLUG)
        first = len(statements)
        async with world.factory.database.one_state():
            await world.factory.projects.get("viewer", SLUG)
        await world.factory.projects.get("viewer", SLUG)
    assert len(statements) == first


async def test_a_block_is_of_its_own_database_only(world: World, statements: list[str]) -> None:
    other = Factory.open(world.factory.settings)
    async with other.database.one_state():
        await other.projects.get("viewer", SLUG)
        assert statements == []
        await world.factory.projects.get("viewer", SLUG)
        assert statements != []
    await other.close()
