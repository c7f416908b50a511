"""Plans as the core makes them, and expected results in files.

With the environment variable REWRITE_EXPECTED set, the tests write those files anew; git's difference is the review.
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

from jupyterhub_collab.names import data_volume, home_volume, project_volume
from jupyterhub_collab.servers.models import ServerPlan
from jupyterhub_collab.settings import Environment, ResourceClass
from jupyterhub_collab.volumes.models import Mode, Mount, VolumeKind

EXPECTED = Path(__file__).parents[1] / "expected"


def home(person: str) -> Mount:
    return Mount(kind=VolumeKind.HOME, volume=home_volume(person), path="~", mode=Mode.READ_WRITE)


def project(slug: str, mode: Mode = Mode.READ_WRITE) -> Mount:
    path = f"~/projects/{slug}"
    return Mount(kind=VolumeKind.PROJECT, volume=project_volume(slug), path=path, mode=mode, projects=(slug,))


def data(name: str, source: str, *projects: str) -> Mount:
    return Mount(
        kind=VolumeKind.DATA,
        volume=data_volume(name),
        source=source,
        path=f"/data/{name}",
        mode=Mode.READ_ONLY,
        projects=projects,
    )


def plan(*mounts: Mount, person: str = "ada", server_name: str = "", **changes: Any) -> ServerPlan:
    fields: dict[str, Any] = {
        "person": person,
        "server_name": server_name,
        "project": server_name or None,
        "mounts": (home(person), *mounts),
        "environment_name": "default",
        "environment": Environment(image="registry.example/notebook:1"),
        "resource_class_name": "small",
        "resource_class": ResourceClass(),
        "idle_minutes": 120,
        "working_directory": f"~/projects/{server_name}" if server_name else "~",
    }
    return ServerPlan(**fields | changes)


def workspace(source: str = "/srv/data/noaa") -> ServerPlan:
    return plan(project("co2"), project("ocean", Mode.READ_ONLY), data("noaa-co2", source, "co2", "ocean"))


def project_server() -> ServerPlan:
    closed = Environment(image="registry.example/closed:2", network="none")
    gpu = ResourceClass(cpu=4, memory="16GiB", gpu=1, node_selector={"pool": "gpu"})
    runtime: dict[str, Any] = {
        "environment": closed,
        "environment_name": "closed",
        "resource_class": gpu,
        "resource_class_name": "gpu",
    }
    return plan(project("co2"), data("noaa-co2", "noaa-claim", "co2"), server_name="co2", **runtime)


def compare(name: str, result: Any) -> None:
    """Compare with the expected result of this name."""
    text = json.dumps(result, indent=2, sort_keys=True) + "\n"
    file = EXPECTED / f"{name}.json"
    if "REWRITE_EXPECTED" in os.environ:
        file.write_text(text, encoding="utf-8")
    assert text == file.read_text(encoding="utf-8")
