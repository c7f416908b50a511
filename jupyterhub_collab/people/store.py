"""Translates between persons and their tables."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Final

from sqlalchemy import CTE, delete, func, insert, literal, select, tuple_, union, update
from sqlalchemy.ext.asyncio import AsyncSession

from jupyterhub_collab.tables import insert_or, starts_with

from .models import FoundGroup, FoundPerson, GroupPause, Kind, Person
from .schema import GroupLossRow, GroupPauseRow, PersonGroupRow, PersonRow

_FOUND: Final = (PersonRow.name, PersonRow.display_name, PersonRow.search_name)
_REAL: Final = (PersonRow.kind == Kind.PERSON, PersonRow.gone_at.is_(None))

# Any number: advisory locks of two numbers share no space with those of one, which migrations take
_LOSSES_LOCK: Final = 7221


class PeopleStore:
    """Persons in one session."""

    def __init__(self, session: AsyncSession) -> None:
        self._session = session

    async def get(self, name: str) -> Person | None:
        """Return a person with their groups."""
        row = await self._session.get(PersonRow, name)
        if row is None or row.gone_at is not None:
            return None
        return Person.model_validate(
            {
                **{k: getattr(row, k) for k in ("name", "display_name", "kind", "first_seen", "last_seen")},
                "groups": await self.groups(name),
            }
        )

    async def exists(self, name: str) -> bool:
        """Tell whether there is a person with this name."""
        query = select(PersonRow.name).where(PersonRow.name == name, PersonRow.gone_at.is_(None))
        return await self._session.scalar(query) is not None

    async def is_gone(self, name: str) -> bool:
        """Tell whether the last person with this name was removed."""
        query = select(PersonRow.name).where(PersonRow.name == name, PersonRow.gone_at.is_not(None))
        return await self._session.scalar(query) is not None

    async def mark_gone(self, name: str, now: datetime) -> None:
        """Note that a person was removed."""
        await self._session.execute(update(PersonRow).where(PersonRow.name == name).values(gone_at=now))

    async def renew(self, name: str, kind: Kind, now: datetime) -> None:
        """Give the name of a removed person to somebody else."""
        new = {"holder": PersonRow.holder + 1, "kind": kind, "first_seen": now, "gone_at": None}
        await self._session.execute(update(PersonRow).where(PersonRow.name == name).values(new))

    async def groups(self, name: str) -> frozenset[str]:
        """Return the identity groups that a person is in."""
        query = select(PersonGroupRow.group).where(PersonGroupRow.person == name)
        return frozenset(await self._session.scalars(query))

    async def upsert(self, name: str, display_name: str, kind: Kind, now: datetime) -> bool:
        """Write a person, in one statement so that two logins at once agree; return whether they are new."""
        new = not await self.exists(name)
        values = {
            "display_name": display_name,
            "search_display_name": display_name.lower(),
            "last_seen": now,
        }
        statement = insert_or(self._session, PersonRow).values(
            name=name, search_name=name.lower(), kind=kind, first_seen=now, **values
        )
        await self._session.execute(statement.on_conflict_do_update(index_elements=["name"], set_=values))
        # Every later statement about this person waits here for other logins of the same person
        await self.hold(name)
        return new

    async def hold(self, name: str) -> None:
        """Hold a person's row until the transaction ends."""
        await self._session.execute(select(PersonRow.name).where(PersonRow.name == name).with_for_update())

    async def hold_losses(self, group: str) -> None:
        """Let no other login count the losses of a group until the transaction ends."""
        if self._session.get_bind().dialect.name == "postgresql":
            await self._session.execute(select(func.pg_advisory_xact_lock(_LOSSES_LOCK, func.hashtext(group))))

    async def add_groups(self, name: str, groups: frozenset[str]) -> None:
        """Put a person into groups that they are not in."""
        if groups:
            rows = [{"group": group, "person": name} for group in sorted(groups)]
            await self._session.execute(insert(PersonGroupRow), rows)

    async def remove_group(self, name: str, group: str) -> None:
        """Take a person out of a group."""
        await self._session.execute(
            delete(PersonGroupRow).where(PersonGroupRow.person == name, PersonGroupRow.group == group)
        )

    async def count_losses(self, group: str, person: str, now: datetime, since: datetime) -> int:
        """Note that a person leaves a group; return how many persons left it since then."""
        await self._session.execute(delete(GroupLossRow).where(GroupLossRow.group == group, GroupLossRow.at < since))
        seen = update(GroupLossRow).where(GroupLossRow.group == group, GroupLossRow.person == person).values(at=now)
        if (await self._session.execute(seen)).rowcount == 0:  # type: ignore[attr-defined]
            await self._session.execute(insert(GroupLossRow).values(group=group, person=person, at=now))
        return await self._session.scalar(select(func.count()).where(GroupLossRow.group == group)) or 0

    async def is_paused(self, group: str) -> bool:
        """Tell whether losses of a group are paused."""
        query = select(GroupPauseRow.group).where(GroupPauseRow.group == group, GroupPauseRow.meant_at.is_(None))
        return await self._session.scalar(query) is not None

    async def are_meant(self, group: str, since: datetime) -> bool:
        """Tell whether the operator said since then that losses of a group are meant."""
        query = select(GroupPauseRow.group).where(GroupPauseRow.group == group, GroupPauseRow.meant_at > since)
        return await self._session.scalar(query) is not None

    async def pause(self, group: str, now: datetime, reason: str) -> None:
        """Pause the losses of a group; another login may do so at the same moment."""
        values = {"since": now, "reason": reason, "meant_at": None}
        statement = insert_or(self._session, GroupPauseRow).values(group=group, **values)
        await self._session.execute(statement.on_conflict_do_update(index_elements=["group_name"], set_=values))

    async def resume(self, group: str, now: datetime) -> bool:
        """Note that the losses of a group are meant; return whether they were paused."""
        await self._session.execute(delete(GroupLossRow).where(GroupLossRow.group == group))
        paused = (GroupPauseRow.group == group, GroupPauseRow.meant_at.is_(None))
        result = await self._session.execute(update(GroupPauseRow).where(*paused).values(meant_at=now))
        return bool(result.rowcount)  # type: ignore[attr-defined]

    async def pauses(self) -> list[GroupPause]:
        """Return the groups whose losses are paused."""
        query = select(GroupPauseRow).where(GroupPauseRow.meant_at.is_(None)).order_by(GroupPauseRow.group)
        return [GroupPause.model_validate(row, from_attributes=True) for row in await self._session.scalars(query)]

    async def search(self, text: str, *, exact: bool, limit: int) -> list[FoundPerson]:
        """Return real accounts whose account name or display name starts with (or is) a text."""
        text = text.lower()
        by_name, by_display = PersonRow.search_name, PersonRow.search_display_name
        if exact:
            found = select(*_FOUND).where(by_name == text, *_REAL).limit(limit).subquery()
        else:
            # Each index gives its first rows; an “or” of both would read and sort all that match
            found = union(*(select(_first(column, text, limit)) for column in (by_name, by_display))).subquery()
        query = select(found.c.name, found.c.display_name).order_by(found.c.search_name, found.c.name).limit(limit)
        return [FoundPerson(name=row.name, display_name=row.display_name) for row in await self._session.execute(query)]

    async def search_groups(self, text: str, limit: int) -> list[FoundGroup]:
        """Return groups whose name starts with a text, and how many persons they have."""
        names = _group_names(text, limit)
        people = select(func.count()).where(PersonGroupRow.group == names.c.name).scalar_subquery()
        query = select(names.c.name, people).where(names.c.name.is_not(None)).order_by(names.c.name)
        return [FoundGroup(group=group, people=people) for group, people in await self._session.execute(query)]

    async def group_exists(self, group: str) -> bool:
        """Tell whether anybody is in a group."""
        query = select(PersonGroupRow.group).where(PersonGroupRow.group == group).limit(1)
        return await self._session.scalar(query) is not None

    async def page(self, after: str, limit: int, search: str = "") -> list[Person]:
        """Return persons by name, those after a name, for the operator's page."""
        behind = tuple_(PersonRow.search_name, PersonRow.name) > (after.lower(), after)
        starts = starts_with(PersonRow.search_name, search.lower())
        query = select(PersonRow).where(behind, starts, PersonRow.gone_at.is_(None))
        query = query.order_by(PersonRow.search_name, PersonRow.name).limit(limit)
        rows = list(await self._session.scalars(query))
        grouped: dict[str, set[str]] = {row.name: set() for row in rows}
        groups = select(PersonGroupRow.person, PersonGroupRow.group).where(PersonGroupRow.person.in_(grouped))
        for person, group in await self._session.execute(groups):
            grouped[person].add(group)
        return [
            Person(
                name=row.name,
                display_name=row.display_name,
                kind=row.kind,
                groups=frozenset(grouped[row.name]),
                first_seen=row.first_seen,
                last_seen=row.last_seen,
            )
            for row in rows
        ]


def _first(column: Any, text: str, limit: int) -> Any:
    """Return the first real accounts of one index whose column starts with a text."""
    return (
        select(*_FOUND)
        .where(starts_with(column, text), *_REAL)
        .order_by(column, PersonRow.name)
        .limit(limit)
        .subquery()
    )


def _group_names(text: str, limit: int) -> CTE:
    """Return the query of the first group names that start with a text; one more row is null where there are no more.

    It goes from name to name in the index: a plain DISTINCT would read every person of every group.
    """
    starts = starts_with(PersonGroupRow.group, text)
    first = select(func.min(PersonGroupRow.group).label("name"), literal(1).label("number")).where(starts)
    names = first.cte("names", recursive=True)
    following = select(func.min(PersonGroupRow.group)).where(starts, PersonGroupRow.group > names.c.name)
    step = select(following.correlate(names).scalar_subquery(), names.c.number + 1)
    return names.union_all(step.where(names.c.name.is_not(None), names.c.number < limit))
