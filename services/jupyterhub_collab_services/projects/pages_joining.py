"""Invitations as their holders see them: by name under an id, by link under a code."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from jupyterhub_collab.errors import CollabError, InvitationUsedError, NotFoundError
from jupyterhub_collab_services.base.page import row_number

from .page_base import ANYONE, PERSON, ProjectsPage, in_one_state, page_route

if TYPE_CHECKING:
    from jupyterhub_collab.projects.invitation_service import Offer

COOKIE = "collab-invitation"
_COOKIE_SECONDS = 3600


class Letter(ProjectsPage):
    """The letter: who asks me in, what do I get, who will see me."""

    key: int | str

    def set_default_headers(self) -> None:
        """Tell no other page this address, which may hold a code."""
        super().set_default_headers()
        self.set_header("Referrer-Policy", "no-referrer")

    async def show(self, action: str, *, by_link: bool) -> None:
        """Show the letter."""
        offer = await self.factory.invitations.look(self.who, self.key)
        await self.page("projects/letter.html", action=action, by_link=by_link, **self._context(offer))

    def _context(self, offer: Offer) -> dict[str, Any]:
        settings, project = self.factory.settings, offer.project
        environment = settings.environments.get(project.environment)
        return {
            "offer": offer,
            "environment": (environment.title if environment else "") or project.environment,
            "resource_class": settings.resource_classes.get(project.resource_class),
        }

    async def join(self) -> None:
        """Accept, and lead to the project."""
        project = await self.factory.invitations.accept(self.me(), self.key)
        self.clear_cookie(COOKIE, path=self.hub_auth.hub_prefix)
        self.leave_toast(f"You are a member of {project.title}. It is pinned in your workspace server.")
        self.redirect(self.project_url(project.slug), status=303)


@page_route("join/{code}", get=ANYONE, post=PERSON)
class JoinByLink(Letter):
    """The invitation that a link carries."""

    @in_one_state
    async def get(self, code: str) -> None:
        """Show the letter. The authenticator finds a visitor's code in the cookie and lets its holder sign up."""
        self.key = code
        if self.who is None and await self.factory.invitations.is_valid_code(code):
            self.set_cookie(
                COOKIE,
                code,
                path=self.hub_auth.hub_prefix,
                max_age=_COOKIE_SECONDS,
                expires_days=None,
                httponly=True,
                samesite="Lax",
                secure=self.is_https,
            )
        await self.show(self.request.path, by_link=True)

    async def act(self, code: str) -> None:
        """Join."""
        self.key = code
        await self.join()


@page_route("join", get=ANYONE, post=ANYONE)
class EnterCode(ProjectsPage):
    """Takes a code that someone types."""

    async def get(self) -> None:
        """Show the field for the code."""
        await self.page("projects/code.html", code_problem=None, values={"code": ""})

    async def act(self) -> None:
        """Lead to the letter, if the code is one."""
        code = self.field("code").strip().rstrip("/").rsplit("/", 1)[-1]
        if not code or not code.isascii() or not code.isprintable():
            raise InvitationUsedError("is not known")
        try:
            await self.factory.invitations.look(self.who, code)
        except NotFoundError:
            raise InvitationUsedError("is not known") from None
        self.redirect(f"{self.prefix}join/{code}", status=303)

    async def again(self, problem: CollabError, *arguments: str) -> None:
        """Show the field again."""
        del arguments
        sentence = f"This code {problem.detail.removeprefix('It ')}"
        await self.page(
            "projects/code.html", status=problem.status, code_problem=sentence, values={"code": self.field("code")}
        )


class _ById(Letter):
    def _take(self, number: str) -> None:
        found = row_number(number)
        if found is None:
            raise NotFoundError("invitation")
        self.key = found


@page_route("invitations/{id}", get=PERSON, post=PERSON)
class Invitation(_ById):
    """An invitation to me by name."""

    @in_one_state
    async def get(self, number: str) -> None:
        """Show the letter."""
        self.me()
        self._take(number)
        await self.show(self.request.path, by_link=False)

    async def act(self, number: str) -> None:
        """Join."""
        self._take(number)
        await self.join()


@page_route("invitations/{id}/decline", post=PERSON)
class DeclineInvitation(_ById):
    """The other answer."""

    async def act(self, number: str) -> None:
        """Decline."""
        self._take(number)
        offer = await self.factory.invitations.look(self.me(), self.key)
        await self.factory.invitations.decline(self.me(), int(self.key))
        self.leave_toast(f"You declined the invitation to {offer.project.title}.")
        self.redirect(self.prefix, status=303)
