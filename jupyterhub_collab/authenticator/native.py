"""Own accounts: people sign up, and an operator approves them."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

from jinja2 import ChoiceLoader, FileSystemLoader
from jupyterhub.handlers.login import LoginHandler as HubLoginHandler
from nativeauthenticator import NativeAuthenticator
from nativeauthenticator.handlers import AuthorizationAreaHandler as TheirApprovalsHandler
from nativeauthenticator.handlers import DiscardHandler as TheirDiscardHandler
from nativeauthenticator.handlers import SignUpHandler as TheirSignUpHandler
from nativeauthenticator.handlers import ToggleAuthorizationHandler as TheirApprovalHandler
from nativeauthenticator.orm import UserInfo
from tornado import web
from traitlets import default

from .mixin import AuthModel, shown_to_the_person
from .static_groups import StaticGroupsMixin

_TEMPLATES: Final = Path(__file__).parent / "templates"
_LONGEST_NAME: Final = 128
# bcrypt looks at 72 bytes and refuses more
_LONGEST_PASSWORD: Final = 72


class LoginHandler(HubLoginHandler):
    """The Hub's own login page with a link to sign up; theirs calls what JupyterHub 6 has no more."""

    def render_template(self, name: str, **names: Any) -> Any:
        """Render our page in place of the Hub's."""
        return super().render_template("collab-native-login.html" if name == "login.html" else name, **names)


class SignUpHandler(TheirSignUpHandler):
    """Approves at once who holds a valid invitation link.

    Rests on `get_result_message`, which theirs calls with the new account, or None, right after making it.
    """

    _invited = False

    async def post(self) -> None:
        """Make an account.

        Raises
        ------
        HTTPError
            The core's database is away.
        """
        name = self.authenticator.normalize_username(self.get_body_argument("username", strip=False))
        self._invited = await self.authenticator.admits_invited(self, name)
        try:
            await super().post()
        finally:
            if self._invited and not self.authenticator.user_exists(name):
                await self.authenticator.release_invited(self, name)

    def get_result_message(self, user: UserInfo | None, *args: Any, **kwargs: Any) -> tuple[str, str]:
        """Return how the page's message looks and what it says."""
        if user is None or user.is_authorized or not self._invited:
            alert, message = super().get_result_message(user, *args, **kwargs)
            return alert, message
        UserInfo.change_authorization(self.db, user.username)
        return "alert-success", "Your account is ready. Log in to answer your invitation."


async def require_operator(handler: Any) -> None:
    """Refuse whoever is neither an operator nor an administrator of the Hub.

    Theirs asks for the Hub's scope ``admin:users``: whoever holds it can rename accounts, and so become anyone.

    Raises
    ------
    HTTPError
    """
    person = handler.current_user
    if not person.admin and not await handler.authenticator.is_operator(person.name):
        raise web.HTTPError(403, "Sign-ups are for the operators that the settings name.")


class ApprovalsHandler(TheirApprovalsHandler):
    """The page of sign-ups, with buttons where theirs has links: a link can be followed by mistake or on request."""

    @web.authenticated
    async def get(self) -> None:
        """Show all accounts.

        Raises
        ------
        HTTPError
            It is not for this person.
        """
        await require_operator(self)
        accounts = self.db.query(UserInfo).order_by(UserInfo.is_authorized, UserInfo.username).all()
        ask_email = self.authenticator.ask_email_on_signup
        self.finish(await self.render_template("collab-native-approvals.html", ask_email=ask_email, users=accounts))


class ApprovalHandler(TheirApprovalHandler):
    """Approves an account, or takes the approval back."""

    async def get(self, account: str) -> None:
        """Refuse: theirs changes the account here.

        Raises
        ------
        HTTPError
        """
        raise web.HTTPError(405, f"Use the buttons on the page of sign-ups for {account[:_LONGEST_NAME]}.")

    @web.authenticated
    async def post(self, account: str) -> None:
        """Change whether an account is approved.

        Raises
        ------
        HTTPError
            It is not for this person, or there is no such account.
        """
        await require_operator(self)
        if not self.authenticator.user_exists(account):
            raise web.HTTPError(404, "There is no such account. Load the page of sign-ups again.")
        UserInfo.change_authorization(self.db, account)
        self.redirect(self.hub.base_url + "authorize")


class DiscardHandler(TheirDiscardHandler):
    """Removes an account that was not approved."""

    async def get(self, account: str) -> None:
        """Refuse: theirs removes the account here.

        Raises
        ------
        HTTPError
        """
        raise web.HTTPError(405, f"Use the buttons on the page of sign-ups for {account[:_LONGEST_NAME]}.")

    @web.authenticated
    async def post(self, account: str) -> None:
        """Remove an account that was never used: whoever signs up under its name again is somebody else.

        Raises
        ------
        HTTPError
            It is not for this person, or somebody logged in with the account.
        """
        await require_operator(self)
        if await self.authenticator.has_been_here(account):
            raise web.HTTPError(409, f"{account[:_LONGEST_NAME]} has been in use. Take the approval back instead.")
        found = self.authenticator.get_user(account)
        if found is not None and not found.is_authorized:
            self.db.delete(found)
            self.db.commit()
        self.redirect(self.hub.base_url + "authorize")


_HANDLERS: Final[dict[str, type]] = {
    r"/login": LoginHandler,
    r"/signup": SignUpHandler,
    r"/authorize": ApprovalsHandler,
    r"/authorize/([^/]*)": ApprovalHandler,
    r"/discard/([^/]*)": DiscardHandler,
}


class CollabNativeAuthenticator(StaticGroupsMixin, NativeAuthenticator):
    """Sign-up with approval, by the package nativeauthenticator, and identity groups from the configuration.

    Accounts lie in the Hub's database, through the session that JupyterHub calls deprecated and still has. Every
    approved account may log in. With `allow_invited`, whoever signs up with an invitation link needs no approval.
    """

    @default("allow_all")
    def _approved_is_allowed(self) -> bool:
        return True

    @default("minimum_password_length")
    def _ten_characters(self) -> int:
        return 10

    @default("check_common_password")
    def _not_a_common_one(self) -> bool:
        return True

    @default("allowed_failed_logins")
    def _ten_attempts(self) -> int:
        return 10

    @default("seconds_before_next_try")
    def _one_minute(self) -> int:
        return 60

    @default("request_otp")
    def _ask_for_second_factor(self) -> bool:
        return bool(self.allow_2fa)

    def get_handlers(self, app: Any) -> list[tuple[str, type]]:
        """Return their handlers, some replaced by ours."""
        for name in ("jinja2_env", "jinja2_env_sync"):
            environment = app.tornado_settings[name]
            environment.loader = ChoiceLoader([environment.loader, FileSystemLoader([_TEMPLATES])])
        return [(path, _HANDLERS.get(path, theirs)) for path, theirs in super().get_handlers(app)]

    async def admits_invited(self, handler: Any, name: str) -> bool:
        """Tell whether an account needs no approval because its maker holds an invitation link; it takes one use.

        Not where the configuration or the core already means somebody by its name.

        Raises
        ------
        HTTPError
            The core's database is away.
        """
        code = self.held_code(handler)
        if not code or name in self._names_that_mean_somebody() or not self._is_free(name):
            return False
        return not await self.has_been_here(name) and await self.admit_by(code, name)

    async def release_invited(self, handler: Any, name: str) -> None:
        """Give back the use of a link that was taken for an account that could not be made.

        Raises
        ------
        HTTPError
            The core's database is away.
        """
        with shown_to_the_person():
            await self._answer(self.factory.invitations.release(self.held_code(handler), name))

    def _is_free(self, name: str) -> bool:
        return bool(self.validate_username(name)) and not self.user_exists(name)

    def get_authed_users(self) -> set[str]:
        """Return whose accounts need no approval: of those with rights over others only the first.

        The first has to come in somehow. Later ones can be approved, and their names could be anybody's until then.
        """
        names: set[str] = super().get_authed_users()
        powerful = self.factory.settings.rights.operator.names | self.admin_users
        approved = {account.username for account in UserInfo.all_users(self.db) if account.is_authorized}
        return names - (powerful - approved) if powerful & approved else names

    def _names_that_mean_somebody(self) -> frozenset[str]:
        settings = self.factory.settings
        rights = settings.rights
        entries = (*settings.data.values(), *settings.environments.values(), *settings.resource_classes.values())
        return frozenset(self.admin_users).union(
            *self.static_groups.values(),
            *(holders.names for holders in (rights.operator, rights.organiser, rights.moderator)),
            *(entry.allowed.names for entry in entries),
        )

    def validate_username(self, username: str) -> bool:
        """Tell whether an account can have this name."""
        return len(username) <= _LONGEST_NAME and super().validate_username(username)

    def is_password_strong(self, password: str) -> bool:
        """Tell whether a password is long enough, not too long to be hashed, and not a common one."""
        return _can_be_hashed(password) and bool(super().is_password_strong(password))

    async def authenticate(self, handler: Any, data: Any = None, **kwargs: Any) -> AuthModel | None:
        """Return who this is, or None where name and password do not belong together.

        Raises
        ------
        HTTPError
            The account waits for approval, or the core's database is away.
        """
        if not _can_be_hashed(data.get("password", "")):
            return None
        model = await super().authenticate(handler, {**data, "2fa": data.get("otp", "")}, **kwargs)
        if model is None and self._waits(data["username"], data["password"]):
            raise web.HTTPError(403, "Your account waits for the operator's approval. Try again later.")
        return model

    def _waits(self, name: str, password: str) -> bool:
        account = self.get_user(name)
        if account is None or account.is_authorized or self.is_blocked(account.username):
            return False
        return bool(account.is_valid_password(password))


def _can_be_hashed(password: str) -> bool:
    return len(password.encode(errors="replace")) <= _LONGEST_PASSWORD
