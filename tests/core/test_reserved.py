"""The list of reserved slugs, against the routes of the installed packages and our own."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import pytest
from jupyter_server.serverapp import ServerApp
from tornado.web import Application

from jupyterhub_collab.reserved import RESERVED_SLUGS
from jupyterhub_collab_services.projects.api import api
from jupyterhub_collab_services.projects.pages import pages

# An address begins with a word, or with a group of alternatives such as (?P<mode>lab|doc)
_FIRST = re.compile(r"\^?/*(?:\((?:\?P<\w+>|\?:)?([^()]*)\)|([\w-]+))")
_SLUG = re.compile(r"[a-z][a-z0-9-]{0,28}[a-z0-9]\Z")


def first_segments(patterns: list[str]) -> set[str]:
    """Return the first path segments of address patterns, as far as a slug could look like them."""
    found: set[str] = set()
    for pattern in patterns:
        if match := _FIRST.match(pattern):
            found |= set((match[1] or match[2]).split("|"))
    return {word for word in found if _SLUG.match(word)}


def patterns_of(router: Any) -> Iterator[str]:
    for rule in router.rules:
        if hasattr(rule.matcher, "regex"):
            yield rule.matcher.regex.pattern
        if hasattr(rule.target, "rules"):
            yield from patterns_of(rule.target)


@pytest.fixture
def server_patterns(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    """The addresses of a Jupyter server with every extension that is installed here; it is never started."""
    home = tmp_path_factory.mktemp("home")
    for name in ("HOME", "JUPYTER_CONFIG_DIR", "JUPYTER_DATA_DIR", "JUPYTER_RUNTIME_DIR", "IPYTHONDIR"):
        monkeypatch.setenv(name, str(home))
    app = ServerApp()
    app.initialize(["--ServerApp.port=0", "--allow-root"], new_httpserver=False)
    yield list(patterns_of(app.web_app.default_router))
    ServerApp.clear_instance()


@pytest.mark.filterwarnings("ignore")
def test_no_route_of_a_server_can_be_a_slug(server_patterns: list[str]) -> None:
    found = first_segments(server_patterns)
    assert {"api", "doc", "files", "lab", "lsp", "nbconvert", "static", "terminals", "view"} <= found
    assert found - RESERVED_SLUGS == set()


def test_no_route_of_ours_can_be_a_slug() -> None:
    found = first_segments([route.path for route in api.table])
    found |= first_segments(list(patterns_of(Application(pages("/")).default_router)))
    assert {"catalogue", "directory", "join", "me", "operator", "people", "projects"} <= found
    assert found - RESERVED_SLUGS == set()


def test_every_reserved_word_could_be_a_slug() -> None:
    """A word that the rules refuse anyway would only make the list longer."""
    assert {word for word in RESERVED_SLUGS if not _SLUG.match(word)} == set()
