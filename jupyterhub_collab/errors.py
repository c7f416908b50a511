"""Every error that a person or a program can meet, each with a stable code, a status and a sentence with a way out.

Services raise these; `jupyterhub_collab_services.base.handlers` renders them as a page or as
``application/problem+json`` (RFC 9457), and the spawner turns them into the sentence on the spawn page.
"""

from __future__ import annotations

from typing import Any, ClassVar, Final

_NAMED: Final = 5
"""So many servers are named in a sentence."""


class CollabError(Exception):
    """An error that is shown to whoever caused it.

    ``code`` is part of the API and never changes; ``title`` says what is; ``detail`` says why and what to do next.
    """

    code: ClassVar[str] = "error"
    status: ClassVar[int] = 400
    title: ClassVar[str] = "This did not work"

    def __init__(self, detail: str = "", *, field: str | None = None, **extra: Any) -> None:
        super().__init__(detail or self.title)
        self.detail = detail or f"{self.title}."
        self.field = field
        self.extra = extra

    def problem(self) -> dict[str, Any]:
        """Return the members of the problem document, without the request's own (``instance``)."""
        members: dict[str, Any] = {
            "type": f"urn:jupyterhub-collab:problem:{self.code}",
            "title": self.title,
            "status": self.status,
            "detail": self.detail,
            "code": self.code,
        }
        if self.field is not None:
            members["field"] = self.field
        return members | self.extra


class InvalidInputError(CollabError):
    """A field of a request has a value that cannot be taken."""

    code = "invalid-input"
    status = 422
    title = "A value is not usable"


class InvalidSlugError(InvalidInputError):
    """A slug that is no name for a server, or that is reserved."""

    code = "invalid-slug"
    title = "This short name can't be used"


class NotFoundError(CollabError):
    """It does not exist, or the asker may not know that it does: both look the same."""

    code = "not-found"
    status = 404
    title = "Not found"

    def __init__(self, what: str = "page", detail: str = "", **extra: Any) -> None:
        super().__init__(
            detail
            or f"There is no such {what}, or you may not see it. Check the address, or ask whoever sent it to you.",
            **extra,
        )


class LoginRequiredError(CollabError):
    """A visitor asks for what needs an account."""

    code = "login-required"
    status = 401
    title = "Log in to do this"

    def __init__(self) -> None:
        super().__init__("This needs an account. Log in, or send a Hub token in the Authorization header.")


class UnknownAccountError(LoginRequiredError):
    """An account that is logged in to the Hub and that the core does not know, or does not know any more."""

    code = "unknown-account"
    title = "Log in again"

    def __init__(self) -> None:
        super(LoginRequiredError, self).__init__(
            "Your account is not known here, or it was removed. Log out and in again; else ask the operator."
        )


class ForbiddenError(CollabError):
    """The asker may see it, but not do this with it."""

    code = "forbidden"
    status = 403
    title = "You may not do this"


class MissingPermissionError(ForbiddenError):
    """A permission in a project that the asker's role does not give."""

    code = "missing-permission"

    def __init__(self, permission: str, needed: str) -> None:
        super().__init__(f"This needs the role {needed} in the project. Ask one of its leads.", permission=permission)


class SiteRightError(ForbiddenError):
    """A site-wide right that the asker does not have."""

    code = "missing-site-right"

    def __init__(self, right: str) -> None:
        super().__init__(f"This needs the right “{right}” on this Hub. Ask its operator.", right=right)


class ConflictError(CollabError):
    """The request is right in itself but not in the present state."""

    code = "conflict"
    status = 409
    title = "This does not fit the present state"


class SlugTakenError(ConflictError):
    """Another project has, or had, this slug."""

    code = "slug-taken"
    title = "This short name is taken"

    def __init__(self, slug: str) -> None:
        super().__init__(
            f"“{slug}” belongs to a project, or once did: short names are never given twice. Choose another one.",
            field="slug",
        )


class LastLeadError(ConflictError):
    """The change would leave a project without a lead."""

    code = "last-lead"
    title = "A project always keeps one lead"

    def __init__(self, person: str) -> None:
        super().__init__(f"{person} is the only lead of this project. Make someone else lead first.")


class OnlyLeadError(ConflictError):
    """A person can't be removed from everything while projects have no other lead."""

    code = "only-lead"
    title = "Projects would be without a lead"

    def __init__(self, person: str, projects: list[str]) -> None:
        some = ", ".join(projects[:_NAMED]) + (" …" if len(projects) > _NAMED else "")
        super().__init__(
            f"{person} is the only lead of {some}. Give each of these another lead, or delete it, and try again.",
            projects=projects,
        )


class AlreadyMemberError(ConflictError):
    """The person is a member already."""

    code = "already-member"
    title = "Already a member"


class AlreadyAskedError(ConflictError):
    """There is an open join request or invitation already."""

    code = "already-asked"
    title = "Already asked"


class ArchivedError(ConflictError):
    """The project is archived; only its leads may restore it."""

    code = "project-archived"
    title = "This project is archived"

    def __init__(self, slug: str) -> None:
        super().__init__(f"“{slug}” is archived and can only be read. One of its leads can restore it in its settings.")


class SmallerVolumeError(ConflictError):
    """A volume would become smaller."""

    code = "volume-only-grows"
    title = "A volume only grows"

    def __init__(self, present: int) -> None:
        super().__init__(
            f"This one has {present / 2**30:.4g} GiB. Give it more, or move the files into a new project.",
            field="volume_size",
            present=present,
        )


class InvitationUsedError(ConflictError):
    """An invitation that was accepted, declined, revoked, used up or is past its time."""

    code = "invitation-over"
    status = 410
    title = "This invitation is over"

    def __init__(self, why: str) -> None:
        super().__init__(f"It {why}. Ask whoever sent it for a new one.")


class JoinRequestDecidedError(ConflictError):
    """The join request has been decided already."""

    code = "join-request-decided"
    title = "This was decided already"

    def __init__(self, state: str) -> None:
        super().__init__(f"The request is {state} already. Reload the page to see what is open.")


class NoUndoError(ConflictError):
    """A deleted project whose days of grace are over, or one that is not deleted."""

    code = "not-deleted"
    title = "There is nothing to restore"


class ChangedMeanwhileError(CollabError):
    """``If-Match`` names an older version: someone else saved in between."""

    code = "changed-meanwhile"
    status = 412
    title = "Someone else saved in between"

    def __init__(self, current: str) -> None:
        super().__init__(
            "The project was changed after you loaded it. Load it again, look at what changed, and save once more.",
            current=current,
        )


class PreconditionRequiredError(CollabError):
    """A change of a project without ``If-Match``."""

    code = "precondition-required"
    status = 428
    title = "Say which version you change"

    def __init__(self) -> None:
        super().__init__(
            "Send the ETag of the version you read in an If-Match header, so that no one's change is lost."
        )


class UnknownPersonError(InvalidInputError):
    """A name that no person of this Hub has."""

    code = "unknown-person"
    title = "Nobody here has this name"

    def __init__(self, name: str, field: str = "user") -> None:
        super().__init__(
            f"“{name}” has never logged in to this Hub. Check the spelling, or send an invitation link instead.",
            field=field,
        )


class UnknownGroupError(InvalidInputError):
    """A group that nobody of this Hub is in."""

    code = "unknown-group"
    title = "No such group"

    def __init__(self, group: str) -> None:
        super().__init__(
            f"Nobody on this Hub is in a group “{group}”. Groups come from the login; check the spelling.",
            field="group",
        )


class NotAllowedHereError(ForbiddenError):
    """An environment, resource class or data volume that is not for this person or project."""

    code = "not-for-you"
    title = "This is not open to your project"


class TooManyRequestsError(CollabError):
    """More requests than the rate limit allows."""

    code = "too-many-requests"
    status = 429
    title = "That was too fast"

    def __init__(self, seconds: int) -> None:
        super().__init__(f"Wait {seconds} seconds and try again.", retry_after=seconds)


class BusyError(CollabError):
    """A transaction lost against others as often as it may be tried."""

    code = "busy"
    status = 503
    title = "Too many changes at once"

    def __init__(self) -> None:
        super().__init__("Others were changing the same thing. Nothing was saved. Try again.")


class DatabaseAwayError(CollabError):
    """The core's database does not answer."""

    code = "database-away"
    status = 503
    title = "The database does not answer"

    def __init__(self) -> None:
        super().__init__("Nothing was saved. Your servers go on running. Try again in a minute, or tell the operator.")


class LoginUnavailableError(CollabError):
    """The core's database is away, so that nobody can log in; who is logged in stays."""

    code = "login-unavailable"
    status = 503
    title = "Nobody can log in at the moment"

    def __init__(self) -> None:
        super().__init__(
            "The database of this Hub's projects does not answer. Try again in a minute, or tell the operator."
        )


class PlanRefusedError(CollabError):
    """A server may not start; the sentence stands on the spawn page."""

    code = "server-refused"
    status = 403
    title = "Not started"


class UnknownServerNameError(PlanRefusedError):
    """A named server whose name is no project of its user."""

    code = "no-such-project-server"
    status = 404

    def __init__(self, name: str) -> None:
        super().__init__(
            f"A named server belongs to a project, and you have no project “{name}”. Open one from a project's page."
        )


class ProjectArchivedPlanError(PlanRefusedError):
    """Project servers of archived projects do not start."""

    code = "project-archived"
    status = 409

    def __init__(self, slug: str) -> None:
        super().__init__(
            f"“{slug}” is archived, so it has no servers. Your workspace server shows its files. A lead can restore it."
        )


class ServerLimitError(PlanRefusedError):
    """The person, or the project, runs as many servers as the limit allows."""

    code = "server-limit-reached"
    status = 409

    def __init__(self, detail: str, *, limit: int, running: list[str]) -> None:
        super().__init__(detail, limit=limit, running=running)


class ResourceLimitError(PlanRefusedError):
    """The servers of the person, or of the project, would have more CPU or memory together than the limit allows."""

    code = "resource-limit-reached"
    status = 409

    def __init__(self, what: str, *, whose: str, needed: str, limit: str, used: dict[str, str]) -> None:
        ways = {
            "person": "Stop one of your servers, or choose a smaller size.",
            "project": "Ask one of them, or a lead, to stop theirs or to choose a smaller size.",
        }
        some = ", ".join(f"{name} {amount}" for name, amount in list(used.items())[:_NAMED])
        others = f"{some} run already{' …' if len(used) > _NAMED else ''}; " if used else ""
        way = ways[whose] if used else "Choose a smaller size."
        super().__init__(
            f"This server would have {needed}. {others}{limit} is the limit for each {whose} on this Hub. {way}",
            resource=what,
            limit=limit,
            used=used,
        )


class SettingsError(Exception):
    """The settings cannot be used; the message names the key and the way out."""


class DatabaseError(Exception):
    """The database cannot be used as it is; the message says why and what to do."""


class BackupError(Exception):
    """A backup can't be made; the message says why and what to do."""
