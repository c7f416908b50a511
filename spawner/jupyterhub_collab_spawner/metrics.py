"""Prometheus metrics of what runs in the Hub's process; the Hub shows them beside its own at ``/hub/metrics``.

No label holds a name of a person, a project or a server: what a label can say is counted here.
"""

from __future__ import annotations

from typing import Final

from prometheus_client import Counter, Gauge, Histogram

_LOOK_SECONDS: Final = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10)
_TASK_SECONDS: Final = (1, 2, 5, 10, 20, 30, 60, 120, 300)
# How the sentence begins that says why a server is stopped, and the label that stands for it
_STOP_REASONS: Final = {
    "lost ": "lost-mount",
    "stopped by a lead": "stopped-by-lead",
    "over the limit": "over-limit",
    "not for them": "not-for-them",
    "the person was removed": "removed-person",
    "it has no grant": "no-grant",
}

LOOK_SECONDS: Final = Histogram(
    "jupyterhub_collab_enforcement_look_seconds",
    "Time in which a look asked the database what every running server may hold, in seconds.",
    buckets=_LOOK_SECONDS,
)
LOOK_FAILURES: Final = Counter(
    "jupyterhub_collab_enforcement_look_failures_total",
    "Looks that failed, so that nothing was stopped.",
)
LAST_LOOK: Final = Gauge(
    "jupyterhub_collab_enforcement_last_look_timestamp_seconds",
    "When the last look succeeded, in seconds since 1970; 0 before the first.",
)
STOPPED: Final = Counter(
    "jupyterhub_collab_servers_stopped_total",
    "Servers that enforcement stopped, by why: lost-mount, stopped-by-lead, over-limit, not-for-them, removed-person,"
    " no-grant or other.",
    ["reason"],
)
STOP_FAILURES: Final = Counter(
    "jupyterhub_collab_server_stop_failures_total",
    "Servers that enforcement could not stop; the next look tries again.",
)
STOPPING: Final = Gauge(
    "jupyterhub_collab_servers_stopping",
    "Servers that enforcement is stopping now, and whose end is not verified.",
)
REFUSALS: Final = Counter(
    "jupyterhub_collab_spawn_refusals_total",
    "Starts that were refused or failed with a sentence, by the error's code.",
    ["code"],
)
STRAYS: Final = Counter(
    "jupyterhub_collab_strays_ended_total",
    "Servers ended that ran although no Hub stood for them.",
)
CLAIMS: Final = Counter(
    "jupyterhub_collab_claims_total",
    "Changes of volume claims on Kubernetes, by kind of volume and by what was done: made, prepared, grown or deleted.",
    ["volume", "change"],
)
VOLUME_TASK_SECONDS: Final = Histogram(
    "jupyterhub_collab_volume_task_seconds",
    "Time of a pod that prepares, measures, cleans or removes a volume, in seconds, by its work and its outcome"
    " (done, failed or timeout).",
    ["work", "outcome"],
    buckets=_TASK_SECONDS,
)
HOUSEKEEPING_FAILURES: Final = Counter(
    "jupyterhub_collab_housekeeping_failures_total",
    "Work on volumes that failed and is due again, by the work: purge, measure, grow, clean or round.",
    ["work"],
)
LAST_HOUSEKEEPING: Final = Gauge(
    "jupyterhub_collab_housekeeping_last_round_timestamp_seconds",
    "When the last round of housekeeping came to its end, in seconds since 1970; 0 before the first.",
)
PURGED: Final = Counter(
    "jupyterhub_collab_projects_purged_total",
    "Deleted projects whose files and rows were removed for good.",
)


def stop_reason(sentence: str) -> str:
    """Return the label for why a server is stopped; the sentence itself may hold names."""
    return next((label for start, label in _STOP_REASONS.items() if sentence.startswith(start)), "other")
