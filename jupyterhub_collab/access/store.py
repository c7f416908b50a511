"""The query of roles, which whoever asks for rights starts from."""

from __future__ import annotations

from sqlalchemy import BindParameter, Select, func, select, union_all

from jupyterhub_collab.people.schema import PersonGroupRow
from jupyterhub_collab.projects.schema import GroupGrantRow, MemberRow

from .models import Role


def roles_of(person: str | BindParameter[str]) -> Select[str, Role]:
    """Return the query of every role that a person has, own or through a group: project and role."""
    own = select(MemberRow.project, MemberRow.role).where(MemberRow.person == person)
    grouped = (
        select(GroupGrantRow.project, GroupGrantRow.role)
        .join(PersonGroupRow, PersonGroupRow.group == GroupGrantRow.group)
        .where(PersonGroupRow.person == person)
    )
    both = union_all(own, grouped).subquery("roles")
    return select(both.c.project, func.max(both.c.role).label("role")).group_by(both.c.project)
