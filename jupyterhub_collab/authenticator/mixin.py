"""What any JupyterHub authenticator takes to work with projects."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Final, TypeVar

from jupyterhub.auth import Authenticator
from jupyterhub.utils import maybe_future
from sqlalchemy.exc import SQLAlchemyError
from tornado import web
from traitlets import Any as AnyTrait
from traitlets import Bool, Enum, Float, TraitError, default, validate

from jupyterhub_collab.access.models import SYSTEM, SiteRight
from jupyterhub_collab.errors import (
    BusyError,
    CollabError,
    DatabaseError,
    LoginRequiredError,
    LoginUnavailableError,
    UnknownAccountError,
)
from jupyterhub_collab.factory import Factory, shared_factory
from jupyterhub_collab.people.models import Kind

from .claims import GroupClaim, find_display_name, read_groups, user_info

INVITATION_COOKIE: Final = "collab-invitation"
_LONGEST_CODE: Final = 64
_MOST_NOTED: Final = 1000
_INVITED: Final = "collab_invited"
_AWAY = (SQLAlchemyError, OSError, TimeoutError, BusyError, DatabaseError)

T = TypeVar("T")
AuthModel = dict[str, Any]


@contextmanager
def shown_to_the_person() -> Iterator[None]:
    """Turn our errors into the Hub's, so that the login page shows the sentence.

    Raises
    ------
    HTTPError
        In place of a `CollabError`, with its status and its sentence.
    """
    try:
        yield
    except CollabError as error:
        raise web.HTTPError(error.status, error.detail) from error


class CollabAuthenticatorMixin(Authenticator):
    """Writes persons and their identity groups to the core, and reports project groups to the Hub.

    Put it first: ``class MyAuthenticator(CollabAuthenticatorMixin, TheirAuthenticator)``.

    *The Hub's usual flow.* At login a handler calls `get_authenticated_user`, which calls `authenticate`, checks the
    name, `check_blocked_users` and `check_allowed`, ends with `run_post_auth_hook`, and the Hub stores what comes out
    of it: ``groups`` replaces the user's groups, where `manage_groups` is on. Every `auth_refresh_age` seconds a
    request, a server's own too, calls `refresh_user`: False asks for a new login, a dict is stored as at login, True
    changes nothing.

    *What is done instead.* `authenticate` also notes the invitation link that the visitor holds. Where nothing else
    allows them and `allow_invited` is on, `check_allowed` takes one use of it for the account. `run_post_auth_hook`,
    the last step before the Hub stores anything, writes the person to the core; if the core's database is away the
    login ends there with a sentence, and there is no cookie and no user. `refresh_user` does the same with what the
    provider says now, or, where it says nothing new, with what the core knows; if the database is away the login stays
    and nothing changes, and who was removed from the core has to log in anew. ``groups`` are the identity groups that
    the core keeps and ``collab:<slug>:<role>`` for each project, as a mirror for other tools: nothing of ours decides
    by it.

    *Which calls this rests on.* The order of `Authenticator.get_authenticated_user`; that `run_post_auth_hook` is not
    called at refresh; that ``groups: None`` leaves the Hub's groups alone; and that a handler of JupyterHub 6.1 lacks
    ``_token_authenticated`` on requests with a cookie, and fails at a refusal by `refresh_user` if nobody sets it.

    Authenticators that log people in by a handler of their own, without `get_authenticated_user`, skip all of this
    until the first refresh: see `jupyterhub_collab.authenticator.cas`.
    """

    allow_invited = Bool(
        default_value=False,
        config=True,
        help="""
        Admit whoever holds a valid invitation link, and later everyone who is a member of a project through one.

        Any lead of a project can then give people a way into this Hub: as many as the link has uses, since each account
        that it lets in takes one. The link must have been opened in the same browser. `blocked_users` still holds.
        """,
    )
    kind = Enum(
        [kind.value for kind in Kind],
        default_value=Kind.PERSON.value,
        config=True,
        help="""
        What kind of account the people who log in here have: `person`, `explore` or `workshop`.

        Only persons are found by others, and count as everyone who can log in.
        """,
    )
    database_timeout = Float(
        5.0,
        config=True,
        help="""
        Seconds to wait for the core's database.

        After that a login ends with an error, and a refresh leaves everything as it is.
        """,
    )
    factory = AnyTrait(help="The core's services; by default those of `jupyterhub_collab.factory.shared_factory`.")

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self._noted: set[str] = set()

    @default("factory")
    def _shared_factory(self) -> Factory:
        return shared_factory()

    @default("manage_groups")
    def _groups_are_managed(self) -> bool:
        return True

    @validate("manage_groups")
    def _groups_stay_managed(self, proposal: Mapping[str, Any]) -> bool:
        if not proposal["value"]:
            msg = "manage_groups must stay on: identity groups come through it. Remove the line from the configuration."
            raise TraitError(msg)
        return True

    def check_allow_config(self) -> None:
        """Look at the configuration when the Hub starts, and at the settings that the core needs.

        Raises
        ------
        SettingsError
            The settings can't be used.
        """
        super().check_allow_config()
        _ = self.factory  # reads the settings: a mistake in them should not wait for the first login

    def validate_username(self, username: str) -> bool:
        """Tell whether the Hub takes this name; the name under which the system itself acts is nobody's."""
        return username != SYSTEM.name and bool(super().validate_username(username))

    async def authenticate(self, handler: Any, data: Any = None, **kwargs: Any) -> AuthModel | None:
        """Authenticate as the class below does, drop refused groups, and note an invitation."""
        authenticated = await maybe_future(super().authenticate(handler, data, **kwargs))
        if authenticated is None:
            return None
        model = dict(authenticated) if isinstance(authenticated, dict) else {"name": authenticated}
        if "groups" in model:  # before check_allowed: a provider must not admit people as a group of ours
            model["groups"] = self._listed(self._read(model["groups"]))
        model[_INVITED] = self.held_code(handler)
        return model

    def held_code(self, handler: Any) -> str:
        """Return the code of the invitation link that the visitor's browser holds; empty where it does not count."""
        code = handler.get_cookie(INVITATION_COOKIE, "") if self.allow_invited and handler is not None else ""
        return code if code and len(code) <= _LONGEST_CODE else ""

    async def admit_by(self, code: str, name: str) -> bool:
        """Take one use of an invitation link for an account; tell whether there was one, or it holds one already.

        Raises
        ------
        HTTPError
            The core's database is away.
        """
        with shown_to_the_person():
            return bool(code) and await self._answer(self.factory.invitations.reserve(code, name))

    async def is_operator(self, name: str) -> bool:
        """Tell whether the settings make this person an operator, by name or by an identity group.

        Raises
        ------
        HTTPError
            The core's database is away.
        """
        with shown_to_the_person():
            try:
                return SiteRight.OPERATOR in await self._answer(self.factory.people.rights(name))
            except LoginRequiredError:
                return False

    async def has_been_here(self, name: str) -> bool:
        """Tell whether somebody of this name has ever logged in.

        Raises
        ------
        HTTPError
            The core's database is away.
        """
        with shown_to_the_person():
            return await self._answer(self.factory.people.get(name)) is not None

    async def check_allowed(self, username: str, authentication: AuthModel | None = None) -> bool:
        """Allow whom the class below allows and, with `allow_invited`, people who came by an invitation link.

        Raises
        ------
        HTTPError
            The core's database is away, or the class below says why it refuses.
        """
        if await maybe_future(super().check_allowed(username, authentication)):
            return True
        if not self.allow_invited or authentication is None:
            return False
        if await self.admit_by(authentication.get(_INVITED, ""), username):
            return True
        with shown_to_the_person():
            return await self._answer(self.factory.invitations.admits(username))

    async def run_post_auth_hook(self, handler: Any, auth_model: AuthModel) -> AuthModel:
        """Run the operator's hook, then write the person and their groups to the core.

        Raises
        ------
        HTTPError
            The core's database is away, or can't keep this name.
        """
        model: AuthModel = await super().run_post_auth_hook(handler, auth_model)
        if not model:
            return model
        model.pop(_INVITED, None)
        with shown_to_the_person():
            return await self._recorded(model["name"], model, known={})

    async def refresh_user(self, user: Any, handler: Any = None, **kwargs: Any) -> AuthModel | bool:
        """Refresh as the class below does, and write to the core what that says of the person's groups."""
        refreshed = await maybe_future(super().refresh_user(user, handler, **kwargs))
        if not refreshed:
            _prepare_for_refusal(handler)
            return False
        model = dict(refreshed) if isinstance(refreshed, dict) else {}
        try:
            return await self._recorded(user.name, model, known=user.user_info or {}, refresh=True)
        except UnknownAccountError:  # who was removed has to log in anew, and finds nothing of what was theirs
            _prepare_for_refusal(handler)
            return False
        except CollabError as error:
            self.log.warning("Groups of %r stay as they are for now: %s", user.name, error.detail)
            return model | {"groups": None}

    def claimed_groups(self, name: str, model: AuthModel) -> frozenset[str] | None:  # noqa: ARG002 - for subclasses
        """Return the identity groups of a person as the provider tells them, or None where it tells nothing."""
        return self._read(model.get("groups")).groups

    async def _recorded(
        self, name: str, model: AuthModel, known: Mapping[str, Any], *, refresh: bool = False
    ) -> AuthModel:
        """Write the person to the core and return the model that the Hub is to store.

        Raises
        ------
        CollabError
        """
        given = model.get("user_info") or {}
        shown = find_display_name([model | {"name": ""}, given, *self._provider_sources(model), known])
        shown = "" if shown == name else shown
        claimed = self.claimed_groups(name, model)
        kept, mirrored = await self._answer(self._sign_in(name, shown, claimed, refresh=refresh))
        if claimed is not None and kept - claimed:
            self.log.warning("%r stays in %s: the loss of these groups is paused.", name, sorted(kept - claimed))
        if given or known.get("display_name") != (shown or name):
            model["user_info"] = {**known, **user_info(name, shown, given)}
        return model | {"groups": sorted(kept | mirrored)}

    async def _sign_in(
        self, name: str, shown: str, claimed: frozenset[str] | None, *, refresh: bool
    ) -> tuple[frozenset[str], frozenset[str]]:
        people = self.factory.people
        kind = Kind(self.kind)
        person = await people.sign_in(name, display_name=shown, groups=claimed, kind=kind, refresh=refresh)
        return person.groups, frozenset(await people.hub_groups(name))

    async def _answer(self, question: Awaitable[T]) -> T:
        """Wait for the core's database.

        Raises
        ------
        LoginUnavailableError
            It does not answer, or not in time.
        """
        try:
            async with asyncio.timeout(self.database_timeout):
                return await question
        except _AWAY as error:
            # The error's own words may hold the database's address or a value that was to be stored
            self.log.error("The core's database does not answer: %s", type(error).__name__)  # noqa: TRY400
            raise LoginUnavailableError from error

    def _provider_sources(self, model: AuthModel) -> list[Mapping[str, Any]]:
        """Return where the usual authenticators keep what they know of a person."""
        state = model.get("auth_state") or {}
        keys = (getattr(self, "user_auth_state_key", ""), "user_attributes")  # OAuthenticator's; LDAP's and CAS's
        return [state[key] for key in keys if isinstance(state.get(key), Mapping)]

    def _read(self, value: object) -> GroupClaim:
        claim = read_groups(value)
        new = claim.refused - self._noted
        if new and len(self._noted) < _MOST_NOTED:
            self._noted |= new
            self.log.warning("The login gave groups that are not taken: %s", sorted(new))
        return claim

    @staticmethod
    def _listed(claim: GroupClaim) -> list[str] | None:
        return None if claim.groups is None else sorted(claim.groups)


def _prepare_for_refusal(handler: Any) -> None:
    # JupyterHub 6.1.1 reads the attribute without having set it on requests with a cookie, and answers 500
    if handler is not None and not hasattr(handler, "_token_authenticated"):
        handler._token_authenticated = False  # noqa: SLF001
