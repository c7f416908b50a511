"""The chart with both databases on a claim and accounts by sign-up, as the manual's lesson for operators has it."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from images import NAMES
from tests.support.demo import PASSWORD, Person

from . import commands
from .chart import ROOT
from .cluster import Cluster
from .images import REPOSITORY, TAG, built
from .release import NAME, Release

pytestmark = pytest.mark.cluster

LESSON = ROOT / "docs" / "tutorials" / "kubernetes.md"


def lesson_values() -> dict[str, Any]:
    """Return the values of the lesson, with the images and the storage class of the tests."""
    found = re.search(r"^```yaml\n(.*?)^```$", LESSON.read_text(), re.MULTILINE | re.DOTALL)
    assert found is not None
    text = found[1].replace("registry.example.org/jupyterhub-collab", REPOSITORY).replace('tag: "1"', f"tag: {TAG}")
    values: dict[str, Any] = yaml.safe_load(text)
    hub = values["hub"] | {"db": {"type": "sqlite-pvc", "pvc": {"storageClassName": "shared"}}}
    return values | {"hub": hub, "cull": {"every": 10}}


@pytest.fixture(scope="module")
def lesson(cluster: Cluster) -> Iterator[Release]:
    """Return a release that was installed by the lesson's own steps."""
    for image in NAMES:
        cluster.load(built(image))
    made = Release(cluster=cluster, postgres=None, port=0, namespace=f"lesson-{os.getpid()}")  # type: ignore[arg-type]
    made.values = lesson_values()
    cluster.kubectl("create", "namespace", made.namespace)
    cluster.kubectl("label", "namespace", made.namespace, "pod-security.kubernetes.io/enforce=restricted")
    try:
        made.install()
        yield made
    finally:
        cluster.kubectl("delete", "namespace", made.namespace, "--wait", "--timeout=120s")


def sign_up(release: Release, name: str) -> Person:
    person = Person(release, name)
    form = person.web.get("/hub/signup")
    xsrf = re.search(r'name="_xsrf" value="([^"]+)"', form.text)
    assert xsrf is not None, form.text
    password = dict.fromkeys(("signup_password", "signup_password_confirmation"), PASSWORD)
    made = person.web.post("/hub/signup", data={"username": name, "_xsrf": xsrf[1], **password})
    assert made.status_code == 200, made.text
    return person


def test_the_release_passes_its_own_test(lesson: Release) -> None:
    told = lesson.cluster.helm("test", NAME, "--namespace", lesson.namespace, "--logs", "--timeout=60s")
    assert told.count("ok      ") == 5


def test_hub_and_projects_service_share_a_pod(lesson: Release) -> None:
    (hub,) = lesson.all("pods", **{"app.kubernetes.io/component": "hub"})
    assert [container["name"] for container in hub["spec"]["containers"]] == ["hub", "projects"]
    assert not lesson.all("pods", **{"app.kubernetes.io/component": "projects"})


def test_the_idle_culler_reaches_its_hub(lesson: Release) -> None:
    def said() -> str:
        return lesson.kubectl("logs", f"deployment/{NAME}-hub", "--container=hub")

    lesson.wait_until(lambda: "(idle-culler@" in said(), 60)
    assert "Timeout while connecting" not in said()


def test_the_operator_signs_up_and_works_in_a_project(lesson: Release) -> None:
    ada = sign_up(lesson, "ada")
    ada.log_in()
    ada.make_token()
    ada.api("POST", "/projects", 201, json={"title": "Field work", "slug": "field-work", "visibility": "private"})
    ada.start("field-work")
    path = "api/contents/projects/field-work/first.txt"
    made = ada.ask("field-work", "PUT", path, json={"type": "file", "format": "text", "content": "first"})
    assert made.status_code == 201, made.text
    assert (lesson.project("field-work") / "first.txt").read_text() == "first"


def test_accounts_and_projects_outlive_the_hub(lesson: Release) -> None:
    lesson.kubectl("rollout", "restart", f"deployment/{NAME}-hub")
    lesson.kubectl("rollout", "status", f"deployment/{NAME}-hub", "--timeout=120s")
    lesson.wait_until(lesson.serves, 60)
    ada = lesson.person("ada")
    assert [project["slug"] for project in ada.api("GET", "/me/projects")["items"]] == ["field-work"]
    assert ada.servers()["field-work"]["ready"]


def test_a_backup_of_the_databases_is_put_back(lesson: Release, tmp_path: Path) -> None:
    def run(beginning: str) -> None:
        commands.run(lesson, tmp_path, "back-up-and-restore.md", beginning)

    ada = lesson.person("ada")
    run("kubectl exec deployment/collab-hub --container hub -- rm")
    ada.api("POST", "/projects", 201, json={"title": "Too late", "slug": "too-late"})
    run("kubectl exec --stdin")
    lesson.wait_until(lesson.serves, 60)
    assert [project["slug"] for project in ada.api("GET", "/me/projects")["items"]] == ["field-work"]
    found = ada.ask("field-work", "GET", "api/contents/projects/field-work/first.txt")
    assert found.json()["content"] == "first"
