"""Login through an identity provider that speaks OpenID Connect."""

from __future__ import annotations

from collections.abc import Mapping
from functools import reduce
from typing import Any

from jupyterhub.crypto import CryptKeeper
from jupyterhub.utils import maybe_future
from oauthenticator.generic import GenericOAuthenticator
from traitlets import default

from .mixin import AuthModel, CollabAuthenticatorMixin


class UnreadableClaimError(Exception):
    """The provider said nothing about groups, or something that is no list of names."""


def _follow(state: object, path: str) -> object:
    """Return what stands at a path such as ``oauth_user.groups``, or None."""

    def step(value: object, key: str) -> object:
        return value.get(key) if isinstance(value, Mapping) else None

    return reduce(step, path.split("."), state)


class OAuthGroupsMixin(CollabAuthenticatorMixin):
    """Reads the group claim of any class of the package oauthenticator.

    *Their usual flow.* `_token_to_auth_model` builds the model at login and refresh and calls `_apply_managed_groups`,
    which calls `get_user_groups`, writes ``groups`` and, where `admin_groups` is set, ``admin``. A claim that is
    missing gives no groups; one that is a string gives its letters.

    *What is done instead.* A claim that can't be read gives ``groups: None`` and leaves ``admin`` alone, so that a
    provider that forgets a claim takes nothing from anyone. A new login by `allowed_groups` is refused then.

    *Which calls this rests on.* `get_user_groups` is public; that `_apply_managed_groups` calls it is not promised.
    """

    async def get_user_groups(self, auth_state: dict[str, Any]) -> set[str]:
        """Return the groups in the claim that `auth_state_groups_key` names.

        Raises
        ------
        UnreadableClaimError
            It is missing, or no list of strings.
        """
        claim = self._read(await self._claim(auth_state))
        if claim.groups is None:
            raise UnreadableClaimError
        return set(claim.groups)

    async def _claim(self, auth_state: dict[str, Any]) -> object:
        key: Any = self.auth_state_groups_key
        if not callable(key):
            return _follow(auth_state, key)
        try:
            found: object = await maybe_future(key(auth_state))
        except (LookupError, TypeError, AttributeError):  # how an operator's function meets a claim that is not there
            return None
        return found

    async def _apply_managed_groups(self, auth_model: AuthModel) -> AuthModel:
        try:
            return dict(await super()._apply_managed_groups(auth_model))
        except UnreadableClaimError:
            self.log.warning("The provider gave no readable groups for %r: they stay as they are.", auth_model["name"])
            return auth_model | {"groups": None}


class CollabOIDCAuthenticator(OAuthGroupsMixin, GenericOAuthenticator):
    """OpenID Connect with group claims, PKCE, and refresh where the Hub may keep tokens.

    Set `client_id`, `client_secret`, `oauth_callback_url`, `authorize_url`, `token_url` and `userdata_url`. Groups are
    read again at each refresh if the Hub has a key for its auth state, in ``JUPYTERHUB_CRYPT_KEY`` or in
    `CryptKeeper.keys`; else only at login.
    """

    @default("scope")
    def _default_scope(self) -> list[str]:
        return ["openid", "profile", "email"]

    @default("username_claim")
    def _default_username_claim(self) -> str:
        return "preferred_username"

    @default("enable_auth_state")
    def _keep_tokens(self) -> bool:
        return bool(CryptKeeper(parent=self).keys)

    def check_allow_config(self) -> None:
        """Say when the Hub starts that groups can't be refreshed."""
        super().check_allow_config()
        if not self.enable_auth_state:
            self.log.warning("JUPYTERHUB_CRYPT_KEY is not set: groups are read at login only, and not refreshed.")
