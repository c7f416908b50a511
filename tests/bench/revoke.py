"""How long a removed person's server still writes, seen from inside."""

from __future__ import annotations

import time
from collections.abc import Callable, Container, Iterator
from pathlib import Path
from typing import Final

from tests.support.demo import Person, Place, demo
from tests.support.notebooks import Kernel

from .figures import Figure, percentile
from .stock import stock

TIMES: Final = 20
_SLUG: Final = "revoked"
# It writes without end, the clock's time in each line; the clock is the same inside and outside
_LOOP: Final = """
import os, time
file = os.open("held-open", os.O_WRONLY | os.O_CREAT | os.O_APPEND)
while True:
    os.write(file, f"{time.monotonic():.6f}\\n".encode())
    time.sleep(0.001)
"""
_PROCESS: Final = f"import subprocess, sys; writer = subprocess.Popen([sys.executable, '-c', {_LOOP!r}])"
# A stock Hub's stop leaves such a process running for ever; there the kernel itself writes
_THREAD: Final = f"import threading; threading.Thread(target=exec, args=({_LOOP!r}, {{}}), daemon=True).start()"


def start_writing(person: Person, server: str, folder: str, file: Path, code: str) -> None:
    """Let something in a person's server hold a file open and write on and on."""
    said = Kernel(person, server, folder).say(code)
    assert said == "", said
    person.site.wait_until(lambda: file.exists() and file.stat().st_size > 0)


def last_write(file: Path, is_over: Callable[[], bool], site: Place) -> float:
    """Return when the last line was written, once all is over and the file stays as it is."""
    site.wait_until(is_over, 30)
    sizes = [-1]

    def is_quiet() -> bool:
        sizes.append(file.stat().st_size)
        time.sleep(0.5)
        return sizes[-1] == sizes[-2]

    site.wait_until(is_quiet, 30)
    return float(file.read_text(encoding="ascii").splitlines()[-1])


def revocations(lead: Person, editor: Person, times: int) -> Iterator[float]:
    """Remove an editor whose server writes; yield the seconds from the API's answer to its last write."""
    site = lead.site
    lead.api("POST", "/projects", 201, json={"title": "Revoked", "slug": _SLUG})
    for number in range(times):
        invited = lead.api("PUT", f"/projects/{_SLUG}/members/editor", json={"role": "editor"})
        editor.api("POST", f"/invitations/{invited['invitation']['id']}/accept")
        editor.start(_SLUG)
        folder = site.project(_SLUG)
        start_writing(editor, _SLUG, f"projects/{_SLUG}", folder / "held-open", _PROCESS)
        lead.api("DELETE", f"/projects/{_SLUG}/members/editor", 204)
        answered = time.monotonic()
        written = last_write(folder / "held-open", lambda: _SLUG not in editor.servers(), site)
        (folder / "held-open").rename(folder / f"held-open-{number}")
        yield max(0.0, written - answered)


def stops(times: int) -> Iterator[float]:
    """Stop a stock server that writes by its Hub's API; yield the seconds from the request to its last write."""
    with stock() as site:
        lead = site.person("lead")
        for _ in range(times):
            lead.start()
            file = site.state / "homes" / "lead" / "held-open"
            file.unlink(missing_ok=True)
            start_writing(lead, "", "", file, _THREAD)
            asked = time.monotonic()
            lead.stop()
            yield max(0.0, last_write(file, lambda: "" not in lead.servers(), site) - asked)


def run(_wanted: Container[str]) -> Iterator[Figure]:
    """Measure twenty removals, and five stops for the peer."""
    theirs = list(stops(5))
    with demo() as site:
        ours = list(revocations(site.person("lead"), site.person("editor"), TIMES))
    peer = "a stock Hub's stop, from the request to the last write"
    for name, percent in (("revoke_worst_s.median", 50), ("revoke_worst_s", 100)):
        value, peer_value = percentile(ours, percent), percentile(theirs, percent)
        yield Figure(name=name, value=value, unit="s", peer=peer, peer_value=peer_value)
