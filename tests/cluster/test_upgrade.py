"""A release that is changed, removed and taken up again, while somebody works.

There is no earlier release to come from yet: the chart is upgraded from one version and one set of values to another.
"""

from __future__ import annotations

import os
import shutil
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

import httpx
import pytest
import yaml

from jupyterhub_collab.names import home_volume
from tests.support.demo import Person

from .chart import CHART, options, secret
from .cluster import Cluster
from .release import NAME, Release
from .release import release as installed

pytestmark = pytest.mark.cluster


@pytest.fixture(scope="module")
def own(cluster: Cluster) -> Iterator[Release]:
    """Return a release that no other test uses."""
    with installed(cluster, namespace=f"upgrade-{os.getpid()}") as made:
        yield made


def start(person: Person) -> None:
    """Start somebody's workspace server, on a machine that may be busy with other tests."""
    asked = person.hub("POST", f"/users/{person.name}/servers/", json={"user_options": {}})
    assert asked.status_code in {201, 202}, asked.text
    person.site.wait_until(lambda: person.servers().get("", {}).get("ready", False), 240)


@pytest.fixture(scope="module")
def lead(own: Release) -> Person:
    """Return someone with a running server and a file in it."""
    person = own.person("lead")
    start(person)
    made = person.ask("", "PUT", "api/contents/kept.txt", json={"type": "file", "format": "text", "content": "kept"})
    assert made.status_code == 201, made.text
    return person


@dataclass
class Watcher:
    """Asks somebody's server again and again, and counts what it answers."""

    person: Person
    answers: list[int] = field(default_factory=list)
    _ended: threading.Event = field(default_factory=threading.Event)

    def __enter__(self) -> Self:
        self._address = self.person.site.address + self.person.server_path("") + "api/contents/kept.txt"
        self._thread = threading.Thread(target=self._run)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._thread.join()

    def _run(self) -> None:
        headers = {"Authorization": f"token {self.person.token}"}
        with httpx.Client(headers=headers, timeout=10) as client:
            while not self._ended.is_set():
                self.answers.append(client.get(self._address).status_code)
                time.sleep(0.1)


def next_version(folder: Path) -> Path:
    """Return the chart as its next version."""
    chart = shutil.copytree(CHART, folder / "chart")
    described = yaml.safe_load((chart / "Chart.yaml").read_text())
    described["version"] = "99.0.0"
    (chart / "Chart.yaml").write_text(yaml.safe_dump(described))
    return chart


def upgrade(release: Release, chart: Path, **more: Any) -> None:
    """Upgrade a release to another chart and other values."""
    values = chart.with_name("values.yaml")
    values.write_text(yaml.safe_dump(release.values))
    place = (f"--namespace={release.namespace}", f"--values={values}", "--wait", "--timeout=2m")
    release.cluster.helm("upgrade", NAME, str(chart), *place, *options("", **more))


def uids(release: Release, component: str) -> set[str]:
    pods = release.all("pods", **{"app.kubernetes.io/component": component})
    return {pod["metadata"]["uid"] for pod in pods if "deletionTimestamp" not in pod["metadata"]}


def secrets(release: Release) -> dict[str, str]:
    return {key: value for key, value in secret(release.get("secret", f"{NAME}-hub")).items() if key != "values.yaml"}


def test_servers_run_on_while_the_release_is_upgraded(own: Release, lead: Person, tmp_path: Path) -> None:
    server, hub, proxy = (uids(own, component) for component in ("singleuser-server", "hub", "proxy"))
    made = secrets(own)
    with Watcher(lead) as watched:
        upgrade(own, next_version(tmp_path), collab__settings__site__name="Upgraded")
        own.wait_until(own.serves, 60)
        time.sleep(2)
    assert uids(own, "singleuser-server") == server
    assert uids(own, "proxy") == proxy
    assert uids(own, "hub").isdisjoint(hub)
    assert set(watched.answers) == {200}
    assert len(watched.answers) > 20
    assert secrets(own) == made
    assert "Upgraded" in httpx.get(f"{own.address}/hub/login").text


def test_the_upgraded_hub_knows_the_server(own: Release, lead: Person) -> None:
    assert lead.servers()[""]["ready"]
    assert lead.ask("", "GET", "api/contents/kept.txt").json()["content"] == "kept"
    lead.stop()
    start(lead)
    assert lead.ask("", "GET", "api/contents/kept.txt").json()["content"] == "kept"


def test_the_release_passes_its_own_test(own: Release) -> None:
    told = own.cluster.helm("test", NAME, "--namespace", own.namespace, "--logs", "--timeout=60s")
    assert told.count("ok      ") == 5
    assert "FAILED" not in told


def test_volumes_stay_when_the_release_is_removed(own: Release, lead: Person) -> None:
    lead.stop()
    claims = {claim["metadata"]["name"] for claim in own.all("pvc")}
    assert home_volume("lead") in claims
    own.uninstall()
    assert {claim["metadata"]["name"] for claim in own.all("pvc")} == claims
    own.install()
    start(lead)
    assert lead.ask("", "GET", "api/contents/kept.txt").json()["content"] == "kept"


def test_volumes_go_where_that_is_asked_for(own: Release, lead: Person) -> None:
    assert lead.servers()[""]["ready"]
    own.install(collab={"removeVolumesOnUninstall": True})
    own.uninstall()
    own.wait_until(lambda: home_volume("lead") not in {c["metadata"]["name"] for c in own.all("pvc")}, 60)
    assert not own.servers()
    assert "noaa-co2" in {claim["metadata"]["name"] for claim in own.all("pvc")}  # the operator's, not the release's
    assert not [account for account in own.all("serviceaccounts") if "remove" in account["metadata"]["name"]]
