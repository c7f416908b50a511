"""Each alert of the chart, evaluated by Prometheus' own tool on made-up series: when it fires, and when it does not."""

from __future__ import annotations

import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import pytest
import yaml

from tests.support.monitoring import RULES, alerts

pytestmark = pytest.mark.cluster

P: Final = "jupyterhub_collab_"
LOOKED: Final = f"{P}enforcement_last_look_timestamp_seconds"
STOPPED: Final = f"{P}server_stop_failures_total"
LOOK_SECONDS: Final = f"{P}enforcement_look_seconds_bucket"
REQUEST_SECONDS: Final = f"{P}request_seconds_bucket"
USED: Final = f'{P}database_connections{{state="used"}}'
MOST: Final = f"{P}database_connections_limit"


@dataclass(frozen=True, slots=True)
class Case:
    """Series by the notation of Prometheus, one value a minute, and whether an alert has come of them."""

    alert: str
    fires: bool
    series: dict[str, str]
    minutes: int = 30


def slow(histogram: str, percent: int, **labels: str) -> dict[str, str]:
    """Return the series of a histogram in which so many of hundred take between one and ten seconds."""
    given = "".join(f'{name}="{value}",' for name, value in labels.items())
    counts = {"1": 100 - percent, "10": 100, "+Inf": 100}
    return {f'{histogram}{{{given}le="{bound}"}}': f"0+{count}x40" for bound, count in counts.items()}


CASES: Final = [
    Case("CollabHubUnwatched", True, {}),
    Case("CollabHubUnwatched", True, {LOOKED: "0+60x10 stale"}),
    Case("CollabHubUnwatched", False, {LOOKED: "0+60x40"}),
    Case("CollabEnforcementStale", True, {LOOKED: "0+60x10 600x40"}),
    Case("CollabEnforcementStale", True, {LOOKED: "0x40", f"{P}enforcement_look_failures_total": "1+60x40"}),
    Case("CollabEnforcementStale", False, {LOOKED: "0+60x40", f"{P}enforcement_look_failures_total": "7x40"}),
    # A Hub on which nobody ever started a server has not looked, and need not
    Case("CollabEnforcementStale", False, {LOOKED: "0x40", f"{P}enforcement_look_failures_total": "0x40"}),
    Case("CollabServersNotStopped", True, {STOPPED: "0+1x40"}),
    Case("CollabServersNotStopped", True, {f"{P}servers_stopping": "1x40"}),
    Case("CollabServersNotStopped", False, {STOPPED: "3x40", f"{P}servers_stopping": "0 1 0 2 0x40"}),
    Case("CollabLooksSlow", True, slow(LOOK_SECONDS, 10)),
    Case("CollabLooksSlow", False, slow(LOOK_SECONDS, 1)),
    Case("CollabStartsFail", True, {f'{P}spawn_refusals_total{{code="image-pull"}}': "0+1x40"}),
    Case("CollabStartsFail", False, {f'{P}spawn_refusals_total{{code="image-pull"}}': "0x10 2x40"}),
    Case("CollabStartsFail", False, {f'{P}spawn_refusals_total{{code="server-limit-reached"}}': "0+9x40"}),
    Case("CollabStartsFail", False, {f'{P}spawn_refusals_total{{code="resource-limit-reached"}}': "0+9x40"}),
    Case("CollabServiceFails", True, {f'{P}requests_total{{service="projects",status="500"}}': "0+1x40"}),
    Case(
        "CollabServiceFails",
        False,
        {
            f'{P}requests_total{{service="projects",status="500"}}': "0+1x40",
            f'{P}requests_total{{service="projects",status="404"}}': "0+100x40",
        },
    ),
    Case("CollabServiceSlow", True, slow(REQUEST_SECONDS, 10, service="projects", route="/")),
    Case("CollabServiceSlow", False, slow(REQUEST_SECONDS, 1, service="projects", route="/")),
    Case("CollabDatabaseBusy", True, {f"{P}database_given_up_total": "0+1x40"}),
    Case("CollabDatabaseBusy", False, {f"{P}database_given_up_total": "5x40"}),
    Case("CollabConnectionsUsedUp", True, {USED: "15x40", MOST: "15x40"}),
    Case("CollabConnectionsUsedUp", False, {USED: "15 14x40", MOST: "15x40"}),
    Case("CollabVolumeWorkFails", True, {f'{P}volume_task_seconds_count{{outcome="timeout"}}': "0+1x40"}),
    Case("CollabVolumeWorkFails", True, {f'{P}housekeeping_failures_total{{work="purge"}}': "0+1x40"}),
    Case("CollabVolumeWorkFails", False, {f'{P}volume_task_seconds_count{{outcome="done"}}': "0+9x40"}),
    Case("CollabHousekeepingStale", True, {f"{P}housekeeping_last_round_timestamp_seconds": "1x100"}, minutes=90),
    Case("CollabHousekeepingStale", False, {f"{P}housekeeping_last_round_timestamp_seconds": "0+60x100"}, minutes=90),
]


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case.alert}-{'fires' if case.fires else 'is-quiet'}")
def test_an_alert_fires_when_it_should(tmp_path: Path, case: Case) -> None:
    asked = f'count(ALERTS{{alertname="{case.alert}",alertstate="firing"}}) or vector(0)'
    sample = {"labels": "{}", "value": int(case.fires)}
    given: dict[str, Any] = {
        "rule_files": [str(RULES)],
        "evaluation_interval": "1m",
        "tests": [
            {
                "interval": "1m",
                "input_series": [{"series": name, "values": values} for name, values in case.series.items()],
                "promql_expr_test": [{"expr": asked, "eval_time": f"{case.minutes}m", "exp_samples": [sample]}],
            }
        ],
    }
    file = tmp_path / "test.yaml"
    file.write_text(yaml.safe_dump(given), encoding="utf-8")
    done = subprocess.run(["promtool", "test", "rules", file], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_prometheus_takes_the_rules() -> None:
    done = subprocess.run(["promtool", "check", "rules", RULES], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert f"{len(alerts())} rules found" in done.stdout


def test_each_alert_is_tried_both_ways() -> None:
    names = {alert["alert"] for alert in alerts()}
    for fires in (True, False):
        assert {case.alert for case in CASES if case.fires is fires} == names
