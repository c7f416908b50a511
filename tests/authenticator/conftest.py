from __future__ import annotations

import shutil
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from pydantic import SecretStr
from sqlalchemy import create_engine

from jupyterhub_collab.access.models import Role
from jupyterhub_collab.factory import Factory
from jupyterhub_collab.projects.invitation_service import NewLink
from jupyterhub_collab.projects.service import NewProject
from jupyterhub_collab.schema import metadata
from jupyterhub_collab.settings import Database, People, Settings
from tests.authenticator.provider import Provider, serving


@pytest.fixture(scope="session")
def empty_database(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("empty") / "collab.sqlite"
    engine = create_engine(f"sqlite:///{path}")
    metadata.create_all(engine)
    engine.dispose()
    return path


@pytest.fixture
async def factory(tmp_path: Path, empty_database: Path) -> AsyncIterator[Factory]:
    shutil.copy(empty_database, tmp_path / "collab.sqlite")
    url = SecretStr(f"sqlite+aiosqlite:///{tmp_path}/collab.sqlite")
    made = Factory.open(Settings(database=Database(url=url), people=People(group_loss_limit=2)))
    yield made
    await made.close()


@pytest.fixture
async def link(factory: Factory) -> str:
    """The code of an invitation link to a project, valid for one use."""
    await factory.people.sign_in("lead", display_name="Lead", groups=None)
    await factory.projects.create("lead", NewProject(title="Tides"))
    made = await factory.invitations.make_link("lead", "tides", NewLink(role=Role.VIEWER))
    assert made.code
    return made.code


@pytest.fixture
async def provider() -> AsyncIterator[Provider]:
    async with serving() as started:
        yield started
