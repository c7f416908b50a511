"""The check on the direction of imports finds what it should find."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGES = ("jupyterhub_collab", "spawner/jupyterhub_collab_spawner", "services/jupyterhub_collab_services")

# A bad import for each contract: the file, the line, and a piece of the contract's name
BAD = [
    ("spawner/jupyterhub_collab_spawner/host.py", "import jupyterhub_collab_services", "never on each other"),
    ("services/jupyterhub_collab_services/base/metrics.py", "import jupyterhub_collab_spawner", "never on each other"),
    ("jupyterhub_collab/names.py", "import jupyterhub_collab_spawner", "never on each other"),
    ("jupyterhub_collab/names.py", "import kubernetes", "does not know Kubernetes"),
    ("jupyterhub_collab/names.py", "import jupyterhub.utils", "Only the core's authenticator"),
    ("jupyterhub_collab/names.py", "import tornado.web", "Only the core's authenticator"),
    ("jupyterhub_collab/projects/schema.py", "from . import store", "Inside a feature"),
    ("jupyterhub_collab/people/store.py", "import jupyterhub_collab.projects.service", "know no service"),
    (
        "services/jupyterhub_collab_services/base/metrics.py",
        "import jupyterhub_collab.people.store",
        "go through a service",
    ),
]


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    for package in PACKAGES:
        shutil.copytree(ROOT / package, tmp_path / package, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    return tmp_path


def check(copy: Path) -> subprocess.CompletedProcess[str]:
    path = os.pathsep.join(str((copy / package).parent) for package in PACKAGES)
    return subprocess.run(
        [Path(sys.executable).with_name("lint-imports"), "--no-cache"],
        cwd=copy,
        env=os.environ | {"PYTHONPATH": path, "COLUMNS": "200"},
        capture_output=True,
        text=True,
        check=False,
    )


def test_the_packages_keep_every_contract(copy: Path) -> None:
    result = check(copy)
    assert result.returncode == 0, result.stdout
    contracts = tomllib.loads((copy / "pyproject.toml").read_text())["tool"]["importlinter"]["contracts"]
    assert f"Contracts: {len(contracts)} kept, 0 broken." in result.stdout


@pytest.mark.parametrize(("file", "line", "contract"), BAD)
def test_a_bad_import_breaks_its_contract(copy: Path, file: str, line: str, contract: str) -> None:
    with (copy / file).open("a", encoding="utf-8") as module:
        module.write(f"\n{line}\n")
    result = check(copy)
    assert result.returncode == 1
    broken = [said for said in result.stdout.splitlines() if " BROKEN" in said]
    assert any(contract in said for said in broken), result.stdout


def test_every_contract_has_a_bad_import_here() -> None:
    contracts = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]["contracts"]
    unproved = [c["name"] for c in contracts if not any(piece in c["name"] for _, _, piece in BAD)]
    assert unproved == []
