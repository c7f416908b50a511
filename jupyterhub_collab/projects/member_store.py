"""Translates between members, group grants and their tables."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Select, delete, func, insert, literal, select, union, union_all, update
from sqlalchemy.ext.asyncio import AsyncSession

from jupyterhub_collab.access.models import Role
from jupyterhub_collab.people.schema import PersonGroupRow, PersonRow

from .models import GroupGrant, Member
from .schema import GroupGrantRow, MemberRow, PinRow, ProjectRow


class MemberStore:
    """Members and group grants in one session."""

    def __init__(self, session: AsyncSession) -> None:
        self._session = session

    async def role(self, slug: str, person: str) -> Role | None:
        """Return a person's own role."""
        query = select(MemberRow.role).where(MemberRow.project == slug, MemberRow.person == person)
        return await self._session.scalar(query)

    async def put(self, slug: str, person: str, role: Role, via: str, now: datetime) -> None:
        """Write a person's own role, new or changed; a changed one keeps where it came from and since when."""
        if await self.role(slug, person) is None:
            values = {"project": slug, "person": person, "role": role, "via": via, "since": now}
            await self._session.execute(insert(MemberRow).values(values))
            return
        one = (MemberRow.project == slug, MemberRow.person == person)
        await self._session.execute(update(MemberRow).where(*one).values(role=role))

    async def remove(self, slug: str, person: str) -> None:
        """Remove a person's own role."""
        await self._session.execute(delete(MemberRow).where(MemberRow.project == slug, MemberRow.person == person))

    async def forget_pin(self, slug: str, person: str) -> None:
        """Unpin a project that a person can't mount any more."""
        await self._session.execute(delete(PinRow).where(PinRow.project == slug, PinRow.person == person))

    async def other_leads(self, slug: str, person: str) -> int:
        """Return how many leads of their own right a project has besides a person."""
        query = select(func.count()).where(
            MemberRow.project == slug, MemberRow.role == Role.LEAD, MemberRow.person != person
        )
        return await self._session.scalar(query) or 0

    async def leads(self, slug: str) -> list[str]:
        """Return the leads of a project by name."""
        query = select(MemberRow.person).where(MemberRow.project == slug, MemberRow.role == Role.LEAD)
        return list(await self._session.scalars(query.order_by(MemberRow.person)))

    async def page(self, slug: str, after: str, limit: int) -> list[Member]:
        """Return the members of a project by name, each with the highest of their roles and where it comes from."""
        groups = await self._session.scalars(select(GroupGrantRow.group).where(GroupGrantRow.project == slug))
        return await self.members(slug, list(await self._session.scalars(_names(slug, groups.all(), after, limit))))

    async def members(self, slug: str, names: Sequence[str]) -> list[Member]:
        """Return those of some persons who are members, in the order given."""
        best: dict[str, Member] = {}
        for member in await self._memberships(slug, names):
            held = best.get(member.user)
            if held is None or _precedence(member) > _precedence(held):
                best[member.user] = member
        return [best[name] for name in names if name in best]

    async def roles(self, slug: str, names: Sequence[str]) -> dict[str, Role]:
        """Return the highest role of each of some persons who is a member."""
        found: dict[str, Role] = {}
        for member in await self._memberships(slug, names):
            held = found.get(member.user)
            found[member.user] = member.role if held is None else max(held, member.role, key=lambda role: role.rank)
        return found

    async def _memberships(self, slug: str, names: Sequence[str]) -> list[Member]:
        person = (PersonRow.name, PersonRow.display_name, PersonRow.last_seen)
        own = (
            select(*person, MemberRow.role, MemberRow.via, MemberRow.since)
            .join(MemberRow, MemberRow.person == PersonRow.name)
            .where(MemberRow.project == slug, MemberRow.person.in_(names))
        )
        grouped = (
            select(
                *person, GroupGrantRow.role, (literal("group ") + GroupGrantRow.group).label("via"), GroupGrantRow.since
            )
            .join(PersonGroupRow, PersonGroupRow.person == PersonRow.name)
            .join(GroupGrantRow, GroupGrantRow.group == PersonGroupRow.group)
            .where(GroupGrantRow.project == slug, PersonRow.name.in_(names))
        )
        return [
            Member(user=name, display_name=display, last_seen=seen, role=role, via=via, since=since)
            for name, display, seen, role, via, since in await self._session.execute(union_all(own, grouped))
        ]

    async def counts(self, slugs: Sequence[str]) -> dict[str, int]:
        """Return how many members each of some projects has, own and through groups, each person once."""
        own = select(func.count()).where(MemberRow.project == ProjectRow.slug)
        is_own = select(MemberRow.person).where(
            MemberRow.project == ProjectRow.slug, MemberRow.person == PersonGroupRow.person
        )
        others = (
            select(func.count(PersonGroupRow.person.distinct()))
            .join(GroupGrantRow, GroupGrantRow.group == PersonGroupRow.group)
            .where(GroupGrantRow.project == ProjectRow.slug, ~is_own.correlate(ProjectRow, PersonGroupRow).exists())
        )
        counts = [count.correlate(ProjectRow).scalar_subquery() for count in (own, others)]
        query = select(ProjectRow.slug, counts[0] + counts[1]).where(ProjectRow.slug.in_(slugs))
        return dict(row.tuple() for row in await self._session.execute(query))

    async def groups_behind(self, person: str, slugs: Sequence[str]) -> dict[str, str]:
        """Return the group through which a person is in each project that they have no own role in."""
        own = select(MemberRow.project).where(MemberRow.person == person)
        query = (
            select(GroupGrantRow.project, func.min(GroupGrantRow.group))
            .join(PersonGroupRow, PersonGroupRow.group == GroupGrantRow.group)
            .where(PersonGroupRow.person == person, GroupGrantRow.project.in_(slugs), GroupGrantRow.project.not_in(own))
            .group_by(GroupGrantRow.project)
        )
        return dict(row.tuple() for row in await self._session.execute(query))

    async def group_grants(self, slug: str) -> list[GroupGrant]:
        """Return the groups of a project and how many persons each has now."""
        people = (
            select(func.count())
            .where(PersonGroupRow.group == GroupGrantRow.group)
            .correlate(GroupGrantRow)
            .scalar_subquery()
        )
        query = select(GroupGrantRow, people).where(GroupGrantRow.project == slug).order_by(GroupGrantRow.group)
        return [
            GroupGrant(group=row.group, role=row.role, granted_by=row.granted_by, since=row.since, people=count)
            for row, count in await self._session.execute(query)
        ]

    async def group_role(self, slug: str, group: str) -> Role | None:
        """Return the role that a group has."""
        query = select(GroupGrantRow.role).where(GroupGrantRow.project == slug, GroupGrantRow.group == group)
        return await self._session.scalar(query)

    async def put_group(self, slug: str, group: str, role: Role, granted_by: str, now: datetime) -> None:
        """Give a group a role, or another one."""
        if await self.group_role(slug, group) is None:
            values = {"project": slug, "group": group, "role": role, "granted_by": granted_by, "since": now}
            await self._session.execute(insert(GroupGrantRow).values(**values))
            return
        one = (GroupGrantRow.project == slug, GroupGrantRow.group == group)
        await self._session.execute(update(GroupGrantRow).where(*one).values(role=role))

    async def remove_group(self, slug: str, group: str) -> None:
        """Take a group's role away."""
        await self._session.execute(
            delete(GroupGrantRow).where(GroupGrantRow.project == slug, GroupGrantRow.group == group)
        )


def _precedence(member: Member) -> tuple[int, bool]:
    """Order the roles of one person: the higher one, and of two alike their own before a group's."""
    return member.role.rank, not member.via.startswith("group ")


def _names(slug: str, groups: Sequence[str], after: str, limit: int) -> Select[str]:
    """Return the query of the next names: each source is cut before they merge, so that a large group costs a page."""
    own = _next(select(MemberRow.person).where(MemberRow.project == slug), MemberRow.person, after, limit)
    in_groups = [
        _next(select(PersonGroupRow.person).where(PersonGroupRow.group == group), PersonGroupRow.person, after, limit)
        for group in groups
    ]
    both = union(own, *in_groups).subquery()
    return select(both.c.person).order_by(both.c.person).limit(limit)


def _next(query: Select[str], person: Any, after: str, limit: int) -> Select[str]:
    cut = query.where(person > after).order_by(person).limit(limit).subquery()
    return select(cut.c.person)
