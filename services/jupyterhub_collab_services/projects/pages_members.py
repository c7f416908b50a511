"""Who asks, who is in, with which role, from where."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final
from urllib.parse import quote

from jupyterhub_collab.access.models import Permission, Role
from jupyterhub_collab.errors import CollabError, InvalidInputError, UnknownPersonError
from jupyterhub_collab.people.service import SEARCH_LETTERS
from jupyterhub_collab.projects.invitation_service import NewLink
from jupyterhub_collab.projects.models import Invitation, Member
from jupyterhub_collab_services.base.page import row_number

from .fresh_codes import FreshCodes
from .page_base import ProjectForm, ProjectPage, in_one_state, page_route

if TYPE_CHECKING:
    from jupyterhub_collab.people.models import FoundGroup, FoundPerson
    from jupyterhub_collab_services.base.rate import PerMinute

FRESH: Final = FreshCodes()
_EMPTY: Final[dict[str, str]] = {"name": "", "role": "viewer", "link_role": "viewer", "days": "7", "uses": "1"}


async def members_context(page: ProjectPage, slug: str) -> dict[str, Any]:
    """Return what the members page shows to whoever may see members."""
    context = await page.load(slug, Permission.READ_MEMBERS)
    factory, who = page.factory, page.who
    after = page.get_query_argument("after", "")
    found = await factory.members.page(who, slug, after=after)
    manages = context["may"]["manage_members"]
    invitations = await factory.invitations.of_project(who, slug) if manages else []
    return context | {
        "members": found.items,
        "after": quote(after),
        "next": quote(found.next) if found.next else None,
        "leaving": await factory.members.leaving(who, slug),
        "groups": await factory.members.groups(who, slug),
        "invited": [i for i in invitations if i.user],
        "links": [i for i in invitations if not i.user],
        "requests": await factory.join_requests.of_project(who, slug) if manages else [],
        "limits": factory.settings.limits,
        "fresh": {},
        "values": _EMPTY,
        "new_link": False,
    }


_BESIDE: Final = "and so are others that ran beside one of these, since all servers of a person share a home."


def join_address(page: ProjectPage, code: str) -> str:
    """Return the link that the holder of a code opens."""
    return f"{page.origin}{page.prefix}join/{quote(code)}"


def role_of(value: str) -> Role:
    """Return the role that a form names.

    Raises
    ------
    InvalidInputError
    """
    try:
        return Role(value)
    except ValueError:
        raise InvalidInputError(f"“{value[:20]}” is no role. Choose viewer, editor or lead.", field="role") from None


class MembersPage(ProjectForm):
    """The members page and its forms."""

    tab = "members"
    back = "members"

    async def again(self, problem: CollabError, *arguments: str) -> None:
        """Show the page with what was typed."""
        context = await members_context(self, arguments[0])
        values = {name: self.field(name, default) for name, default in _EMPTY.items()}
        context |= {"values": values, "new_link": self.request.path.endswith("/invitations")}
        await self.page("projects/members.html", status=problem.status, **context, problem=problem)

    async def show_table(self, slug: str) -> None:
        """Answer with the table alone, or lead back to the page."""
        if self.wants_part:
            self.part("projects/members_table.html", **await members_context(self, slug), with_toast=True)
        else:
            self.done(slug)

    async def member(self, slug: str, name: str) -> Member | None:
        """Return a member by name."""
        found = await self.factory.members.page(self.who, slug, after=name[:-1])
        while True:
            for member in found.items:
                if member.user == name:
                    return member
            if found.next is None or found.next > name:
                return None
            found = await self.factory.members.page(self.who, slug, after=found.next)


@page_route("p/{slug}/members", get=Permission.READ_MEMBERS)
class Members(MembersPage):
    """The list."""

    @in_one_state
    async def get(self, slug: str) -> None:
        """Show the members."""
        context = await members_context(self, slug)
        made = row_number(self.get_query_argument("made", ""))
        if made is not None and self.who:
            code = FRESH.take(self.who, made)
            context["fresh"] = {made: (code, join_address(self, code))} if code else {}
        await self.page("projects/members.html", **context)


@page_route("p/{slug}/members/table", get=Permission.READ_MEMBERS)
class MembersTable(MembersPage):
    """The table alone: it renews itself while a server is being stopped."""

    @in_one_state
    async def get(self, slug: str) -> None:
        """Show the table."""
        await self.load(slug, Permission.READ_MEMBERS)
        await self.show_table(slug)


@page_route("p/{slug}/members/leaving", get=Permission.READ_MEMBERS)
class Leaving(ProjectPage):
    """Who is out, but whose server has not been seen to end."""

    @in_one_state
    async def get(self, slug: str) -> None:
        """Show them alone: the part renews itself."""
        leaving = await self.factory.members.leaving(self.who, slug)
        self.part("projects/leaving.html", leaving=leaving, url=self.project_url(slug))


@page_route("p/{slug}/members/suggest", get=Permission.MANAGE_MEMBERS)
class Suggest(ProjectPage):
    """Persons and groups whose name begins so, while it is typed."""

    @in_one_state
    async def get(self, slug: str) -> None:
        """Show what is found; who is in already is shown and can't be chosen."""
        await self.load(slug, Permission.MANAGE_MEMBERS)
        text = self.get_query_argument("name", "").strip()
        people: list[FoundPerson] = []
        groups: list[FoundGroup] = []
        if len(text) >= SEARCH_LETTERS:
            limit: PerMinute = self.settings["people_limit"]
            limit.count(self.me())
            people = await self.factory.people.search(self.who, text)
            groups = await self.factory.people.search_groups(self.who, text)
        roles = await self.factory.members.roles(self.who, slug, [person.name for person in people])
        granted = {grant.group: grant.role for grant in await self.factory.members.groups(self.who, slug)}
        self.part("projects/suggestions.html", text=text, people=people, groups=groups, roles=roles, granted=granted)


@page_route("p/{slug}/members/invite", post=Permission.MANAGE_MEMBERS)
class Invite(MembersPage):
    """Inviting a person, or giving a group a role."""

    async def act(self, slug: str) -> None:
        """Invite or add; a name that is both a person and a group is the person, unless the list said group."""
        name, role = self.field("name").strip(), role_of(self.field("role"))
        if not name:
            raise InvalidInputError("Type the account name of a person, or the name of a group.", field="name")
        if self.field("kind") == "group":
            await self._grant(slug, name, role)
        else:
            await self._invite(slug, name, role)
        self.done(slug)

    async def _grant(self, slug: str, group: str, role: Role) -> None:
        grant = await self.factory.members.put_group(self.who, slug, group, role)
        self.leave_toast(f"Everyone in {grant.group} is {role.value} now.")

    async def _invite(self, slug: str, name: str, role: Role) -> None:
        try:
            made = await self.factory.members.put(self.who, slug, name, role)
        except UnknownPersonError as error:
            raise UnknownPersonError(name, field="name") from error
        if isinstance(made, Invitation):
            self.leave_toast(f"{name} is invited as {role.value}. They see it under Needs you.")
        else:
            self.leave_toast(f"{name} is {role.value} now.")


@page_route("p/{slug}/members/role", post=Permission.MANAGE_MEMBERS)
class ChangeRole(MembersPage):
    """Another role for a member: at once, with a way back."""

    async def act(self, slug: str) -> None:
        """Change it; a lower one that would stop a running server is asked about first."""
        user, role = self.field("user"), role_of(self.field("role"))
        held = await self.member(slug, user)
        if held and role.rank < held.role.rank and held.server_started and self.field("sure") != "1":
            await self._ask(slug, held, role)
            return
        await self.factory.members.put(self.who, slug, user, role)
        stopped = (
            " Their server is being stopped." if held and held.server_started and role.rank < held.role.rank else ""
        )
        undo = {"user": user, "role": held.role.value, "sure": "1"} if held and held.role is not role else None
        self.leave_toast(f"{user} is {role.value} now.{stopped}", undo=(self.request.path, undo) if undo else None)
        await self.show_table(slug)

    async def _ask(self, slug: str, held: Member, role: Role) -> None:
        await self.page(
            "confirm.html",
            heading=f"Make {held.user} {role.value}?",
            sentence=f"Their server for this project has more than that. It is stopped at once, {_BESIDE}"
            " Unsaved changes are lost.",
            verb=f"Make {role.value}",
            fields={"user": held.user, "role": role.value, "sure": "1"},
            cancel=self.project_url(slug, "members"),
            danger=True,
        )


@page_route("p/{slug}/members/remove", post=Permission.MANAGE_MEMBERS)
class Remove(MembersPage):
    """Removing a member, or withdrawing what was not accepted."""

    async def act(self, slug: str) -> None:
        """Remove a member after one question; withdraw an invitation without."""
        user = self.field("user")
        held = await self.member(slug, user)
        if held and self.field("sure") != "1":
            await self._ask(slug, held)
            return
        await self.factory.members.remove(self.who, slug, user)
        self.leave_toast(f"{user} is removed." if held else f"The invitation of {user} is withdrawn.")
        if user == self.who:
            self.redirect(self.prefix, status=303)
        else:
            self.done(slug)

    async def _ask(self, slug: str, held: Member) -> None:
        leaves = held.user == self.who
        them = "Your" if leaves else "Their"
        await self.page(
            "confirm.html",
            heading="Leave this project?" if leaves else f"Remove {held.user}?",
            sentence=f"{them} servers that have its folder are stopped at once, {_BESIDE} Files in the project folder"
            " stay.",
            verb="Leave" if leaves else "Remove",
            fields={"user": held.user, "sure": "1"},
            cancel=self.project_url(slug, "members"),
            danger=True,
        )


@page_route("p/{slug}/members/stop", post=Permission.STOP_SERVERS)
class StopServer(MembersPage):
    """Ending the project server of a member."""

    async def act(self, slug: str) -> None:
        """End it."""
        user = self.field("user")
        await self.factory.servers.stop_members(self.who, slug, user)
        self.leave_toast(f"The server of {user} is being stopped.")
        self.done(slug)


@page_route("p/{slug}/groups/role", post=Permission.MANAGE_MEMBERS)
class GroupRole(MembersPage):
    """Another role for a group."""

    async def act(self, slug: str) -> None:
        """Change it."""
        group, role = self.field("group"), role_of(self.field("role"))
        await self.factory.members.put_group(self.who, slug, group, role)
        self.leave_toast(f"Everyone in {group} is {role.value} now.")
        self.done(slug, "groups")


@page_route("p/{slug}/groups/remove", post=Permission.MANAGE_MEMBERS)
class RemoveGroup(MembersPage):
    """Taking a group's role away."""

    async def act(self, slug: str) -> None:
        """Take it."""
        group = self.field("group")
        await self.factory.members.remove_group(self.who, slug, group)
        self.leave_toast(f"{group} is removed. Who was a member through it alone is none any more.")
        self.done(slug, "groups")


@page_route("p/{slug}/invitations", get=Permission.FIND, post=Permission.MANAGE_MEMBERS)
class NewInvitationLink(MembersPage):
    """An invitation link."""

    async def act(self, slug: str) -> None:
        """Make it, and show it once."""
        new = NewLink.model_validate(
            {"role": role_of(self.field("link_role")), "days": self.field("days"), "uses": self.field("uses")}
        )
        made = await self.factory.invitations.make_link(self.who, slug, new)
        FRESH.put(self.me(), made.id, made.code or "")
        self.redirect(self.project_url(slug, f"members?made={made.id}#invitations"), status=303)


@page_route("p/{slug}/invitations/revoke", post=Permission.MANAGE_MEMBERS)
class RevokeInvitation(MembersPage):
    """Taking an invitation back."""

    async def act(self, slug: str) -> None:
        """Revoke it."""
        await self.factory.invitations.revoke(self.who, slug, self.number("id"))
        self.leave_toast("The invitation is revoked.")
        self.done(slug, "invitations")


class Decide(MembersPage):
    """Deciding about someone who asks, from the members page or from “Needs you”."""

    def decided(self, slug: str) -> None:
        """Lead back to where the form was."""
        if self.field("from") == "mine":
            self.redirect(self.prefix, status=303)
        else:
            self.done(slug)


@page_route("p/{slug}/requests/approve", post=Permission.MANAGE_MEMBERS)
class Approve(Decide):
    """Letting someone in."""

    async def act(self, slug: str) -> None:
        """Approve the request."""
        role = role_of(self.field("role", "viewer"))
        await self.factory.join_requests.approve(self.who, slug, self.number("id"), role)
        self.leave_toast(f"{self.field('user')} is {role.value} now.")
        self.decided(slug)


@page_route("p/{slug}/requests/decline", post=Permission.MANAGE_MEMBERS)
class Decline(Decide):
    """Refusing someone."""

    async def act(self, slug: str) -> None:
        """Decline the request."""
        await self.factory.join_requests.decline(self.who, slug, self.number("id"))
        self.leave_toast(f"The request of {self.field('user')} is declined.")
        self.decided(slug)
