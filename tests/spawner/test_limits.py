"""Memory and CPU limits, where this machine lets us set them, with programs that try to take more."""

from __future__ import annotations

from pathlib import Path

import pytest

from jupyterhub_collab.settings import ResourceClass
from jupyterhub_collab_spawner import cgroups, checks
from tests.spawner.conftest import MakeSite
from tests.spawner.support.running import descendants

ALLOCATE = """
import subprocess, sys
code = "held = b'x' * ({megabytes} << 20)"
done = subprocess.run([sys.executable, "-c", code], capture_output=True)
print(done.returncode == 0)
"""
BURN = """
import os, subprocess, sys, time
code = "import time\\nend = time.monotonic() + 2\\nwhile time.monotonic() < end: pass\\nprint(time.process_time())"
burning = [subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE) for _ in range(2)]
print(sum(float(one.communicate()[0]) for one in burning))
"""


# As on a busy machine: the program is not there yet when the Hub looks for it
LATE = """
from jupyterhub_collab_spawner import processes
looks, children = [], processes.children
def late(pid):
    looks.append(pid)
    return children(pid) if len(looks) > 3 else []
processes.children = late
"""


def test_a_server_gets_no_more_than_its_class(make_site: MakeSite) -> None:
    site = make_site(more=LATE)
    site.start_hub()
    assert site.start("ada").status_code == 201
    limited = {name: check().ok for name, check in {"memory": checks.memory_limit, "cpu": checks.cpu_limit}.items()}
    groups = site.record("ada").control_groups
    assert bool(groups) == any(limited.values())
    inside = {site.record("ada").init.pid, *descendants(site.record("ada").init.pid)}
    for group in groups:
        assert inside <= {int(pid) for pid in Path(group, "cgroup.procs").read_text("ascii").split()}
    assert site.run("ada", "", ALLOCATE.format(megabytes=100)).strip() == "True"
    within = site.run("ada", "", ALLOCATE.format(megabytes=1024)).strip() == "True"
    assert within != limited["memory"]
    numbered = [Path(group, "pids.max") for group in groups if Path(group, "pids.max").exists()]
    assert {path.read_text("ascii").strip() for path in numbered} == ({"4096"} if checks.process_limit().ok else set())
    if limited["cpu"]:
        assert float(site.run("ada", "", BURN)) < 2 * 1.3
    assert site.running("ada")[""]["ready"]
    site.stop("ada")
    assert not [group for group in groups if Path(group).exists()]


def machine(tmp_path: Path, mounts: str, own: str) -> cgroups.ControlGroups:
    (tmp_path / "mountinfo").write_text(mounts.format(root=tmp_path), encoding="utf-8")
    (tmp_path / "cgroup").write_text(own, encoding="utf-8")
    return cgroups.find("ours", mounts=str(tmp_path / "mountinfo"), own=str(tmp_path / "cgroup"))


def test_version_one_has_a_folder_for_each_controller(tmp_path: Path) -> None:
    for folder in ("memory/hub", "cpu/hub", "pids/hub"):
        (tmp_path / folder).mkdir(parents=True)
    mounts = (
        "1 0 0:1 / {root}/memory rw - cgroup cgroup rw,memory\n2 0 0:2 / {root}/cpu rw - cgroup cgroup rw,cpu,cpuacct\n"
        "3 0 0:3 / {root}/pids rw - cgroup cgroup rw,pids\n"
    )
    found = machine(tmp_path, mounts, "5:pids:/hub\n4:memory:/hub\n3:cpu,cpuacct:/hub\n0::/\n")
    assert found.enforced == {"memory", "cpu", "pids"}
    found.make("s-1", ResourceClass(cpu=0.5, memory="1GiB"))
    assert (tmp_path / "memory/hub/ours/s-1/memory.limit_in_bytes").read_text("ascii") == str(1 << 30)
    assert (tmp_path / "cpu/hub/ours/s-1/cpu.cfs_quota_us").read_text("ascii") == "50000"
    assert (tmp_path / "pids/hub/ours/s-1/pids.max").read_text("ascii") == "4096"


@pytest.mark.parametrize("passes_on", ["system.slice/hub.service", "system.slice"])
def test_version_two_takes_the_nearest_folder_that_may_pass_controllers_on(
    tmp_path: Path, passes_on: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The kernel refuses controllers to groups of a folder with processes, and to those that got none themselves."""
    parent = tmp_path / passes_on
    (tmp_path / "system.slice/hub.service").mkdir(parents=True)

    def kernel(path: Path, value: str) -> bool:
        if path.parent not in {parent, parent / "ours", parent / "ours/s-1"}:
            return False
        had = path.read_text("ascii") if path.exists() and value.startswith("+") else ""
        path.write_text(f"{had} {value.removeprefix('+')}".strip(), "ascii")
        return True

    monkeypatch.setattr(cgroups, "_write", kernel)
    found = machine(tmp_path, "1 0 0:1 / {root} rw - cgroup2 cgroup2 rw\n", "0::/system.slice/hub.service\n")
    assert [(slot.version, slot.path, slot.controllers) for slot in found.slots] == [
        (2, parent / "ours", frozenset({"memory", "cpu", "pids"}))
    ]
    found.make("s-1", ResourceClass(cpu=2, memory="1GiB"))
    assert (parent / "ours/s-1/cpu.max").read_text("ascii") == "200000 100000"
    assert (parent / "ours/s-1/memory.max").read_text("ascii") == str(1 << 30)
    assert (parent / "ours/s-1/pids.max").read_text("ascii") == "4096"


def test_a_machine_without_control_groups_enforces_nothing(tmp_path: Path) -> None:
    assert machine(tmp_path, "1 0 0:1 / / rw - ext4 /dev/vda rw\n", "0::/\n").enforced == frozenset()
