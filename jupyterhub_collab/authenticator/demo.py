"""Accounts for a demonstration: a few names with random passwords, in a file."""

from __future__ import annotations

import asyncio
from functools import cached_property
from pathlib import Path
from typing import Any

from jupyterhub.auth import Authenticator
from traitlets import Integer, Unicode, default

from .accounts import Attempts, is_password, read_accounts
from .mixin import AuthModel, shown_to_the_person
from .static_groups import StaticGroupsMixin


class AccountsFileAuthenticator(Authenticator):
    """Checks passwords against a file; see `jupyterhub_collab.authenticator.accounts`."""

    accounts_file = Unicode(
        "accounts.json",
        config=True,
        help="""
        The file of accounts, made by `jupyterhub_collab.authenticator.accounts.write_accounts`.

        It must belong to the account that the Hub runs as, and be closed to all others.
        """,
    )
    attempts_per_minute = Integer(
        10,
        min=1,
        config=True,
        help="How often the password of one account may be tried in a minute.",
    )

    @cached_property
    def _attempts(self) -> Attempts:
        return Attempts(self.attempts_per_minute)

    @default("allow_all")
    def _everyone_in_the_file(self) -> bool:
        return True

    def check_allow_config(self) -> None:
        """Look at the accounts file when the Hub starts.

        Raises
        ------
        SettingsError
            It can't be used.
        """
        super().check_allow_config()
        read_accounts(Path(self.accounts_file))

    async def authenticate(self, handler: Any, data: Any) -> AuthModel | None:  # noqa: ARG002 - the Hub's signature
        """Return who this is, or None where name and password do not belong together.

        Raises
        ------
        HTTPError
            The account's password was tried too often.
        """
        name = self.normalize_username(data.get("username", ""))
        with shown_to_the_person():
            self._attempts.begin(name)
        account = read_accounts(Path(self.accounts_file)).get(name)
        if not await asyncio.to_thread(is_password, account, data.get("password", "")) or account is None:
            return None
        self._attempts.succeed(name)
        return {"name": name, "user_info": {"display_name": account.display_name}}


class DemoAuthenticator(StaticGroupsMixin, AccountsFileAuthenticator):
    """The demo's accounts, with identity groups from the configuration."""
