"""A file of accounts and their hashed passwords; for the demo."""

from __future__ import annotations

import hashlib
import hmac
import json
import math
import os
import secrets
import stat
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from limits import RateLimitItemPerMinute
from limits.storage import MemoryStorage
from limits.strategies import MovingWindowRateLimiter
from pydantic import BaseModel, ConfigDict, RootModel, ValidationError

from jupyterhub_collab.errors import SettingsError, TooManyRequestsError
from jupyterhub_collab.names import new_code

_COST: Final = {"n": 2**14, "r": 8, "p": 1}
_OTHERS: Final = stat.S_IRWXG | stat.S_IRWXO


class Account(BaseModel):
    """An account as the file holds it."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    display_name: str = ""
    salt: str
    password_hash: str


class _File(RootModel[dict[str, Account]]):
    pass


def _hash(password: str, salt: str) -> str:
    return hashlib.scrypt(password.encode(errors="surrogatepass"), salt=bytes.fromhex(salt), **_COST).hex()


def _new_account(display_name: str, password: str) -> Account:
    salt = secrets.token_hex(16)
    return Account(display_name=display_name, salt=salt, password_hash=_hash(password, salt))


def write_accounts(path: Path, display_names: Mapping[str, str], password: str = "") -> dict[str, str]:
    """Write accounts to a file that only its owner can read, in place of what it held; return the passwords by name.

    Each account gets a random password of its own, unless one for all is given. They stand nowhere else.
    """
    passwords = {name: password or new_code() for name in display_names}
    accounts = {name: _new_account(shown, passwords[name]).model_dump() for name, shown in display_names.items()}
    fresh = path.with_name(f"{path.name}.{secrets.token_hex(4)}")
    with os.fdopen(os.open(fresh, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600), "w", encoding="utf-8") as file:
        json.dump(accounts, file, indent=1)
    fresh.replace(path)
    return passwords


def read_accounts(path: Path) -> dict[str, Account]:
    """Read the accounts in a file.

    Raises
    ------
    SettingsError
        It can't be read, is open to other accounts of the machine, or holds something else.
    """
    try:
        with path.open(encoding="utf-8") as file:
            found = os.fstat(file.fileno())
            text = file.read()
    except (OSError, UnicodeDecodeError) as error:
        raise SettingsError(f"The accounts file {path} can't be read. Make it with write_accounts().") from error
    if found.st_mode & _OTHERS or found.st_uid != os.geteuid():
        raise SettingsError(f"The accounts file {path} must be the Hub's own and closed to others: chmod 600 it.")
    try:
        return _File.model_validate_json(text).root
    except ValidationError:
        # without the cause: it repeats what the file holds
        raise SettingsError(f"The accounts file {path} holds something else. Remove it and make it again.") from None


def is_password(account: Account | None, password: str) -> bool:
    """Tell whether this is the account's password; it takes as long where there is no account.

    Takes about 50 ms of one core: call it in a thread.
    """
    compared = account or Account(salt="00" * 16, password_hash="")
    same = hmac.compare_digest(_hash(password, compared.salt), compared.password_hash)
    return same and account is not None


class Attempts:
    """Counts attempts to log in to an account, so that a password can't be found by trying.

    An attempt counts from its beginning, since many can run at the same time.
    """

    def __init__(self, most_per_minute: int) -> None:
        self._limiter = MovingWindowRateLimiter(MemoryStorage())
        self._most = RateLimitItemPerMinute(most_per_minute)

    def begin(self, name: str) -> None:
        """Note an attempt.

        Raises
        ------
        TooManyRequestsError
            There were too many; this one does not count.
        """
        if not self._limiter.hit(self._most, name):
            free = self._limiter.get_window_stats(self._most, name).reset_time
            raise TooManyRequestsError(max(1, math.ceil(free - time.time())))

    def succeed(self, name: str) -> None:
        """Forget the attempts of someone who knew the password."""
        self._limiter.clear(self._most, name)
