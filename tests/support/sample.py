"""A site like the one in the pictures of the look: enough people, projects and history that no page is empty."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Final

from pydantic import ByteSize

from jupyterhub_collab.access.models import Role, Visibility
from jupyterhub_collab.projects.invitation_service import NewLink
from jupyterhub_collab.projects.models import Invitation
from jupyterhub_collab.projects.service import NewProject, ProjectChanges
from jupyterhub_collab.settings import (
    Allowed,
    DataVolume,
    Environment,
    Holders,
    Limits,
    ResourceClass,
    Rights,
    Site,
    Storage,
)

if TYPE_CHECKING:
    from jupyterhub_collab.factory import Factory

    from .world import Clock

ME: Final = "m.okafor"
NOW: Final = datetime(2026, 11, 21, 10, 24, tzinfo=UTC)
LONG: Final = (
    "Growth-rate anomalies and volcanic forcing, 1958–2001: teaching material for the winter school, second edition"
)
ISOTOPES: Final = (
    "Carbon isotopes in the flask archive: fossil, ocean and land shares of the rise, with the Suess effect as a check."
)
ASKS: Final = "I run the flask line at the coast station and would like to read the fits."
TEAM: Final = {
    "s.iyer": "lead",
    "p.novakova": "editor",
    "r.castellan": "editor",
    "t.solheim": "editor",
    "d.watteau": "viewer",
}
LONG_NAME: Final = "anneliese.vandenbroucke-hernandez"
README: Final = """We fit a trend and a seasonal cycle to weekly mean CO₂ from Mauna Loa and look at what is left over.
The series has 2,284 weeks from March 1958 to December 2001; 59 of them have no value.

![Weekly means and cubic trend](https://example.org/co2-trend.svg)

# Start here

- [trend.ipynb](trend.ipynb) reads the data and fits the model (20 seconds)
- [season.ipynb](season.ipynb) compares the seasonal cycle by decade
- [residuals/](residuals/) holds one notebook for each volcanic period

```python
weekly = pd.read_csv("/data/noaa-co2/mlo-weekly.csv", parse_dates=["date"])
fit = harmonic_fit(weekly, degree=3, harmonics=3)
```
"""


def catalogue() -> dict[str, Any]:
    """Return the parts of the settings that pages show."""
    return {
        "site": Site(name="JupyterHub", operator_contact="hub@example.org"),
        "rights": Rights(operator=Holders(names=frozenset({"operator"}))),
        "limits": Limits(servers_per_person=3),
        "storage": Storage(
            scratch_days=30, public=True, public_editors=frozenset({"tall-tower"}), project_size=ByteSize(50 * 1024**3)
        ),
        "data": {
            "noaa-co2": DataVolume(source="/srv/noaa", description="Weekly means, Mauna Loa, 1958–2001"),
            "flask-network": DataVolume(source="/srv/flask", description="Paired flask samples from 18 stations"),
            "isotope-standards": DataVolume(source="/srv/iso", description="Reference gases, 1977–2024"),
            "inbox": DataVolume(source="/srv/inbox", description="Drop box", writable_by_leads=True),
        },
        "environments": {
            "geoscience": Environment(
                title="Geoscience 2026.1", description="Python 3.13, pandas, xarray, statsmodels"
            ),
            "minimal": Environment(title="Minimal Python"),
        },
        "resource_classes": {
            "medium": ResourceClass.model_validate({"title": "Medium", "cpu": 2, "memory": "4GiB"}),
            "small": ResourceClass.model_validate({"title": "Small", "cpu": 1, "memory": "2GiB"}),
            "large": ResourceClass.model_validate(
                {"title": "Large", "cpu": 8, "memory": "32GiB", "allowed": Allowed(groups=frozenset({"heavy"}))}
            ),
        },
    }


class Sample:
    """Fills a site step by step, at the times that the pictures show."""

    def __init__(self, factory: Factory, clock: Clock) -> None:
        self.factory = factory
        self.clock = clock

    def at(self, **ago: float) -> None:
        """Go to a time before now."""
        self.clock.now = NOW - timedelta(**ago)

    async def people(self) -> None:
        """Let everyone log in once."""
        self.at(days=90)
        names = (
            f"{ME} s.iyer p.novakova h.wren r.castellan t.solheim d.watteau {LONG_NAME} li t.arslan guest4 j.lindqvist"
            " h.watling operator outsider"
        )
        groups = {"h.wren": {"flask-technicians"}, ME: {"flask-technicians"}, "guest4": {"water-vapour"}}
        for name in names.split():
            await self.factory.people.sign_in(name, display_name="", groups=frozenset(groups.get(name, set())))

    async def project(self, who: str, slug: str, title: str, visibility: str, about: str = "") -> None:
        """Make a project."""
        new = NewProject(title=title, slug=slug, description=about, visibility=Visibility(visibility))
        await self.factory.projects.create(who, new)

    async def join(self, lead: str, slug: str, person: str, role: str) -> None:
        """Invite someone, who accepts."""
        offer = await self.factory.members.put(lead, slug, person, Role(role))
        if isinstance(offer, Invitation):
            await self.factory.invitations.accept(person, offer.id)

    async def server(self, person: str, name: str) -> None:
        """Grant a server, as a start does."""
        await self.factory.servers.grant(person, name, running=None)

    async def fill(self) -> None:
        """Make everything."""
        await self.people()
        await self._others()
        await self._carbon()
        await self._late()
        self.clock.now = NOW

    async def _others(self) -> None:
        self.at(days=64)
        await self.project(ME, "qc", "QC", "private")
        self.at(days=22)
        await self.project("p.novakova", "growth-rate", LONG, "public")
        await self.join("p.novakova", "growth-rate", ME, "viewer")
        self.at(hours=18, minutes=22)
        await self.project(
            "h.wren",
            "flask-network",
            "Flask network intercomparison",
            "private",
            "Same air, six laboratories: offsets and their drift",
        )
        await self.factory.members.put_group("h.wren", "flask-network", "flask-technicians", Role.EDITOR)
        self.at(hours=5)
        await self.project(
            "s.iyer", "ocean-sinks", "Ocean carbon sinks", "internal", "Surface fluxes from ship tracks and moorings"
        )
        await self.join("s.iyer", "ocean-sinks", ME, "viewer")
        await self.server(ME, "ocean-sinks")
        self.at(minutes=44)
        await self.factory.members.put("s.iyer", "ocean-sinks", ME, Role.EDITOR)
        await self.project(
            "j.lindqvist", "methane", "Methane isotopologues", "internal", "Clumped isotopes in archived flask air"
        )
        await self.project("j.lindqvist", "isotope-ratios", "Isotope ratios δ¹³C", "internal", ISOTOPES)
        await self.factory.data.attach("j.lindqvist", "isotope-ratios", "flask-network")
        await self.factory.data.attach("j.lindqvist", "isotope-ratios", "isotope-standards")
        self.at(days=30)
        await self.project(ME, "old-course", "Course of 2024", "internal")
        await self.factory.projects.archive(ME, "old-course")

    async def _carbon(self) -> None:
        slug = "atmospheric-co2"
        self.at(days=20)
        await self.project(
            ME, slug, "Atmospheric CO₂", "internal", "Weekly series from Mauna Loa, trend and seasonal fits"
        )
        await self.factory.projects.change(ME, slug, ProjectChanges(readme=README), etag=None)
        for person, role in TEAM.items():
            await self.join(ME, slug, person, role)
        await self.factory.members.put_group(ME, slug, "flask-technicians", Role.EDITOR)
        await self.factory.data.attach(ME, slug, "noaa-co2")
        self.at(days=9)
        await self.factory.projects.change("s.iyer", slug, ProjectChanges(environment="minimal"), etag=None)
        await self.factory.projects.change("s.iyer", slug, ProjectChanges(environment="geoscience"), etag=None)
        self.at(days=3, hours=19)
        await self.factory.invitations.make_link("s.iyer", slug, NewLink(role=Role.EDITOR, days=4, uses=20))
        self.at(days=3)
        made = await self.factory.invitations.make_link(ME, slug, NewLink(role=Role.VIEWER, days=7, uses=1))
        await self.factory.invitations.accept(LONG_NAME, made.code or "")
        self.at(days=2)
        await self.factory.join_requests.ask("guest4", slug)
        self.at(days=1)
        await self.factory.members.put(ME, slug, "li", Role.VIEWER)

    async def _late(self) -> None:
        slug = "atmospheric-co2"
        self.at(hours=3)
        await self.factory.join_requests.ask("t.arslan", slug, ASKS)
        await self.factory.members.put("j.lindqvist", "isotope-ratios", ME, Role.EDITOR)
        self.at(hours=2, minutes=12)
        for person in (ME, "s.iyer", "p.novakova"):
            await self.server(person, slug)
        self.at(minutes=19)
        await self.factory.data.attach("s.iyer", slug, "flask-network")
        self.at(days=1)
        await self.factory.join_requests.ask(ME, "methane")
        await self.factory.projects.measured(slug, 38_200_000_000)
        self.at(minutes=2)
        await self.project(ME, "tall-tower", "Tall-tower profiles", "private")
        self.at(minutes=1)
        await self.project("r.castellan", "buoys", "Buoys of 2019", "internal")
        await self.factory.projects.delete("r.castellan", "buoys")
