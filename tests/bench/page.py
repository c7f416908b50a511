"""The manual's page of a run: ``make bench | tee run.jsonl``, then ``python -m tests.bench.page < run.jsonl``."""

from __future__ import annotations

import json
import os
import platform
import re
import sys
from collections.abc import Iterable
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any, Final

TARGET: Final = Path(__file__).parents[2] / "docs" / "reference" / "benchmarks.md"
# What a ratio, or a value in its unit, may be at most; the demo's is a goal
BARS: Final = {
    "spawn_sandbox": "ratio 1.10",
    "spawn_usable_s": "ratio 1.05",
    "revoke_worst_s": "2 s",
    "memory_mb": "ratio 1.6",
    "scale_read_p50": "ratio 1.2",
    "scale_read_p99_ms": "50 ms",
    "scale_plan_p99_ms": "10 ms",
    "scale_enforce_ms": "50 ms",
    "demo_ready_s": "90 s",
    "kube_spawn_500": "ratio 1.05",
    "kube_hub_cpu_500": "ratio 1.05",
    "kube_enforce_2000_s": "5 s",
    "kube_revoke_worst_s": "5 s",
    "kube_start_p50": "ratio 1.05",
}
_HEAD: Final = """\
# Benchmarks

`make bench` measures all of this and `make bench BENCH=name` one figure, each beside a peer in the same run. A figure
is one line of JSON: `name`, `value`, `unit`, `peer`, `peer_value` and `ratio`, which is value over peer_value. The last
full run was on {day:%-d %B %Y} on {machine}.

- *Scale*: 10,000 projects, 100,000 persons, 1,000,000 memberships and 2,000 running servers on PostgreSQL, against a
  hundredth of it; sizes of projects and groups follow a power law, the largest have some thousand persons. Every page
  and every GET of the API is asked for through the real service, by turns with the small site.
- *Spawn*: `spawn_sandbox` asks the Hub's API for a server and waits for that server's own answer; `spawn_usable_s` is
  from the click on a project's page to JupyterLab's launcher in Chromium. Medians of pairs by turns.
- *Revoke*: twenty times, a process in the removed person's server holds a file of the project open and writes; seconds
  from the API's answer to its last write.
- *Memory*: proportional set sizes (PSS) after some page views, Hub, proxy and projects service.
- *Kubernetes*: `kube_spawn_500` starts 500 servers through a real Hub on a control plane whose nodes KWOK plays, and
  500 through one with stock KubeSpawner, a hundred here and a hundred there, and is the mean of three such runs;
  `kube_hub_cpu_500` is the CPU time of the Hub whose turn it is; `kube_enforce_2000_s` is one look with a hundred
  removals among 2,000 pods, until the last deletion is sent; `kube_revoke_worst_s` is *Revoke* in pods of a real node,
  ten times, and `kube_start_p50` the time from the Hub's API to the server's answer there.
- *Demo*: `make demo` in a fresh checkout with an empty home, until the login page answers; system packages are there.

"""


def machine() -> str:
    """Return what the run was on, in one phrase."""
    cpu = re.search(r"model name\s*:\s*(.+)", Path("/proc/cpuinfo").read_text(encoding="utf-8"))
    memory = re.search(r"MemTotal:\s*(\d+)", Path("/proc/meminfo").read_text(encoding="ascii"))
    system = platform.freedesktop_os_release()["PRETTY_NAME"]
    cores, gigabytes = os.cpu_count(), round(int(memory[1]) / 1024**2) if memory else 0
    return (
        f"{cores} cores of {cpu[1] if cpu else platform.machine()}, {gigabytes} GiB, {system}, Python"
        f" {platform.python_version()}, JupyterHub {version('jupyterhub')}, JupyterLab {version('jupyterlab')}"
    )


def page(figures: Iterable[dict[str, Any]]) -> str:
    """Return the page: the figures with a bar first, then what they consist of, then each read."""
    found = list(figures)
    reads: dict[str, dict[str, dict[str, Any]]] = {}
    for figure in found:
        name, _, read = str(figure["name"]).partition(".")
        if read and name.startswith("scale_read"):
            reads.setdefault(read, {})[name] = figure
    told = [f for f in found if f["name"] in BARS]
    parts = [f for f in found if "." in f["name"] and not f["name"].startswith("scale_read")]
    lines = ["| figure | value | at most | held | peer | peer's value | ratio |", "|---|--:|--:|---|---|--:|--:|"]
    lines += [_row(f, BARS[f["name"]], "yes" if _is_held(f) else "**no**") for f in told]
    lines += ["", "## Parts", "", "| figure | value | peer | peer's value | ratio |", "|---|--:|---|--:|--:|"]
    lines += [_row(f) for f in parts]
    lines += ["", "## Every read", "", "Milliseconds; in brackets those of the small site.", ""]
    lines += ["| read | median | ratio | 99th percentile |", "|---|--:|--:|--:|"]
    lines += [_read(name, taken["scale_read_p50"], taken["scale_read_p99_ms"]) for name, taken in sorted(reads.items())]
    head = _HEAD.format(day=datetime.now(UTC), machine=machine())
    return head + "\n".join(lines) + "\n"


def _is_held(figure: dict[str, Any]) -> bool:
    bar = BARS[figure["name"]].split()
    return bool(figure["ratio"] <= float(bar[1]) if bar[0] == "ratio" else figure["value"] <= float(bar[0]))


def _row(figure: dict[str, Any], *bar: str) -> str:
    name, unit = figure["name"], figure["unit"]
    cells = [f"`{name}`", f"{figure['value']:g} {unit}", *bar, figure["peer"], f"{figure['peer_value']:g}"]
    return f"| {' | '.join([*cells, str(figure['ratio'])])} |"


def _read(name: str, median: dict[str, Any], high: dict[str, Any]) -> str:
    cells = (
        f"`{name}`",
        f"{median['value']:.1f} ({median['peer_value']:.1f})",
        f"{median['ratio']:.2f}",
        f"{high['value']:.1f} ({high['peer_value']:.1f})",
    )
    return f"| {' | '.join(cells)} |"


if __name__ == "__main__":
    TARGET.write_text(page(json.loads(line) for line in sys.stdin if line.startswith("{")), encoding="utf-8")
