from __future__ import annotations

import subprocess
import sys

# A child, and a grandchild that is an orphan in a session of its own; both ignore SIGTERM
STUBBORN = "trap '' TERM; (setsid sh -c 'trap \"\" TERM; echo $$; exec sleep 60' &) ; exec sleep 60"

SCRIPT = """
import os, subprocess, sys
from pathlib import Path
from jupyterhub_collab.demo.descendants import adopt_orphans, end_children

def runs(pid):
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False

if sys.argv[1] == "adopting":
    adopt_orphans()
child = subprocess.Popen(["sh", "-c", sys.argv[2]], stdout=subprocess.PIPE, text=True)
orphan = int(child.stdout.readline())
end_children(grace=0.3)
print(runs(child.pid), runs(orphan))
if runs(orphan):
    os.kill(orphan, 9)
"""


def run(how: str) -> str:
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT, how, STUBBORN], capture_output=True, text=True, timeout=20, check=True
    )
    return done.stdout.strip()


def test_everything_ends_that_was_started() -> None:
    assert run("adopting") == "False False"


def test_without_adopting_an_orphan_stays() -> None:
    assert run("not adopting") == "False True"
