"""Who is in a project, with which role."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta

from sqlalchemy.ext.asyncio import AsyncSession

from jupyterhub_collab.access.models import Permission, Role, SiteRight
from jupyterhub_collab.access.service import Access, Authorizer
from jupyterhub_collab.audit.service import record
from jupyterhub_collab.database import Database, reads, writes
from jupyterhub_collab.errors import (
    LastLeadError,
    LoginRequiredError,
    NotFoundError,
    UnknownGroupError,
    UnknownPersonError,
)
from jupyterhub_collab.names import is_hub_group
from jupyterhub_collab.people.store import PeopleStore
from jupyterhub_collab.servers.excess import holders_of_too_much
from jupyterhub_collab.servers.store import ServerStore
from jupyterhub_collab.settings import Limits

from .invitation_store import InvitationStore
from .member_store import MemberStore
from .models import GroupGrant, Invitation, Member, Page
from .store import ProjectStore

PAGE = 50
INVITATION_DAYS = 30


async def join(  # noqa: PLR0913 - what a membership is made of
    session: AsyncSession, access_name: str, slug: str, person: str, role: Role, via: str, now: datetime
) -> None:
    """Make someone a member, with the project pinned, and say so; the one way in, whatever led to it."""
    members = MemberStore(session)
    await members.put(slug, person, role, via, now)
    await ProjectStore(session).pin(person, slug)
    await record(session, now, access_name, "member.add", person, project=slug, role=role.value, via=via)


async def may_invite(session: AsyncSession, authorizer: Authorizer, person: str, slug: str) -> bool:
    """Tell whether a person may invite to a project now."""
    try:
        access = await authorizer.look(session, person, slug)
    except (LoginRequiredError, NotFoundError):
        return False
    return access.may(Permission.MANAGE_MEMBERS)


class MemberService:
    """Members and group grants of projects."""

    def __init__(
        self,
        database: Database,
        authorizer: Authorizer,
        limits: Limits,
        clock: Callable[[], datetime],
        *,
        consent: bool,
    ) -> None:
        self._database = database
        self._authorizer = authorizer
        self._clock = clock
        self._consent = consent
        self._invitation = timedelta(days=min(INVITATION_DAYS, limits.invitation_days))

    @reads
    async def page(self, session: AsyncSession, who: str | None, slug: str, *, after: str = "") -> Page[Member]:
        """Return members by name, with the state of their server for the project."""
        await self._authorizer.project(session, who, slug, Permission.READ_MEMBERS)
        found = await MemberStore(session).page(slug, after, PAGE + 1)
        items = await self._with_servers(session, slug, found[:PAGE])
        return Page(items=items, next=items[-1].user if len(found) > PAGE else None)

    @reads
    async def roles(self, session: AsyncSession, who: str | None, slug: str, people: list[str]) -> dict[str, Role]:
        """Return the role of each of some people who is a member; for those who invite."""
        await self._authorizer.project(session, who, slug, Permission.MANAGE_MEMBERS)
        return await MemberStore(session).roles(slug, people)

    @reads
    async def leaving(self, session: AsyncSession, who: str | None, slug: str) -> list[str]:
        """Return who is no member any more but whose server for the project has not been seen to end yet."""
        await self._authorizer.project(session, who, slug, Permission.READ_MEMBERS)
        holders = await holders_of_too_much(session, slug)
        return [name for name in sorted(holders) if await self._authorizer.role(session, name, slug) is None]

    @reads
    async def leads(self, session: AsyncSession, who: str | None, slug: str) -> list[str]:
        """Return the leads of a project."""
        await self._authorizer.project(session, who, slug, Permission.READ_MEMBERS)
        return await MemberStore(session).leads(slug)

    @reads
    async def count(self, session: AsyncSession, who: str | None, slug: str) -> int:
        """Return how many members a project has."""
        await self._authorizer.look(session, who, slug)
        return (await MemberStore(session).counts([slug])).get(slug, 0)

    @reads
    async def counts(self, session: AsyncSession, who: str | None, slugs: list[str]) -> dict[str, int]:
        """Return how many members each of some projects has; for operators."""
        await self._authorizer.site(session, who, SiteRight.OPERATOR)
        return await MemberStore(session).counts(slugs)

    @writes
    async def put(
        self, session: AsyncSession, who: str | None, slug: str, person: str, role: Role
    ) -> Member | Invitation:
        """Give a person a role: a member's changes at once, anyone else is invited. Twice is the same as once.

        Raises
        ------
        NotFoundError, MissingPermissionError, ArchivedError, UnknownPersonError, LastLeadError
        """
        access = await self._authorizer.project(session, who, slug, Permission.MANAGE_MEMBERS, lock=True)
        if not await PeopleStore(session).exists(person):
            raise UnknownPersonError(person)
        held = await MemberStore(session).role(slug, person)
        if held is None and self._consent:
            return await self._invite(session, access, person, role)
        if held is None:
            await join(session, access.name, slug, person, role, f"added by {access.name}", self._clock())
        elif held is not role:
            await self._change_role(session, access, person, held, role)
        return await self._one(session, slug, person)

    async def _invite(self, session: AsyncSession, access: Access, person: str, role: Role) -> Invitation:
        store, now, slug = InvitationStore(session), self._clock(), access.project.slug
        open_one = await store.open_for(slug, person, now)
        if open_one is not None:
            if open_one.role is role:
                return open_one
            await store.revoke(open_one.id)
        invitation = await store.add_person(slug, person, role, access.name, now, now + self._invitation)
        await record(session, now, access.name, "invitation.create", person, project=slug, role=role.value)
        return invitation

    async def _change_role(self, session: AsyncSession, access: Access, person: str, held: Role, role: Role) -> None:
        slug, members = access.project.slug, MemberStore(session)
        if held is Role.LEAD and await members.other_leads(slug, person) == 0:
            raise LastLeadError(person)
        await members.put(slug, person, role, "", self._clock())
        detail = {"role": role.value, "before": held.value}
        await record(session, self._clock(), access.name, "member.change", person, project=slug, **detail)
        await self._revoke_made_by(session, access, person)

    async def _one(self, session: AsyncSession, slug: str, person: str) -> Member:
        found = await MemberStore(session).members(slug, [person])
        return (await self._with_servers(session, slug, found))[0]

    async def _with_servers(self, session: AsyncSession, slug: str, members: list[Member]) -> list[Member]:
        pending = await holders_of_too_much(session, slug)
        members = await ServerStore(session).with_servers(slug, members)
        return [member.model_copy(update={"removal_pending": member.user in pending}) for member in members]

    @writes
    async def remove(self, session: AsyncSession, who: str | None, slug: str, person: str) -> None:
        """Remove a member, or withdraw the invitation of someone who has not accepted. Members may remove themselves.

        Raises
        ------
        NotFoundError, MissingPermissionError, LastLeadError
        """
        needed = Permission.LEAVE if who == person else Permission.MANAGE_MEMBERS
        access = await self._authorizer.project(session, who, slug, needed, lock=True)
        members = MemberStore(session)
        held = await members.role(slug, person)
        if held is None:
            await self._withdraw(session, access, person)
            return
        if held is Role.LEAD and await members.other_leads(slug, person) == 0:
            raise LastLeadError(person)
        await members.remove(slug, person)
        if await self._authorizer.role(session, person, slug) is None:
            await members.forget_pin(slug, person)
        action = "member.leave" if person == access.name else "member.remove"
        await record(session, self._clock(), access.name, action, person, project=slug, role=held.value)
        await self._revoke_made_by(session, access, person)

    async def _revoke_made_by(self, session: AsyncSession, access: Access, person: str) -> None:
        """Revoke what someone offered who could not offer it now: a link of their own would lead them back in."""
        slug, store = access.project.slug, InvitationStore(session)
        if await may_invite(session, self._authorizer, person, slug):
            return
        for invitation in await store.made_by(slug, person):
            await store.revoke(invitation.id)
            await record(session, self._clock(), access.name, "invitation.revoke", invitation.target, project=slug)

    async def _withdraw(self, session: AsyncSession, access: Access, person: str) -> None:
        store = InvitationStore(session)
        invitation = await store.open_for(access.project.slug, person, self._clock())
        if invitation is None:
            raise NotFoundError(
                "member", f"“{person}” has no role of their own here. Roles through a group go with the group."
            )
        await store.revoke(invitation.id)
        await record(session, self._clock(), access.name, "invitation.revoke", person, project=access.project.slug)

    @reads
    async def groups(self, session: AsyncSession, who: str | None, slug: str) -> list[GroupGrant]:
        """Return the group grants of a project."""
        await self._authorizer.project(session, who, slug, Permission.READ_MEMBERS)
        return await MemberStore(session).group_grants(slug)

    @writes
    async def put_group(self, session: AsyncSession, who: str | None, slug: str, group: str, role: Role) -> GroupGrant:
        """Give an identity group a role. Its persons are members as long as they are in it.

        Raises
        ------
        NotFoundError, MissingPermissionError, ArchivedError, UnknownGroupError
        """
        access = await self._authorizer.project(session, who, slug, Permission.MANAGE_MEMBERS, lock=True)
        if is_hub_group(group) or not await PeopleStore(session).group_exists(group):
            raise UnknownGroupError(group)
        members = MemberStore(session)
        held = await members.group_role(slug, group)
        if held is not role:
            await members.put_group(slug, group, role, access.name, self._clock())
            detail = {"role": role.value} | ({"before": held.value} if held else {})
            await record(session, self._clock(), access.name, "group.grant", group, project=slug, **detail)
        return next(g for g in await members.group_grants(slug) if g.group == group)

    @writes
    async def remove_group(self, session: AsyncSession, who: str | None, slug: str, group: str) -> None:
        """Take a group's role away.

        Raises
        ------
        NotFoundError, MissingPermissionError
        """
        access = await self._authorizer.project(session, who, slug, Permission.MANAGE_MEMBERS, lock=True)
        members = MemberStore(session)
        held = await members.group_role(slug, group)
        if held is None:
            raise NotFoundError("group in this project")
        await members.remove_group(slug, group)
        await record(session, self._clock(), access.name, "group.remove", group, project=slug, role=held.value)
