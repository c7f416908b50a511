"""Inviting people, by name or by a link, and what becomes of it."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta

from pydantic import BaseModel, ConfigDict, Field
from sqlalchemy import Select, select
from sqlalchemy.ext.asyncio import AsyncSession

from jupyterhub_collab.access.models import Actor, Permission, Role
from jupyterhub_collab.access.service import Authorizer
from jupyterhub_collab.audit.service import record
from jupyterhub_collab.audit.store import AuditStore
from jupyterhub_collab.database import Database, reads, writes
from jupyterhub_collab.errors import InvalidInputError, InvitationUsedError, NotFoundError
from jupyterhub_collab.names import code_hash, code_hint, new_code
from jupyterhub_collab.settings import Limits
from jupyterhub_collab.volumes.models import DataAttachment
from jupyterhub_collab.volumes.store import DataStore

from .invitation_store import InvitationStore, JoinRequestStore
from .member_service import join, may_invite
from .member_store import MemberStore
from .models import Invitation, InvitationState, JoinRequestState, NewInvitation, Project
from .schema import ProjectRow
from .store import ProjectStore


class NewLink(BaseModel):
    """What an invitation link is made from."""

    model_config = ConfigDict(extra="forbid")

    role: Role
    days: int = Field(default=7, ge=1)
    """Days for which it is valid."""
    uses: int = Field(default=1, ge=1)
    """Persons who may use it."""


class Offer(BaseModel):
    """An invitation with what its holder needs to decide."""

    model_config = ConfigDict(frozen=True)

    invitation: Invitation
    project: Project
    data: list[DataAttachment]
    members: int
    my_role: Role | None


class InvitationService:
    """Invitations."""

    def __init__(
        self, database: Database, authorizer: Authorizer, limits: Limits, clock: Callable[[], datetime]
    ) -> None:
        self._database = database
        self._authorizer = authorizer
        self._limits = limits
        self._clock = clock

    @writes
    async def make_link(self, session: AsyncSession, who: str | None, slug: str, new: NewLink) -> NewInvitation:
        """Make an invitation link. Its code is returned this once; only a hash is kept.

        Raises
        ------
        NotFoundError, MissingPermissionError, ArchivedError, InvalidInputError
        """
        if new.days > self._limits.invitation_days:
            msg = f"An invitation can be valid for at most {self._limits.invitation_days} days."
            raise InvalidInputError(msg, field="days")
        if new.uses > self._limits.invitation_uses:
            raise InvalidInputError(f"A link can have at most {self._limits.invitation_uses} uses.", field="uses")
        access = await self._authorizer.project(session, who, slug, Permission.MANAGE_MEMBERS, lock=True)
        code, now = new_code(), self._clock()
        invitation = await InvitationStore(session).add_link(
            project=slug,
            role=new.role,
            code_hash=code_hash(code),
            code_hint=code_hint(code),
            invited_by=access.name,
            created_at=now,
            expires_at=now + timedelta(days=new.days),
            uses=new.uses,
            uses_left=new.uses,
        )
        detail = {"role": new.role.value, "uses": new.uses, "days": new.days}
        await record(session, now, access.name, "invitation.create", f"link {code_hint(code)}…", project=slug, **detail)
        return NewInvitation(**invitation.model_dump(), code=code)

    @reads
    async def of_project(self, session: AsyncSession, who: str | None, slug: str) -> list[Invitation]:
        """Return the open invitations of a project."""
        await self._authorizer.project(session, who, slug, Permission.MANAGE_MEMBERS)
        return await InvitationStore(session).of_project(slug, self._clock())

    @reads
    async def mine(self, session: AsyncSession, who: str | None) -> list[Invitation]:
        """Return my open invitations."""
        actor = await self._authorizer.site_account(session, who)
        return await InvitationStore(session).of_person(actor.name, self._clock())

    @reads
    async def is_valid_code(self, session: AsyncSession, code: str) -> bool:
        """Tell whether a code would let one more account in now."""
        invitation = await InvitationStore(session).by_code(code_hash(code))
        if invitation is None or await self._why_not(session, None, invitation) is not None:
            return False
        project = await session.get(ProjectRow, invitation.project)
        return project is not None and project.deleted_at is None

    @writes
    async def reserve(self, session: AsyncSession, code: str, name: str) -> bool:
        """Let an account in by a link: it holds one of its uses until it joins. Tell whether there is one for it.

        For the authenticator. Twice for one account is the same as once.
        """
        store = InvitationStore(session)
        found = await store.by_code(code_hash(code))
        row = await session.scalar(_locked(found.project)) if found is not None else None
        if found is None or row is None or row.deleted_at is not None:
            return False
        invitation = await store.get(found.id)  # once more, now that nobody else can use it up
        assert invitation is not None  # noqa: S101 - its project is held
        reserved = await store.is_reserved(found.id, name)
        if await self._why_not(session, None, invitation, reserved=reserved) is not None:
            return False
        if not reserved:
            await store.reserve(found.id, name, self._clock())
            await self._note(session, "invitation.reserve", invitation, name)
        return True

    @writes
    async def release(self, session: AsyncSession, code: str, name: str) -> None:
        """Give back the use that `reserve` took for an account that could not be made."""
        store = InvitationStore(session)
        found = await store.by_code(code_hash(code))
        if found is not None and await store.answer(found.id, name):
            await store.use(found.id, -1)
            await self._note(session, "invitation.release", found, name)

    async def _note(self, session: AsyncSession, action: str, invitation: Invitation, name: str) -> None:
        await record(session, self._clock(), name, action, invitation.target, project=invitation.project)

    @reads
    async def admits(self, session: AsyncSession, name: str) -> bool:
        """Tell whether an account came by a link: it is a member by one, or holds a use; for the authenticator."""
        store = InvitationStore(session)
        if await store.has_joined(name):
            return True
        held = await store.reserved_by(name)
        return any([await self._why_not(session, None, invitation, reserved=True) is None for invitation in held])

    @reads
    async def look(self, session: AsyncSession, who: str | None, key: int | str) -> Offer:
        """Return what an invitation offers: by its id for the person invited, by its code for the holder of a link.

        Raises
        ------
        NotFoundError, InvitationUsedError
        """
        actor = await self._authorizer.actor(session, who) if who is not None else None
        invitation = await self._offered(session, actor, key)
        row = await session.get(ProjectRow, invitation.project)
        if row is None or row.deleted_at is not None:
            raise NotFoundError("invitation")
        slug = invitation.project
        return Offer(
            invitation=invitation,
            project=Project.model_validate(row, from_attributes=True),
            data=await DataStore(session).attached(slug),
            members=(await MemberStore(session).counts([slug])).get(slug, 0),
            my_role=await self._authorizer.role(session, actor.name, slug) if actor else None,
        )

    async def _held(self, session: AsyncSession, actor: Actor | None, key: int | str) -> Invitation:
        """Return the open invitation that the actor holds: theirs by id, anyone's who knows the code."""
        store = InvitationStore(session)
        invitation = await (store.get(key) if isinstance(key, int) else store.by_code(code_hash(key)))
        if invitation is None:
            raise NotFoundError("invitation")
        if isinstance(key, int) and (actor is None or invitation.user != actor.name):
            raise NotFoundError("invitation")
        if (why := self._why_over(invitation, reserved=await self._reserved(session, actor, invitation))) is not None:
            raise InvitationUsedError(why)
        return invitation

    async def _reserved(self, session: AsyncSession, actor: Actor | None, invitation: Invitation) -> bool:
        """Tell whether the actor holds a use; a visitor may be anyone who does, and will be told at the login."""
        return await InvitationStore(session).is_reserved(invitation.id, actor.name if actor else None)

    async def _offered(self, session: AsyncSession, actor: Actor | None, key: int | str) -> Invitation:
        """Return the open invitation that the actor holds and may accept."""
        invitation = await self._held(session, actor, key)
        reserved = await self._reserved(session, actor, invitation)
        if (why := await self._why_not(session, actor, invitation, reserved=reserved)) is not None:
            raise InvitationUsedError(why)
        return invitation

    async def _why_not(
        self, session: AsyncSession, actor: Actor | None, invitation: Invitation, *, reserved: bool = False
    ) -> str | None:
        """Say why an invitation lets an actor, or anybody, in no more: what leads decided since counts."""
        if (why := self._why_over(invitation, reserved=reserved)) is not None:
            return why
        if not await may_invite(session, self._authorizer, invitation.invited_by, invitation.project):
            return "was made by someone who does not manage the project’s members any more"
        if (
            actor is not None
            and invitation.user is None
            and await AuditStore(session).has_since(
                invitation.project, actor.name, ("member.remove", "member.change"), invitation.created_at
            )
        ):
            return "was made before a lead removed you or changed your role"
        return None

    def _why_over(self, invitation: Invitation, *, reserved: bool) -> str | None:
        if invitation.state is not InvitationState.OPEN:
            return f"was {invitation.state.value} before"
        if invitation.expires_at <= self._clock():
            return "has expired"
        return "has been used as often as it may" if invitation.uses_left < 1 and not reserved else None

    @writes
    async def accept(self, session: AsyncSession, who: str | None, key: int | str) -> Project:
        """Join the project. A role that is higher than what the invitation offers stays.

        Raises
        ------
        LoginRequiredError, NotFoundError, InvitationUsedError
        """
        actor = await self._authorizer.site_account(session, who)
        slug = (await self._offered(session, actor, key)).project
        row = await session.scalar(_locked(slug))
        if row is None or row.deleted_at is not None:
            raise NotFoundError("invitation")
        invitation = await self._offered(session, actor, key)  # once more, now that nobody else can use it up
        members, now = MemberStore(session), self._clock()
        held = await members.role(slug, actor.name)
        if held is None or held.rank < invitation.role.rank:
            kind = "link" if invitation.user is None else "invitation"
            await join(
                session, actor.name, slug, actor.name, invitation.role, f"{kind} from {invitation.invited_by}", now
            )
            await self._spend(session, invitation, actor.name)
        else:
            await ProjectStore(session).pin(actor.name, slug)
            await record(session, now, actor.name, "invitation.accept", actor.name, project=slug, role=held.value)
        await self._close_own(session, slug, actor.name)
        await self._answer_request(session, slug, actor.name, now)
        return (await self._authorizer.look(session, actor.name, slug)).project

    async def _spend(self, session: AsyncSession, invitation: Invitation, name: str) -> None:
        """Take a use, or the one that the account holds; close what nobody can use any more."""
        store, left = InvitationStore(session), invitation.uses_left
        if not await store.answer(invitation.id, name):
            await store.use(invitation.id)
            left -= 1
        if left == 0 and not await store.is_reserved(invitation.id, None):
            await store.close(invitation.id, InvitationState.ACCEPTED)

    async def _close_own(self, session: AsyncSession, slug: str, person: str) -> None:
        """Close the invitation by name of someone who is in, whichever way they came."""
        store = InvitationStore(session)
        invitation = await store.open_for(slug, person, self._clock())
        if invitation is not None:
            await store.close(invitation.id, InvitationState.ACCEPTED)

    async def _answer_request(self, session: AsyncSession, slug: str, person: str, now: datetime) -> None:
        """Close the join request of someone who came in by an invitation meanwhile."""
        store = JoinRequestStore(session)
        request = await store.open_of(slug, person)
        if request is not None:
            await store.decide(request.id, JoinRequestState.APPROVED, person, now)

    @writes
    async def decline(self, session: AsyncSession, who: str | None, invitation: int) -> None:
        """Say no to an invitation of mine.

        Raises
        ------
        NotFoundError, InvitationUsedError
        """
        actor = await self._authorizer.site_account(session, who)
        held = await self._held(session, actor, invitation)
        await session.scalar(_locked(held.project))
        held = await self._held(session, actor, invitation)
        await InvitationStore(session).close(held.id, InvitationState.DECLINED)
        await record(session, self._clock(), actor.name, "invitation.decline", actor.name, project=held.project)

    @writes
    async def revoke(self, session: AsyncSession, who: str | None, slug: str, invitation: int) -> None:
        """Close an invitation of a project; twice is the same as once.

        Raises
        ------
        NotFoundError, MissingPermissionError
        """
        access = await self._authorizer.project(session, who, slug, Permission.MANAGE_MEMBERS, lock=True)
        store = InvitationStore(session)
        found = await store.get(invitation)
        if found is None or found.project != slug:
            raise NotFoundError("invitation")
        if found.state is InvitationState.OPEN:
            await store.revoke(invitation)
            await record(session, self._clock(), access.name, "invitation.revoke", found.target, project=slug)


def _locked(slug: str) -> Select[ProjectRow]:
    """Return the query that holds a project's row; not by permission, since who holds an invitation has none yet."""
    return select(ProjectRow).where(ProjectRow.slug == slug).with_for_update().execution_options(populate_existing=True)
