"""Run all benchmarks, or the one that prints a figure."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Iterator
from typing import Final

from .figures import Figure

# Which module prints which figures. A module is imported when it runs: not every one needs a browser
BENCHES: Final[dict[str, tuple[str, ...]]] = {
    "demo_ready": ("demo_ready_s",),
    "memory": ("memory_mb",),
    "spawn": ("spawn_sandbox", "spawn_usable_s"),
    "revoke": ("revoke_worst_s",),
    "scale": ("scale_read_p50", "scale_read_p99_ms", "scale_plan_p99_ms", "scale_enforce_ms"),
    "kube_spawn": ("kube_spawn_500", "kube_hub_cpu_500"),
    "kube_enforce": ("kube_enforce_2000_s",),
    "kube_node": ("kube_revoke_worst_s", "kube_start_p50"),
}


def chosen(name: str | None) -> dict[str, tuple[str, ...]]:
    """Return the figures to measure, by module; ``scale_read_p50.my_projects`` is one of ``scale_read_p50``.

    Raises
    ------
    SystemExit
        No benchmark prints this figure.
    """
    if name is None:
        return BENCHES
    found = {
        module: figures if name == module else (name.split(".")[0],)
        for module, figures in BENCHES.items()
        if name.split(".")[0] in (module, *figures)
    }
    if not found:
        known = " ".join(figure for figures in BENCHES.values() for figure in figures)
        sys.exit(f"No benchmark prints “{name}”. Known: {known}")
    return found


def main() -> None:
    """Print the figures as they come."""
    for module, wanted in chosen(sys.argv[1] if sys.argv[1:] else None).items():
        figures: Iterator[Figure] = importlib.import_module(f"tests.bench.{module}").run(wanted)
        for figure in figures:
            print(figure.line(), flush=True)  # noqa: T201 - what it is for


if __name__ == "__main__":
    main()
