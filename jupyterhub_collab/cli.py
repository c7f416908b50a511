"""The command `jupyterhub-collab`: one function for each verb."""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TypeVar

from sqlalchemy.exc import OperationalError
from sqlalchemy.ext.asyncio import AsyncSession

from . import __version__, doctor
from .audit.models import Event
from .backup import back_up
from .demo import running
from .demo.errors import DemoError
from .errors import BackupError, CollabError, DatabaseError, SettingsError
from .factory import Factory, utc_now
from .migrations import upgrade
from .projects import export
from .projects.models import Project
from .settings import FILE_VARIABLE, load_settings
from .state import DEFAULT, STATE_VARIABLE, StateFolder

T = TypeVar("T")
Arguments = argparse.Namespace


def main(arguments: Sequence[str] | None = None) -> None:
    """Run one verb; the exit code is 0 where it worked."""
    given = parser().parse_args(arguments)
    _choose_settings(given)
    _find_programs()
    try:
        sys.exit(given.verb(given))
    except (BackupError, DemoError, SettingsError, DatabaseError) as error:
        sys.exit(str(error))
    except CollabError as error:
        sys.exit(error.detail)
    except OperationalError:  # its own words may hold the password
        sys.exit("The database does not answer, or has older tables. Look with: jupyterhub-collab doctor")


def parser() -> argparse.ArgumentParser:
    """Return the parser of the command line; the manual's reference is made from it."""
    made = argparse.ArgumentParser(prog="jupyterhub-collab", description="Run and look after JupyterHub Collab.")
    made.add_argument("--version", action="version", version=__version__)
    made.add_argument("--settings", type=Path, help=f"the settings file (else what {FILE_VARIABLE} names)")
    made.add_argument("--state", type=Path, help=f"the state folder (else {STATE_VARIABLE}, or {DEFAULT})")
    verbs = made.add_subparsers(required=True, metavar="VERB")
    _add_demo(verbs)
    _add_doctor(verbs)
    _add_database(verbs)
    _add_backup(verbs)
    _add_projects(verbs)
    _add_people(verbs)
    _add_audit(verbs)
    return made


def _add_demo(verbs: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    verb = verbs.add_parser("demo", help="run a Hub to try, with five accounts, on loopback; Ctrl-C ends it")
    verb.add_argument("--port", type=int, default=os.environ.get("PORT", "8000"), help="else PORT, or 8000")
    verb.set_defaults(verb=demo)


def _add_doctor(verbs: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    verb = verbs.add_parser("doctor", help="look what is missing on this machine; each failed line says the fix")
    verb.add_argument("--hub", default=doctor.default_address(), help="where the Hub answers (else on PORT, or 8000)")
    verb.set_defaults(verb=examine)


def _add_database(verbs: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    database = verbs.add_parser("db", help="the core's database").add_subparsers(required=True, metavar="VERB")
    verb = database.add_parser("upgrade", help="bring its tables to this release; Hub and services do so by themselves")
    verb.set_defaults(verb=upgrade_database)


def _add_backup(verbs: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    verb = verbs.add_parser("backup", help="copy databases, secrets and settings while the Hub runs; not the volumes")
    verb.add_argument("folder", type=Path, help="a new folder for the copy")
    verb.set_defaults(verb=make_backup)


def _add_projects(verbs: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    projects = verbs.add_parser("projects", help="projects, as an operator sees them")
    nested = projects.add_subparsers(required=True, metavar="VERB")
    verb = nested.add_parser("list", help="all projects by slug, a line each")
    verb.add_argument("--deleted", action="store_true", help="those that can still be restored")
    verb.set_defaults(verb=list_projects)
    verb = nested.add_parser("show", help="one project and its members")
    verb.add_argument("slug")
    verb.set_defaults(verb=show_project)
    verb = nested.add_parser("export", help="all that the database holds of a project, as JSON")
    verb.add_argument("slug")
    verb.set_defaults(verb=export_project)


def _add_people(verbs: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    nested = verbs.add_parser("people", help="persons").add_subparsers(required=True, metavar="VERB")
    verb = nested.add_parser("remove", help="take a person out of all projects and groups and stop their servers")
    verb.add_argument("name", help="the account name")
    verb.set_defaults(verb=remove_person)


def _add_audit(verbs: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    verb = verbs.add_parser("audit", help="who changed what, newest first")
    for column in ("project", "actor", "action", "target"):
        verb.add_argument(f"--{column}", help=f"only events with this {column}")
    verb.add_argument("--limit", type=_positive, default=30, help="how many (30)")
    verb.add_argument("--json", action="store_true", help="a JSON object a line")
    verb.set_defaults(verb=show_events)


def _positive(text: str) -> int:
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError("must be 1 or more")
    return number


def _choose_settings(given: Arguments) -> None:
    """Let the command read what the Hub reads: the file named here, in the environment, or in the state folder."""
    kept = _state(given).settings
    if given.settings is not None:
        os.environ[FILE_VARIABLE] = str(given.settings)
    elif FILE_VARIABLE not in os.environ and os.access(kept, os.R_OK):
        os.environ[FILE_VARIABLE] = str(kept)


def _find_programs() -> None:
    """Look for programs beside this Python and in the checkout first: it may have a node and a proxy of its own."""
    own = (Path(sys.executable).parent, running.CHECKOUT / "node_modules" / ".bin")
    os.environ["PATH"] = os.pathsep.join([*map(str, own), os.environ.get("PATH", os.defpath)])


def _state(given: Arguments) -> StateFolder:
    return StateFolder(given.state or os.environ.get(STATE_VARIABLE) or DEFAULT)


def demo(given: Arguments) -> int:
    """Run the demo until Ctrl-C."""
    running.run(StateFolder(given.state or "demo-state"), given.port)
    return 0


def examine(given: Arguments) -> int:
    """Print a line for each check; return 1 where one failed."""
    return asyncio.run(_examine(given))


async def _examine(given: Arguments) -> int:
    failed = 0
    for name, check in doctor.checks(_state(given), given.hub):
        found = await doctor.run(check)
        failed += not found.ok
        _say(f"{'ok    ' if found.ok else 'FAILED'}  {name}: {found.sentence}")
    return 1 if failed else 0


def upgrade_database(_given: Arguments) -> int:
    """Bring the tables of the core's database to this release."""

    async def work() -> None:
        async with _factory() as factory:
            await upgrade(factory.database)

    asyncio.run(work())
    return 0


def make_backup(given: Arguments) -> int:
    """Copy what the Hub keeps beside its volumes; print a line for each thing that was copied, or left."""
    for line in back_up(_state(given), load_settings(), given.folder):
        _say(line)
    return 0


def list_projects(given: Arguments) -> int:
    """Print a line for each project."""

    async def work(factory: Factory, session: AsyncSession) -> None:
        after = ""
        while True:
            page = await factory.projects.dump(session, deleted=given.deleted, after=after)
            for project in page.items:
                _say(_line(project))
            if page.next is None:
                return
            after = page.next

    asyncio.run(_with_session(work))
    return 0


def _line(project: Project) -> str:
    state = "deleted" if project.deleted_at else project.state
    return f"{project.slug:30}  {state:8}  {project.visibility:8}  {project.title}"


def show_project(given: Arguments) -> int:
    """Print a project and its members."""
    found = asyncio.run(_export(given.slug))
    _say(_line(found.project))
    for member in found.members:
        _say(f"  {member.role:6}  {member.user}  ({member.via}, since {member.since:%Y-%m-%d})")
    for group in found.groups:
        _say(f"  {group.role:6}  group {group.group}  ({group.people} people)")
    for data in found.data:
        _say(f"  data    {data.name}  at {data.path}, {data.mode}")
    return 0


def export_project(given: Arguments) -> int:
    """Print all that the database holds of a project, as JSON."""
    _say(asyncio.run(_export(given.slug)).model_dump_json(indent=2))
    return 0


def remove_person(given: Arguments) -> int:
    """Remove a person from all projects and groups; enforcement stops their servers."""

    async def work() -> None:
        async with _factory() as factory:
            await factory.departures.remove_by_command(given.name)

    asyncio.run(work())
    _say(f"{given.name} is removed. Keep the account from logging in, and delete it on the Hub's admin page.")
    return 0


def show_events(given: Arguments) -> int:
    """Print audit events."""

    async def work(factory: Factory, session: AsyncSession) -> list[Event]:
        search = {name: getattr(given, name) for name in ("project", "actor", "action", "target")}
        return (await factory.audit.dump(session, limit=given.limit, **search)).items

    for event in asyncio.run(_with_session(work)):
        _say(event.model_dump_json() if given.json else _event_line(event))
    return 0


def _event_line(event: Event) -> str:
    detail = json.dumps(event.detail, ensure_ascii=False) if event.detail else ""
    where = f"in {event.project}" if event.project and event.project != event.target else ""
    return " ".join(
        filter(None, (f"{event.at:%Y-%m-%d %H:%M:%SZ}", event.actor, event.action, event.target, where, detail))
    )


async def _export(slug: str) -> export.ProjectExport:
    async def work(_factory: Factory, session: AsyncSession) -> export.ProjectExport:
        return await export.export(session, slug, utc_now())

    return await _with_session(work)


@asynccontextmanager
async def _factory() -> AsyncIterator[Factory]:
    factory = Factory.open(load_settings())
    try:
        yield factory
    finally:
        await factory.close()


async def _with_session(work: Callable[[Factory, AsyncSession], Awaitable[T]]) -> T:
    async with _factory() as factory:
        return await factory.database.read(lambda session: work(factory, session))


def _say(text: str) -> None:
    print(text)  # noqa: T201 - the command's answer


if __name__ == "__main__":
    main()
