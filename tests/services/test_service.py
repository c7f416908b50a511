"""The service as JupyterHub starts it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from jupyterhub.services.auth import HubOAuth

from jupyterhub_collab_services.projects.application import ProjectsService


@pytest.fixture
def service(monkeypatch: pytest.MonkeyPatch) -> Iterator[ProjectsService]:
    monkeypatch.setenv("JUPYTERHUB_API_TOKEN", "s" * 32)
    monkeypatch.setenv("JUPYTERHUB_SERVICE_PREFIX", "/services/projects/")
    monkeypatch.setenv("JUPYTERHUB_CLIENT_ID", "service-projects")
    HubOAuth.clear_instance()
    yield ProjectsService()
    HubOAuth.clear_instance()


def test_the_hubs_word_on_a_token_is_not_kept(service: ProjectsService) -> None:
    assert service.hub_auth().cache_max_age == 1
    assert service.hub_auth().cache.max_age == 1
