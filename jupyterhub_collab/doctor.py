"""What `jupyterhub-collab doctor` looks at: each check says what holds, or what to do."""

from __future__ import annotations

import json
import os
import urllib.error
import urllib.request
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass
from importlib.metadata import entry_points
from inspect import isawaitable
from pathlib import Path
from typing import Any, Final, Protocol

from sqlalchemy.exc import DBAPIError

from .database import Database
from .errors import DatabaseError, SettingsError
from .migrations import refuse_hub_database, revision
from .settings import Settings, load_settings
from .state import StateFolder

ON_A_MACHINE: Final = "jupyterhub_collab.checks"
IN_A_CLUSTER: Final = "jupyterhub_collab.cluster_checks"
"""Groups of entry points: what installed packages look at in either place."""
ACCOUNT: Final = Path("/var/run/secrets/kubernetes.io/serviceaccount/token")
CLUSTER_TOKEN: Final = Path("/etc/jupyterhub-collab/secrets/hub.services.projects.apiToken")
"""Where the Hub's container of the chart has the token of the projects service."""
_TOKEN_VARIABLE: Final = "JUPYTERHUB_API_TOKEN"  # noqa: S105 - the variable's name
# What every token of a service can do without a role: see itself
_HARMLESS: Final = ("read:services", "read:roles:services", "list:services", "access:services")


class Finding(Protocol):
    """What a check found."""

    @property
    def ok(self) -> bool:
        """Whether it holds."""

    @property
    def sentence(self) -> str:
        """What holds, or what to do."""


@dataclass(frozen=True, slots=True)
class Found:
    """What one of our own checks found."""

    ok: bool
    sentence: str


Check = Callable[[], Finding | Awaitable[Finding]]


def checks(state: StateFolder, address: str) -> Iterator[tuple[str, Check]]:
    """Return all checks by name: our own, then those that installed packages bring."""
    yield "settings", check_settings
    yield "database", check_database
    if in_cluster() and not ACCOUNT.exists():
        yield "cluster", _no_account
    else:
        group = IN_A_CLUSTER if in_cluster() else ON_A_MACHINE
        for entry in sorted(entry_points(group=group), key=lambda entry: entry.name):
            yield entry.name, entry.load()
    yield "Hub scopes", lambda: check_scopes(state, address)


def in_cluster() -> bool:
    """Tell whether this runs in a pod of Kubernetes."""
    return "KUBERNETES_SERVICE_HOST" in os.environ


def _no_account() -> Finding:
    return Found(
        ok=False,
        sentence="Only the Hub may ask the cluster. Run doctor there: kubectl exec deploy/<release>-hub -- …",
    )


async def run(check: Check) -> Finding:
    """Run one check, of either kind."""
    found = check()
    return await found if isawaitable(found) else found


def check_settings() -> Finding:
    """Look whether the settings can be used."""
    try:
        settings = load_settings()
    except SettingsError as error:
        return Found(ok=False, sentence=str(error))
    catalogue = f"{len(settings.data)} data volumes, {len(settings.environments)} environments"
    return Found(ok=True, sentence=f"{catalogue}, {len(settings.resource_classes)} resource classes")


async def check_database() -> Finding:
    """Look whether the core's database answers, is the core's own, and has the tables of this release."""
    try:
        settings = load_settings()
    except SettingsError:
        return Found(ok=False, sentence="The settings can't be used, so nobody knows where it is. Mend them first.")
    return await _look_at(settings)


async def _look_at(settings: Settings) -> Finding:
    database = Database(settings.database.url.get_secret_value())
    where = database.url.render_as_string(hide_password=True)
    try:
        async with database.engine.connect() as connection:
            await connection.run_sync(refuse_hub_database)
            present, needed = await connection.run_sync(revision)
    except DatabaseError as error:
        return Found(ok=False, sentence=str(error))
    except (DBAPIError, OSError) as error:
        kind = type(error).__name__  # its own words may hold the password
        return Found(ok=False, sentence=f"{where} does not answer ({kind}). Start it, or mend database.url.")
    finally:
        await database.close()
    if present != needed:
        return Found(ok=False, sentence=f"{where} has older tables. Run: jupyterhub-collab db upgrade")
    return Found(ok=True, sentence=f"{where}, revision {present}")


def check_scopes(state: StateFolder, address: str) -> Finding:
    """Look whether the projects service has no right over anybody, by asking the running Hub what its token may do."""
    try:
        scopes = set(_of_projects_service(state, address)["scopes"])
    except (OSError, ValueError, KeyError) as error:
        reason = getattr(error, "reason", None) or type(error).__name__
        return Found(
            ok=False,
            sentence=f"The Hub at {address} can't be asked ({reason}). Start it, or name it with --hub and --state.",
        )
    if too_many := sorted(scope for scope in scopes if not scope.startswith(_HARMLESS)):
        listed = ", ".join(too_many)
        return Found(ok=False, sentence=f"The projects service may do too much. Take from its role: {listed}")
    return Found(ok=True, sentence="the projects service has no right over anybody's servers or account")


def _of_projects_service(state: StateFolder, address: str) -> dict[str, Any]:
    token = os.environ.get(_TOKEN_VARIABLE) or _token_file(state).read_text(encoding="ascii").strip()
    request = urllib.request.Request(  # noqa: S310 - the operator names the address
        f"{address.rstrip('/')}/hub/api/user", headers={"Authorization": f"token {token}"}
    )
    with urllib.request.urlopen(request, timeout=10) as answer:  # noqa: S310
        model: dict[str, Any] = json.load(answer)
    return model


def _token_file(state: StateFolder) -> Path:
    return CLUSTER_TOKEN if in_cluster() else state / "secrets" / "projects-token"


def default_address() -> str:
    """Return where the Hub listens: what the projects service is told, what the chart says, or the embedded default."""
    if api := os.environ.get("JUPYTERHUB_API_URL"):
        return api.rstrip("/").removesuffix("/hub/api")
    if in_cluster():
        return os.environ.get("JUPYTERHUB_COLLAB_HUB_URL", "http://127.0.0.1:8081")
    return f"http://127.0.0.1:{os.environ.get('PORT', '8000')}"
