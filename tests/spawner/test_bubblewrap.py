"""The command line of a sandbox follows from the plan and the host, and from nothing else."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from jupyterhub_collab.volumes.models import Mode
from jupyterhub_collab_spawner import host
from jupyterhub_collab_spawner.builders import bubblewrap
from jupyterhub_collab_spawner.builders.bubblewrap import Account, HostFacts, command, home_path
from tests.spawner.support import plans

HOST = HostFacts(
    bwrap="/usr/bin/bwrap",
    drop_to=Account(uid=997, gid=995),
    setpriv="/usr/bin/setpriv",
    system={"/bin": "usr/bin", "/lib64": None},
    configuration=("/etc/ssl/certs", "/etc/hosts"),
    environment=("/opt/notebook", "/root/.pythons/versions/3.12.0"),
    extra=("/opt/software",),
    launcher="/opt/hub/launch.py",
    own_etc="/run/jupyterhub-collab-0/s-1/etc",
    hub_directory="/run/jupyterhub-collab-0/hub",
    home="/home/ada",
    storage=Path("/srv/jupyterhub-collab"),
)


def built(plan: Any, facts: HostFacts = HOST) -> list[str]:
    return command(plan, facts, program=["/opt/notebook/bin/python"], environment={"LANG": "C.UTF-8"}, info=9)


def test_a_workspace_of_a_hub_that_is_root() -> None:
    plans.compare("bubblewrap-workspace", built(plans.workspace()))


def test_a_project_server_without_network_of_an_ordinary_hub() -> None:
    facts = replace(HOST, drop_to=None, setpriv="", hub_directory=None)
    plans.compare("bubblewrap-project", built(plans.project_server(), facts))


@settings(deadline=None)  # other work on the machine is no fault of the function
@given(st.lists(st.sampled_from(["co2", "ocean", "icos"]), unique=True), st.sampled_from(list(Mode)))
def test_every_volume_is_bound_once_in_its_mode_and_no_other(slugs: list[str], mode: Mode) -> None:
    arguments = built(plans.plan(*(plans.project(slug, mode) for slug in slugs)))
    bind = "--bind" if mode is Mode.READ_WRITE else "--ro-bind"
    root = "/srv/jupyterhub-collab"
    bound = [arguments[i - 1 : i + 2] for i, value in enumerate(arguments) if value.startswith(root)]
    shown = [[bind, f"{root}/project-{slug}", f"/run/stage/projects/{slug}"] for slug in slugs]
    assert bound == [["--bind", f"{root}/home-ada", "/home/ada"], *shown]


@settings(deadline=None)  # other work on the machine is no fault of the function
@given(st.text(min_size=1, max_size=80), st.text(min_size=1, max_size=80))
def test_a_home_is_one_folder_under_home_and_nobody_elses(one: str, other: str) -> None:
    path = home_path(one)
    assert path.startswith("/home/")
    assert "/" not in path.removeprefix("/home/")
    assert path.removeprefix("/home/") not in {"", ".", ".."}
    assert "\0" not in path
    assert (home_path(other) == path) == (one == other)


def test_a_home_does_not_hide_the_environment() -> None:
    assert home_path("anna", ["/home/anna/work/.venv"]) == "/home/_anna"
    assert home_path("anna", ["/home/annabel/.venv"]) == "/home/anna"
    assert home_path("_anna") == "/home/_-5fanna"


def test_an_environment_is_shown_with_every_interpreter_it_points_to(tmp_path: Path) -> None:
    real = tmp_path / "pyenv/versions/3.12.0"
    link = tmp_path / "pyenv/current"
    environment = tmp_path / "venv"
    for folder in (real / "bin", environment / "bin"):
        folder.mkdir(parents=True)
    (real / "bin/python3.11").write_text("", encoding="utf-8")
    (real / "bin/python").symlink_to("python3.11")
    link.symlink_to(real)
    (environment / "bin/python").symlink_to(link / "bin/python")
    (environment / "pyvenv.cfg").write_text(f"home = {link}/bin\n", encoding="utf-8")
    found = host.environment_folders(environment / "bin/python")
    assert set(found) == {str(environment), str(link), str(real)}


@pytest.mark.parametrize("python", ["/usr/bin/python3", "/bin/python3"])
def test_a_system_python_needs_nothing_more(python: str) -> None:
    assert host.environment_folders(Path(python)) == ()


def test_no_part_of_etc_that_holds_secrets_is_shown() -> None:
    secret = ("/etc/passwd", "/etc/shadow", "/etc/ssl/private", "/etc/ssh", "/etc/sudoers", "/etc/pki/tls/private")
    assert not [path for path in bubblewrap.SYSTEM_CONFIGURATION for s in secret if f"{s}/".startswith(f"{path}/")]
