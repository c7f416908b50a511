"""Making, changing, archiving, deleting and finding projects."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Annotated

from pydantic import BaseModel, ByteSize, ConfigDict, Field, StringConstraints, field_validator
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession

from jupyterhub_collab.access.models import SYSTEM, Permission, Role, SiteRight, Visibility
from jupyterhub_collab.access.service import Access, Authorizer, missing
from jupyterhub_collab.audit.service import record
from jupyterhub_collab.database import Database, reads, writes
from jupyterhub_collab.environments.service import Catalogue
from jupyterhub_collab.errors import (
    ChangedMeanwhileError,
    ConflictError,
    InvalidInputError,
    NoUndoError,
    SlugTakenError,
    SmallerVolumeError,
)
from jupyterhub_collab.names import check_slug, suggest_slug
from jupyterhub_collab.people.store import PeopleStore
from jupyterhub_collab.settings import Limits

from .cursors import pack, unpack
from .member_store import MemberStore
from .models import Page, Project, ProjectState, ProjectSummary
from .store import DirectoryFilter, ProjectStore

PAGE = 20
MEASURED = 200
_FRESH = timedelta(hours=1)
_RECENT = timedelta(days=30)

Line = Annotated[str, StringConstraints(strip_whitespace=True)]


def _one_line(text: str | None) -> str | None:
    if text is not None and not text.isprintable():
        msg = "use one line of characters that can be printed"
        raise ValueError(msg)
    return text


class NewProject(BaseModel):
    """What a project is made from; a title is enough."""

    model_config = ConfigDict(extra="forbid")

    title: Line = Field(min_length=1, max_length=120)
    slug: str | None = None
    description: Line = Field(default="", max_length=300)
    visibility: Visibility = Visibility.PRIVATE
    readme: str = ""

    _line = field_validator("title", "description")(_one_line)


class ProjectChanges(BaseModel):
    """What can be changed in a project; what is not given stays."""

    model_config = ConfigDict(extra="forbid")

    title: Line | None = Field(default=None, min_length=1, max_length=120)
    description: Line | None = Field(default=None, max_length=300)
    readme: str | None = None
    visibility: Visibility | None = None
    environment: str | None = None
    resource_class: str | None = None
    volume_size: ByteSize | None = Field(default=None, gt=0, lt=2**60)
    """Bytes that the volume shall have room for: Kubernetes, for operators. It only grows."""

    _line = field_validator("title", "description")(_one_line)


class DirectorySearch(BaseModel):
    """What to look for in the directory."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    q: str = Field(default="", max_length=200)
    mine: bool | None = None
    """True: my projects only. False: only those that I can ask to join."""
    visibility: Visibility | None = None
    recent: bool = False
    """Only those that were active in the last month."""
    sort: str = Field(default="active", pattern="^(active|title)$")
    cursor: str | None = None


class ProjectService:
    """Projects."""

    def __init__(  # noqa: PLR0913 - what it stands on
        self,
        database: Database,
        authorizer: Authorizer,
        catalogue: Catalogue,
        limits: Limits,
        clock: Callable[[], datetime],
        *,
        usual_size: int,
    ) -> None:
        self._database = database
        self._authorizer = authorizer
        self._catalogue = catalogue
        self._limits = limits
        self._clock = clock
        self._usual_size = usual_size

    @writes
    async def create(self, session: AsyncSession, who: str | None, new: NewProject) -> Project:
        """Make a project; its maker is the first lead and has it pinned.

        Raises
        ------
        SiteRightError, InvalidSlugError, SlugTakenError, InvalidInputError, ConflictError
        """
        actor = await self._authorizer.site(session, who, SiteRight.CREATE_PROJECTS)
        store, now = ProjectStore(session), self._clock()
        await PeopleStore(session).hold(actor.name)  # so that two at once count each other
        if await store.count_created_by(actor.name) >= self._limits.projects_per_person:
            msg = f"You made {self._limits.projects_per_person} projects, which is the limit. Delete one first."
            raise ConflictError(msg)
        self._check_readme(new.readme)
        slug = check_slug(new.slug or suggest_slug(new.title))
        project = Project(
            **new.model_dump(exclude={"slug"}),
            slug=slug,
            state=ProjectState.ACTIVE,
            environment=self._catalogue.default_environment(actor.name, actor.groups),
            resource_class=self._catalogue.default_resource_class(actor.name, actor.groups),
            created_at=now,
            created_by=actor.name,
            last_activity=now,
            version=1,
        )
        try:
            await store.add(project)
        except IntegrityError as error:
            raise SlugTakenError(slug) from error
        await MemberStore(session).put(slug, actor.name, Role.LEAD, "made the project", now)
        await store.pin(actor.name, slug)
        await record(session, now, actor.name, "project.create", slug, project=slug, title=new.title)
        return project.model_copy(update={"my_role": Role.LEAD})

    @reads
    async def get(self, session: AsyncSession, who: str | None, slug: str) -> Access:
        """Return a project and what the asker may do with it.

        Raises
        ------
        NotFoundError
        """
        return await self._authorizer.look(session, who, slug)

    @writes
    async def change(
        self, session: AsyncSession, who: str | None, slug: str, changes: ProjectChanges, *, etag: str | None
    ) -> Project:
        """Change a project if ``etag`` is still its version (None: whatever its version is).

        Raises
        ------
        NotFoundError, MissingPermissionError, SiteRightError, ArchivedError, ChangedMeanwhileError,
        InvalidInputError, NotAllowedHereError, SmallerVolumeError
        """
        wanted = changes.model_dump(exclude_none=True)
        needed = Permission.CHANGE_README if wanted.keys() == {"readme"} else Permission.CHANGE_SETTINGS
        access = await self._authorizer.project(session, who, slug, needed, lock=True)
        if changes.volume_size is not None:
            self._check_size(access, changes.volume_size)
        if etag is not None and etag != access.project.etag:
            raise ChangedMeanwhileError(access.project.etag)
        self._check_readme(changes.readme or "")
        self._check_catalogue(access, changes)
        before = access.project.model_dump()
        differing = {key: value for key, value in wanted.items() if before[key] != value}
        if differing:
            await ProjectStore(session).save(slug, **differing)
            shown = {k: str(v) for k, v in differing.items() if k != "readme"}
            now = self._clock()
            await record(
                session, now, access.name, "project.change", slug, project=slug, fields=sorted(differing), **shown
            )
        return (await self._authorizer.look(session, who, slug)).project

    def _check_readme(self, readme: str) -> None:
        if len(readme.encode(errors="replace")) > self._limits.readme_bytes:
            msg = f"The README has more than {self._limits.readme_bytes:,} bytes. Move the rest into a project file."
            raise InvalidInputError(msg, field="readme")
        if "\0" in readme:
            msg = "The README holds a zero byte, so it is not text."
            raise InvalidInputError(msg, field="readme")

    def _check_size(self, access: Access, size: int) -> None:
        if not access.may(Permission.RESIZE):
            raise missing(Permission.RESIZE)
        present = access.project.volume_size or self._usual_size
        if size < present:
            raise SmallerVolumeError(present)

    def _check_catalogue(self, access: Access, changes: ProjectChanges) -> None:
        """Refuse an environment or size that neither the project nor the one who chooses may use."""
        groups = access.actor.groups if access.actor else frozenset()
        if changes.environment not in (None, access.project.environment):
            self._catalogue.check_environment(changes.environment, access.name, groups, access.project.slug)
        if changes.resource_class not in (None, access.project.resource_class):
            self._catalogue.check_resource_class(changes.resource_class, access.name, groups, access.project.slug)

    @writes
    async def archive(self, session: AsyncSession, who: str | None, slug: str) -> Project:
        """Archive a project: its servers stop, its folder can only be read, it leaves the directory."""
        return await self._set_state(session, who, slug, Permission.ARCHIVE, ProjectState.ARCHIVED, "project.archive")

    @writes
    async def restore(self, session: AsyncSession, who: str | None, slug: str) -> Project:
        """Bring an archived project back to work, or a deleted one to the state that it was in.

        Raises
        ------
        NoUndoError
            It is neither, or its days of grace are over.
        """
        access = await self._authorizer.project(session, who, slug, Permission.RESTORE, lock=True)
        if access.project.deleted_at is not None:
            if access.project.deleted_at <= self._purge_before():
                msg = f"It was deleted more than {self._limits.undo_days} days ago. Its files may be gone already."
                raise NoUndoError(msg)
            await ProjectStore(session).save(slug, deleted_at=None, deleted_by=None)
            await record(session, self._clock(), access.name, "project.undelete", slug, project=slug)
            return (await self._authorizer.look(session, who, slug)).project
        if access.project.state is ProjectState.ACTIVE:
            msg = "The project is neither archived nor deleted."
            raise NoUndoError(msg)
        return await self._set_state(session, who, slug, Permission.RESTORE, ProjectState.ACTIVE, "project.restore")

    async def _set_state(  # noqa: PLR0913 - one helper for the two directions
        self, session: AsyncSession, who: str | None, slug: str, needed: Permission, state: ProjectState, action: str
    ) -> Project:
        access = await self._authorizer.project(session, who, slug, needed, lock=True)
        if access.project.state is not state:
            await ProjectStore(session).save(slug, state=state)
            await record(session, self._clock(), access.name, action, slug, project=slug)
        return (await self._authorizer.look(session, who, slug)).project

    @writes
    async def delete(self, session: AsyncSession, who: str | None, slug: str) -> datetime:
        """Delete a project; return until when it can be restored."""
        access = await self._authorizer.project(session, who, slug, Permission.DELETE, lock=True)
        now = self._clock()
        await ProjectStore(session).save(slug, deleted_at=now, deleted_by=access.name)
        await record(session, now, access.name, "project.delete", slug, project=slug)
        return now + timedelta(days=self._limits.undo_days)

    def _purge_before(self) -> datetime:
        """Return the instant before which a deleted project is gone for good."""
        return self._clock() - timedelta(days=self._limits.undo_days)

    @reads
    async def due_for_purge(self, session: AsyncSession) -> list[str]:
        """Return the deleted projects whose days of grace are over; for the Hub process, which then removes files."""
        return await ProjectStore(session).deleted_before(self._purge_before())

    @writes
    async def purge(self, session: AsyncSession, slug: str) -> None:
        """Remove the rows of a project that `due_for_purge` named and whose files are gone."""
        store = ProjectStore(session)
        if slug in await store.deleted_before(self._purge_before()):
            await store.purge(slug)
            await record(session, self._clock(), SYSTEM.name, "project.purge", slug)

    @reads
    async def to_measure(self, session: AsyncSession) -> list[str]:
        """Return projects whose folder may have another size than is on record; for the Hub process."""
        return await ProjectStore(session).changed_since(self._clock() - _FRESH, MEASURED)

    @writes
    async def measured(self, session: AsyncSession, slug: str, size: int) -> None:
        """Note the size of a project folder in bytes; for the Hub process, which can look."""
        await ProjectStore(session).set_size(slug, size)

    @reads
    async def volume_sizes(self, session: AsyncSession) -> dict[str, int]:
        """Return how many bytes volumes shall have room for where an operator said so; for the Hub process."""
        return await ProjectStore(session).volume_sizes()

    @reads
    async def mine(self, session: AsyncSession, who: str | None, *, archived: bool = False) -> list[ProjectSummary]:
        """Return my projects, last active first."""
        actor = await self._authorizer.site_account(session, who)
        found = await ProjectStore(session).mine(actor.name, archived=archived)
        via = await MemberStore(session).groups_behind(actor.name, [p.slug for p in found])
        return [p.model_copy(update={"via": via.get(p.slug)}) for p in found]

    @reads
    async def directory(self, session: AsyncSession, who: str | None, search: DirectorySearch) -> Page[ProjectSummary]:
        """Return active projects that the asker may find."""
        wanted, by_title = await self._wanted(session, who, search), search.sort == "title"
        after = unpack(search.cursor, instant=not by_title) if search.cursor else None
        store = ProjectStore(session)
        found = await store.directory(wanted, by_title=by_title, after=after, limit=PAGE + 1)
        items = found[:PAGE]
        counts = await MemberStore(session).counts([p.slug for p in items])
        items = [p.model_copy(update={"members": counts.get(p.slug, 0)}) for p in items]
        last = items[-1] if len(found) > PAGE else None
        key = None if last is None else (last.title if by_title else last.last_activity.isoformat())
        return Page(items=items, next=pack(key, last.slug) if last and key else None)

    @reads
    async def count_directory(self, session: AsyncSession, who: str | None, search: DirectorySearch) -> int:
        """Return how many projects the directory has for this search, up to 101."""
        return await ProjectStore(session).count_directory(await self._wanted(session, who, search))

    async def _wanted(self, session: AsyncSession, who: str | None, search: DirectorySearch) -> DirectoryFilter:
        """Return what the asker looks for, as far as they may find it."""
        actor = await self._authorizer.actor(session, who) if who else None
        visibility = {Visibility.PUBLIC, Visibility.INTERNAL} if actor and actor.is_person else {Visibility.PUBLIC}
        return DirectoryFilter(
            roles=await ProjectStore(session).roles(actor.name) if actor else {},
            visibility=frozenset(visibility & {search.visibility} if search.visibility else visibility),
            mine=search.mine if actor else None,
            active_since=self._clock() - _RECENT if search.recent else None,
            search=search.q,
        )

    @reads
    async def all(
        self, session: AsyncSession, who: str | None, *, deleted: bool = False, after: str = "", search: str = ""
    ) -> Page[Project]:
        """Return all projects by slug, or all that can be restored; for operators."""
        await self._authorizer.site(session, who, SiteRight.OPERATOR)
        return await self.dump(session, deleted=deleted, after=after, search=search)

    async def dump(
        self, session: AsyncSession, *, deleted: bool = False, after: str = "", search: str = ""
    ) -> Page[Project]:
        """Return all projects without asking who wants them: for the command line on the server."""
        found = await ProjectStore(session).all(deleted=deleted, after=after, search=search, limit=PAGE + 1)
        return Page(items=found[:PAGE], next=found[PAGE - 1].slug if len(found) > PAGE else None)

    @reads
    async def pins(self, session: AsyncSession, who: str) -> frozenset[str]:
        """Return the projects that someone pinned."""
        return await ProjectStore(session).pins(who)

    @writes
    async def set_pin(self, session: AsyncSession, who: str | None, slug: str, *, pinned: bool) -> None:
        """Pin a project into my workspace server, or take it out.

        Raises
        ------
        NotFoundError, MissingPermissionError
            I am no member, so that there is nothing to mount.
        """
        access = await self._authorizer.project(session, who, slug, Permission.READ_FILES)
        store = ProjectStore(session)
        if pinned == (slug in await store.pins(access.name)):
            return
        await (store.pin if pinned else store.unpin)(access.name, slug)
        action = "project.pin" if pinned else "project.unpin"
        # Of the person and not of the project: it tells nobody else anything
        await record(session, self._clock(), access.name, action, slug)
