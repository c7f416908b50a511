"""The demo as people start it: what it says, where it listens, and that its end is one."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from jupyterhub_collab.demo.preparation import ACCOUNTS
from jupyterhub_collab.state import free_port
from tests.support.demo import PASSWORD, Person, Site

ROOT = Path(__file__).parents[2]
COMMAND = [sys.executable, "-m", "jupyterhub_collab.cli"]


def run_demo(state: Path, port: str | int) -> subprocess.CompletedProcess[str]:
    """Run a demo that can't start."""
    command = [*COMMAND, "--state", str(state), "demo", "--port", str(port)]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)


def test_a_short_welcome_tells_all_that_is_needed(demo: Site) -> None:
    said = demo.output.read_text()
    assert len(said.splitlines()) < 15
    assert demo.address in said
    assert str(demo.state) in said
    assert PASSWORD in said
    assert all(name in said for name in ACCOUNTS)


@pytest.mark.parametrize("name", ACCOUNTS)
def test_each_account_lands_on_my_projects(demo: Site, name: str) -> None:
    person = Person(demo, name)
    assert person.log_in().url.path == "/services/projects/"
    person.make_token()
    assert person.api("GET", "/me")["display_name"] == ACCOUNTS[name]
    assert ("operator" in person.api("GET", "/me")["rights"]) == (name == "operator")


def test_it_listens_on_loopback_only(demo: Site) -> None:
    tables = [Path("/proc/net/tcp"), Path("/proc/net/tcp6")]
    rows = [line.split() for table in tables if table.exists() for line in table.read_text().splitlines()[1:]]
    listening = {row[1] for row in rows if row[3] == "0A"}  # TCP_LISTEN
    ours = {where for where in listening if where.endswith(f":{demo.port:04X}")}
    assert ours == {f"0100007F:{demo.port:04X}"}


def test_a_second_demo_on_the_same_folder_is_refused(demo: Site) -> None:
    done = run_demo(demo.state, free_port())
    assert done.returncode == 1
    assert f"A demo with {demo.state} runs already" in done.stderr


def test_a_taken_port_is_an_error_before_anything_starts(demo: Site, state: Path) -> None:
    done = run_demo(state, demo.port)
    assert done.returncode == 1
    assert f"Port {demo.port} can't be used (Address already in use)" in done.stderr
    assert not state.exists()


@pytest.mark.parametrize("port", ["0", "65536", "http"])
def test_a_port_that_is_none_is_refused(state: Path, port: str) -> None:
    done = run_demo(state, port)
    assert done.returncode != 0
    assert port in done.stderr
    assert "Traceback" not in done.stderr
    assert not state.exists()


def test_no_secret_stands_in_the_log_or_on_a_command_line(demo: Site) -> None:
    demo.person("viewer").start()
    secrets = [path.read_text() for path in (demo.state / "secrets").iterdir()]
    assert len(secrets) >= 3
    log = (demo.state / "hub.log").read_text()
    shown = log + "".join(Path(f"/proc/{pid}/cmdline").read_text() for pid in demo.processes())
    assert "configurable-http-proxy" in shown
    assert not [secret for secret in [*secrets, PASSWORD] if secret in shown]


def test_the_given_password_goes_no_further(demo: Site) -> None:
    started = [pid for pid in demo.processes() if demo.process and pid != demo.process.pid]
    assert started
    assert not [pid for pid in started if PASSWORD.encode() in Path(f"/proc/{pid}/environ").read_bytes()]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_ends_all_that_it_started(site: Site, number: signal.Signals) -> None:
    site.start_demo()
    process = site.process
    site.person("lead").start()
    assert site.sandboxes()
    site.stop(number)
    assert process is not None
    assert process.returncode == 0
    assert list(site.processes()) == []


def test_a_killed_hub_ends_the_demo_and_all_servers(site: Site) -> None:
    site.start_demo()
    site.person("lead").start()
    os.kill(site.pid_of("-m jupyterhub --config"), signal.SIGKILL)
    assert site.process is not None
    assert site.process.wait(60) == 1
    assert list(site.processes()) == []
    assert "The Hub ended." in site.output.read_text()


def test_a_killed_demo_leaves_nothing_either(site: Site) -> None:
    site.start_demo()
    site.person("lead").start()
    assert site.process is not None
    site.process.kill()
    site.process.wait()
    site.wait_until(lambda: not list(site.processes()), 30)


def test_a_second_run_takes_up_what_the_first_kept(site: Site) -> None:
    site.start_demo()
    site.person("lead").api("POST", "/projects", 201, json={"title": "Atmospheric CO2", "slug": "atmospheric-co2"})
    site.stop()
    site.output.unlink()
    site.start_demo()
    kept = site.person("lead").api("GET", "/me/projects")["items"]
    assert [project["slug"] for project in kept] == ["atmospheric-co2"]


def clean(state: Path) -> subprocess.CompletedProcess[str]:
    command = ["make", "--no-print-directory", "demo-clean", f"STATE={state}"]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)


def test_demo_clean_removes_what_it_kept_but_not_under_a_running_demo(site: Site) -> None:
    site.start_demo()
    refused = clean(site.state)
    assert refused.returncode != 0
    assert "The demo is running" in refused.stderr
    assert (site.state / "hub.sqlite").exists()
    site.stop()
    assert clean(site.state).returncode == 0
    assert not site.state.exists()
    assert clean(site.state).returncode == 0


def test_doctor_finds_that_the_service_has_no_right_over_others(demo: Site) -> None:
    command = [*COMMAND, "--state", str(demo.state), "doctor", "--hub", demo.address]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert "ok      Hub scopes: the projects service has no right" in done.stdout
    assert "ok      settings: 1 data volumes, 1 environments, 2 resource classes" in done.stdout
    assert "ok      database:" in done.stdout
