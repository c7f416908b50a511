"""Servers start, stop, are taken away and are found again, with a real Hub."""

from __future__ import annotations

import contextlib
import json
import os
import pwd
import signal
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import pytest

from jupyterhub_collab.access.models import Role
from jupyterhub_collab_spawner import processes
from tests.spawner.conftest import MakeSite
from tests.spawner.support.running import ORDINARY, Site, command_lines

WRITER = """
import os, time
with open('/home/{person}/projects/co2/beat-{person}', 'a') as held:
    os.set_inheritable(held.fileno(), True)
    if os.fork() == 0:
        os.setsid()
        while True:
            held.write(str(time.time()) + '\\n')
            held.flush()
            time.sleep(0.02)
"""


def test_a_project_server_shows_what_the_role_allows_and_ends_for_sure(site: Site) -> None:
    assert site.start("ada", "co2").status_code == 201
    lab = site.ask("ada", "co2", "GET", "lab", follow_redirects=True)
    assert lab.status_code == 200
    assert "jupyter-config-data" in lab.text
    shown = site.run("ada", "co2", "import os; print(os.listdir('/home/ada/projects'), os.listdir('/data/noaa-co2'))")
    assert shown == "['co2'] ['co2.csv']\n"
    links_lead_nowhere(site)
    init = site.record("ada", "co2").init
    assert processes.alive(init)
    assert site.stop("ada", "co2").status_code == 204
    assert not processes.alive(init)
    assert not site.folder("ada", "co2").path.exists()
    assert site.core(lambda factory: factory.servers.open_grants()) == []


def links_lead_nowhere(site: Site) -> None:
    """Links that a person puts into a project lead to what the server shows, and to nothing of the host."""
    site.put_file("secret", "plan", "ben's own")
    plan = site.project("secret") / "plan"
    for name, target in {"shadow": "/etc/shadow", "up": "../project-secret/plan", "host": str(plan)}.items():
        site.project("co2").joinpath(name).symlink_to(target)
    code = """
for name in ("shadow", "up", "host"):
    try:
        print(open("/home/ada/projects/co2/" + name).read())
    except OSError as error:
        print(error.strerror)
"""
    assert site.run("ada", "co2", code) == "No such file or directory\n" * 3


def test_a_viewer_reads_and_cannot_write(site: Site) -> None:
    site.put_file("co2", "notes.txt", "read me")
    assert site.start("eve").status_code == 201
    code = """
for path in ("/home/eve/projects/co2/notes.txt", "/data/noaa-co2/co2.csv"):
    print(open(path).read().strip())
    try:
        open(path, "a")
    except OSError as error:
        print(error.strerror)
open("/home/eve/mine", "w").write("kept")
"""
    assert site.run("eve", "", code).split("\n")[:4] == [
        "read me",
        "Read-only file system",
        "1958-03-29,316.1",
        "Read-only file system",
    ]
    assert site.stop("eve").status_code == 204
    assert site.home("eve").joinpath("mine").read_text(encoding="utf-8") == "kept"


def test_a_server_outlives_the_hub_and_is_found_again(own_site: Site) -> None:
    site = own_site
    assert site.start("ada").status_code == 201
    init = site.record("ada").init
    assert site.inits() == [init]
    for number in (signal.SIGTERM, signal.SIGKILL):
        site.end_hub(number)
        assert processes.alive(init)
        site.start_hub()
        assert site.running("ada")[""]["ready"]
        assert site.ask("ada", "", "GET", "api/contents").status_code == 200
    assert site.stop("ada").status_code == 204
    assert not processes.alive(init)


def test_a_server_that_dies_while_the_hub_is_away_is_not_claimed(own_site: Site) -> None:
    site = own_site
    assert site.start("ada").status_code == 201
    site.end_hub()
    processes.send(site.record("ada").init, signal.SIGKILL)
    site.start_hub()
    assert site.running("ada") == {}
    assert site.core(lambda factory: factory.servers.open_grants()) == []


def test_removal_ends_a_server_that_holds_a_file_open(own_site: Site) -> None:
    site = own_site
    site.member("ben", Role.EDITOR)
    assert site.start("ben", "co2").status_code == 201
    site.run("ben", "co2", WRITER.format(person="ben"))
    beat = site.project("co2") / "beat-ben"
    site.wait_until(lambda: beat.stat().st_size > 0)
    site.core(lambda factory: factory.members.remove("ada", "co2", "ben"))
    answered = time.time()
    site.wait_until(lambda: site.running("ben") == {}, 4)
    last = float(beat.read_text(encoding="utf-8").split()[-1])
    assert last - answered < 2
    assert site.ask("ben", "co2", "GET", "api/contents").status_code != 200
    refused = site.start("ben", "co2")
    assert refused.status_code == 404
    assert "you have no project “co2”" in refused.json()["message"]


def test_demotion_ends_a_workspace_and_the_next_one_is_read_only(own_site: Site) -> None:
    site = own_site
    site.member("ben", Role.EDITOR)
    assert site.start("ben").status_code == 201
    site.core(lambda factory: factory.members.put("ada", "co2", "ben", Role.VIEWER))
    site.wait_until(lambda: site.running("ben") == {}, 4)
    assert site.start("ben").status_code == 201
    assert "Read-only file system" in site.run("ben", "", "open('/home/ben/projects/co2/new', 'w')")
    site.stop("ben")


def test_what_was_lost_while_the_hub_was_away_is_taken_before_it_serves(own_site: Site) -> None:
    site = own_site
    site.member("ben", Role.EDITOR)
    assert site.start("ben", "co2").status_code == 201
    init = site.record("ben", "co2").init
    site.end_hub(signal.SIGKILL)
    site.core(lambda factory: factory.members.remove("ada", "co2", "ben"))
    assert processes.alive(init)
    site.start_hub()
    assert not processes.alive(init)
    assert site.running("ben") == {}


def test_removal_reaches_a_server_that_is_still_starting(own_site: Site) -> None:
    site = own_site
    site.member("ben", Role.EDITOR)
    site.api("POST", "/users/ben")
    with ThreadPoolExecutor() as pool:
        starting = pool.submit(site.start, "ben", "co2")
        site.wait_until(lambda: site.folder("ben", "co2").read() is not None)
        init = site.record("ben", "co2").init
        site.core(lambda factory: factory.members.remove("ada", "co2", "ben"))
        site.wait_until(lambda: not processes.alive(init), 2)
        refused = starting.result()
    assert refused.status_code == 409
    assert "Your access changed while the server was starting" in refused.json()["message"]
    assert site.running("ben") == {}


def test_names_and_options_open_nothing(own_site: Site) -> None:
    site = own_site
    unknown = site.start("ada", "secret")
    assert unknown.status_code == 404
    assert "you have no project “secret”" in unknown.json()["message"]
    larger = site.start("ada", "", resource_class="large")
    assert larger.status_code == 403
    assert site.running("ada") == {}


def test_a_closed_environment_has_no_network_and_works(site: Site) -> None:
    assert site.start("ada", "", environment="closed").status_code == 201
    code = f"""
import socket
print(sorted(name for _, name in socket.if_nameindex()))
try:
    socket.create_connection(("127.0.0.1", {site.port}), 2)
except OSError as error:
    print("closed")
"""
    assert site.run("ada", "", code) == "['lo']\nclosed\n"
    no_secret_stands_where_another_process_can_read_it(site)
    site.stop("ada")


def no_secret_stands_where_another_process_can_read_it(site: Site) -> None:
    token = site.run("ada", "", "import os; print(os.environ['JUPYTERHUB_API_TOKEN'])").strip()
    assert len(token) == 32
    assert not [pid for pid, line in command_lines() if token in line]
    held = [path for path in Path("/proc").glob("[0-9]*/environ") if token in read(path) and ".venv" in read(path)]
    assert held == []
    names = json.loads(site.run("ada", "", "import json, os; print(json.dumps(dict(os.environ)))"))
    assert not {"HUB_SECRET", "TEST_TOKEN", "CONFIGPROXY_AUTH_TOKEN", "JUPYTERHUB_COLLAB_SETTINGS"} & names.keys()
    assert str(site.state) not in json.dumps(names)


def read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""


def test_what_a_person_plants_at_a_mount_point_harms_nothing(site: Site) -> None:
    home = site.home("ada")
    home.mkdir(parents=True, exist_ok=True)
    os.chown(home, ORDINARY if site.uid else pwd.getpwnam("nobody").pw_uid, -1)
    for planted in ("/etc", "../project-secret"):
        place = home / "projects"
        if place.is_dir() and not place.is_symlink():
            place.rmdir()
        place.symlink_to(planted)
        assert site.start("ada", "co2").status_code == 201
        assert site.run("ada", "co2", "import os; print(os.listdir('/home/ada/projects'))") == "['co2']\n"
        site.stop("ada", "co2")
    assert len([path for path in home.iterdir() if path.name.startswith("projects.moved-")]) == 2
    assert not Path("/etc/co2").exists()


def test_a_volume_that_is_a_link_is_refused(site: Site) -> None:
    folder = site.project("co2")
    aside = folder.with_name("aside")
    folder.rename(aside)
    folder.symlink_to("/etc")
    try:
        refused = site.start("ada", "co2")
    finally:
        folder.unlink()
        aside.rename(folder)
    assert refused.status_code == 503
    assert "Ask the operator to put it back" in refused.json()["message"]


def test_a_server_that_ends_while_starting_says_so(make_site: MakeSite) -> None:
    site = make_site(more="c.CollabSandboxSpawner.module = 'nothing_of_this_name'")
    site.start_hub()
    failed = site.start("ada")
    assert failed.status_code == 500
    assert "The server ended while it was starting. Try once more" in failed.json()["message"]
    assert "No module named nothing_of_this_name" in site.log
    assert site.core(lambda factory: factory.servers.open_grants()) == []
    assert site.inits() == []


STEPS = {
    "before the grant": "planned.PlannedSpawner._ask",
    "before the process": "launching._run",
    "before the record": "records.ServerFolder.write",
    "before the word": "launching.Waiting.let_run",
    "before the answer": "sandbox.CollabSandboxSpawner._answering",
    "before the end is reported": "planned.PlannedSpawner.report_end",
}
KILL = """
import os
from jupyterhub_collab_spawner import launching, planned, records, sandbox
def killed(*_arguments, **_options):
    os.kill(os.getpid(), 9)
{name} = killed
"""


@pytest.mark.parametrize("step", STEPS)
def test_a_hub_killed_at_any_step_leaves_nothing_running(make_site: MakeSite, step: str) -> None:
    site = make_site()
    site.start_hub(KILL.format(name=STEPS[step]))
    with_hub_killed(site)
    site.start_hub()
    assert site.running("ada") == {}
    site.wait_until(lambda: site.inits() == [], 5)
    site.wait_until(lambda: site.core(lambda factory: factory.servers.open_grants()) == [], 5)
    if step == "before the answer":
        assert site.start("ada").status_code == 201


def with_hub_killed(site: Site) -> None:
    """Start a server, and stop it where that comes so far; the Hub is killed on the way."""
    with contextlib.suppress(httpx.HTTPError):
        site.start("ada")
        site.stop("ada")
    assert site.hub is not None
    site.hub.wait(timeout=20)
    site.end_proxy()
