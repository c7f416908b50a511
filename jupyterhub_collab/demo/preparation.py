"""What the demo writes before it starts: settings, accounts and the data volume."""

from __future__ import annotations

import asyncio
import csv
import importlib.util
import json
import string
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Final

from jupyterhub_collab.authenticator.accounts import write_accounts
from jupyterhub_collab.factory import Factory
from jupyterhub_collab.migrations import upgrade
from jupyterhub_collab.names import new_code
from jupyterhub_collab.settings import Settings, load_settings
from jupyterhub_collab.state import StateFolder

from .errors import DemoError

ACCOUNTS: Final = {
    "lead": "Mary Okafor",
    "editor": "Shreya Iyer",
    "viewer": "Petra Nováková",
    "outsider": "Henry Wren",
    "operator": "Olu Castellan",
}

_README: Final = """\
# Atmospheric CO2 at Mauna Loa, weekly

`mlo-weekly.csv`: {weeks:,} weeks from {first:%B %Y} to {last:%B %Y}; {missing} of them have no value.

| column | meaning |
|---|---|
| `date` | the Saturday that ends the week |
| `co2` | mean CO2 concentration in ppmv; empty where nothing was measured |

Keeling, C.D. and T.P. Whorf. 2004. Atmospheric CO2 concentrations derived from flask air samples at sites in the SIO
network. In Trends: A Compendium of Data on Global Change. Carbon Dioxide Information Analysis Center, Oak Ridge
National Laboratory, U.S. Department of Energy, Oak Ridge, Tennessee, U.S.A. Public domain; this copy comes with
statsmodels.
"""


def prepare(state: StateFolder, password: str) -> str:
    """Write what the Hub needs; return the password of the demo's accounts.

    It is the given one, else the one that was made at the first start.

    Raises
    ------
    DemoError
        A package that the demo needs is missing.
    SettingsError
        A variable of the environment makes the settings unusable.
    """
    write_data(state / "data" / "noaa-co2")
    template = string.Template(Path(__file__).with_name("settings.toml").read_text(encoding="utf-8"))
    state.settings.write_text(template.substitute(_paths(state)), encoding="utf-8")
    asyncio.run(introduce(load_settings(state.settings)))
    password = password or state.secret("demo-password", new_code)
    write_accounts(state / "accounts.json", ACCOUNTS, password)
    return password


async def introduce(settings: Settings) -> None:
    """Write the persons who have an account, so that others find them before they first log in."""
    factory = Factory.open(settings)
    try:
        await upgrade(factory.database)
        for name, display_name in ACCOUNTS.items():
            if await factory.people.get(name) is None:
                await factory.people.sign_in(name, display_name=display_name, groups=None)
    finally:
        await factory.close()


def _paths(state: StateFolder) -> dict[str, str]:
    """Return what the settings file says of places, as TOML strings, which are written like JSON's."""
    places = {
        "database": f"sqlite+aiosqlite:///{state / 'collab.sqlite'}",
        "storage": str(state / "volumes"),
        "co2": str(state / "data" / "noaa-co2"),
    }
    return {name: json.dumps(value, ensure_ascii=False) for name, value in places.items()}


def write_data(folder: Path) -> None:
    """Write the weekly CO2 series that statsmodels carries, with its description."""
    if (folder / "README.md").exists():
        return
    folder.mkdir(parents=True, exist_ok=True)
    rows = list(_weeks())
    with (folder / "mlo-weekly.csv").open("w", encoding="ascii", newline="") as file:
        table = csv.writer(file, lineterminator="\n")
        table.writerow(("date", "co2"))
        table.writerows((f"{day:%Y-%m-%d}", value) for day, value in rows)
    missing = sum(not value for _, value in rows)
    text = _README.format(weeks=len(rows), first=rows[0][0], last=rows[-1][0], missing=missing)
    (folder / "README.md").write_text(text, encoding="utf-8")
    for path in (folder, *folder.iterdir()):  # servers read it with an account of their own, whatever the umask
        path.chmod(0o755 if path.is_dir() else 0o644)


def _weeks() -> Iterator[tuple[datetime, str]]:
    """Return each week's Saturday and its value, which is empty where there is none.

    Raises
    ------
    DemoError
        statsmodels is not installed.
    """
    package = importlib.util.find_spec("statsmodels")  # only looked for: its import takes seconds
    if package is None or package.origin is None:
        raise DemoError("The demo's data come with statsmodels. Install it: pip install 'jupyterhub-collab[notebook]'")
    with (Path(package.origin).parent / "datasets" / "co2" / "co2.csv").open(encoding="ascii", newline="") as file:
        for row in csv.DictReader(file):
            yield datetime.strptime(row["date"], "%Y%m%d"), row["co2"].strip()  # noqa: DTZ007 - a day
