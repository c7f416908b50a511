"""What the sandbox promises, tried from inside by its person; each try succeeds where there is no sandbox."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest

from tests.spawner.conftest import ACCOUNTS, MakeSite
from tests.spawner.support.running import ORDINARY, Site

# Each prints True where it gets through. The names in capitals are facts of the host that an attacker may well know.
TRIES: Final = {
    "read another person's home": "bool(open(f'{STORAGE}/home-ben/private').read())",
    "read another project": "bool(open(f'{STORAGE}/project-secret/plan').read())",
    "read the Hub's cookie secret": "bool(open(f'{STATE}/cookie_secret', 'rb').read())",
    "read the Hub's database": "bool(open(f'{STATE}/hub.sqlite', 'rb').read())",
    "write the core's database": "bool(open(f'{STATE}/collab.sqlite', 'ab'))",
    "read the settings": "bool(open(f'{STATE}/settings.toml').read())",
    "read the log of a server": "bool(os.listdir(f'{STORAGE}/server-logs'))",
    "see the sockets of other servers": "any(n.startswith('s-') for n in os.listdir(RUNTIME))",
    "speak to the proxy": "connect(f'{RUNTIME}/proxy.sock')",
    "see the Hub's process": "os.path.isdir(f'/proc/{HUB}')",
    "read the Hub's environment": "b'HUB_SECRET' in open(f'/proc/{HUB}/environ', 'rb').read()",
    "signal the Hub": "os.kill(HUB, 0) is None",
    "see another person's kernel": "BEN in [int(n) for n in os.listdir('/proc') if n.isdigit()]",
    "read another server's memory map": "bool(open(f'/proc/{BEN}/maps').read())",
    "write where only reading is allowed": "bool(open(NOTES, 'a'))",
    "write to a data volume": "bool(open(DATA, 'a'))",
    "see the machine's accounts": "len(open('/etc/passwd').readlines()) > 2",
    "find the machine's password file": "os.path.lexists('/etc/shadow')",
    "see the folders of the machine": "os.path.isdir('/root') or os.path.isdir('/srv') or os.path.isdir('/var')",
    "gain privileges by a program": "'NoNewPrivs:\\t0' in open('/proc/self/status').read()",
    "make a user namespace": "subprocess.run(['unshare', '-U', 'true'], capture_output=True).returncode == 0",
    "share the machine's pid namespace": "os.readlink('/proc/self/ns/pid') == NAMESPACES['pid']",
    "share the machine's mount namespace": "os.readlink('/proc/self/ns/mnt') == NAMESPACES['mnt']",
    "share the machine's ipc namespace": "os.readlink('/proc/self/ns/ipc') == NAMESPACES['ipc']",
    "share the machine's uts namespace": "os.readlink('/proc/self/ns/uts') == NAMESPACES['uts']",
    "share the machine's user namespace": "os.readlink('/proc/self/ns/user') == NAMESPACES['user']",
    "open the Hub's memory through a descriptor": "any('hub' in os.readlink(f'/proc/self/fd/{n}') for n in fds())",
}
# True in the sandbox and without it: the attempts that no account could make, so that they can't show a difference
NEVER: Final = {
    "have a capability": "any(int(line.split()[1], 16) for line in open('/proc/self/status') if line[:3] == 'Cap')",
    "be root": "os.getuid() == 0 or os.geteuid() == 0",
    "write system files": "bool(open('/usr/bin/env', 'ab')) or bool(open('/usr/new', 'w'))",
    "write to the root folder": "bool(open('/new', 'w'))",
    "write to the folder of projects": "bool(open('/home/eve/projects/new', 'w'))",
    "mount something": "subprocess.run(['mount', '-t', 'tmpfs', 'none', '/tmp'], capture_output=True).returncode == 0",
}
# Without a sandbox a server has no descriptor of the Hub either; the try above is for the sandbox's own plumbing
ONLY_SANDBOX: Final = {"open the Hub's memory through a descriptor"}
PREAMBLE: Final = """
import json, os, socket, subprocess
def connect(path):
    with socket.socket(socket.AF_UNIX) as tried:
        return tried.connect(path) is None
def fds():
    return [n for n in os.listdir('/proc/self/fd') if os.path.lexists(f'/proc/self/fd/{n}')]
def succeeds(code):
    try:
        return bool(eval(code, globals()))
    except (OSError, subprocess.SubprocessError):
        return False
"""


def results(site: Site) -> dict[str, bool]:
    """Start a server each of two persons, and try everything from one of them."""
    site.put_file("co2", "notes.txt", "read me")
    site.put_file("secret", "plan", "ben's own")
    assert site.start("ben").status_code == 201
    site.run("ben", "", "import os; open(os.path.expanduser('~/private'), 'w').write('mine')")
    assert site.start("eve").status_code == 201
    assert site.hub is not None
    sandboxed = "isolation" not in site.more
    home = "/home/eve" if sandboxed else str(site.home("eve"))
    facts = {
        "STORAGE": str(site.storage),
        "STATE": str(site.state),
        "RUNTIME": str(site.runtime),
        "HUB": site.hub.pid,
        "BEN": site.record("ben").init.pid,
        "NOTES": f"{home}/projects/co2/notes.txt",
        "DATA": "/data/noaa-co2/co2.csv" if sandboxed else f"{site.state}/data/co2.csv",
        "NAMESPACES": {
            kind: str(Path(f"/proc/self/ns/{kind}").readlink()) for kind in ("pid", "mnt", "ipc", "uts", "user")
        },
    }
    code = PREAMBLE + f"globals().update({facts!r})\n"
    code += f"print(json.dumps({{name: succeeds(code) for name, code in {TRIES | NEVER!r}.items()}}))\n"
    return dict(json.loads(site.run("eve", "", code)))


@pytest.fixture(scope="module", params=ACCOUNTS)
def inside(request: pytest.FixtureRequest, make_site: MakeSite) -> dict[str, bool]:
    site = make_site(request.param)
    site.start_hub()
    return results(site)


@pytest.fixture(scope="module")
def without(make_site: MakeSite) -> Iterator[dict[str, bool]]:
    uid = ORDINARY if os.geteuid() == 0 else os.geteuid()
    site = make_site(uid, more="c.CollabSandboxSpawner.isolation = 'none'")
    site.start_hub()
    yield results(site)
    for person in ("ben", "eve"):
        init = site.record(person).init
        site.stop(person)
        with pytest.raises(ProcessLookupError):
            os.kill(init.pid, signal.SIG_DFL)


@pytest.mark.parametrize("attempt", TRIES | NEVER)
def test_nothing_gets_through(inside: dict[str, bool], attempt: str) -> None:
    assert inside[attempt] is False


@pytest.mark.parametrize("attempt", sorted(TRIES.keys() - ONLY_SANDBOX))
def test_without_a_sandbox_it_would(without: dict[str, bool], attempt: str) -> None:
    assert without[attempt] is True
