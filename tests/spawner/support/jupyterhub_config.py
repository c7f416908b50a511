"""The Hub of the spawner's tests: the real proxy, core and spawner, and a password that everyone knows."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from jupyterhub_collab.factory import shared_factory
from jupyterhub_collab_spawner.addresses import hub_url, proxy_api_url, proxy_command

c = get_config()  # type: ignore[name-defined]  # noqa: F821 - the Hub gives it
state = Path(os.environ["STATE"])


async def known_to_the_core(_authenticator: Any, _handler: Any, authentication: dict[str, Any]) -> dict[str, Any]:
    """Write the person, as the product's authenticator does."""
    await shared_factory().people.sign_in(authentication["name"], display_name="", groups=None)
    return authentication


c.JupyterHub.bind_url = f"http://127.0.0.1:{os.environ['PORT']}"
c.JupyterHub.hub_bind_url = c.JupyterHub.hub_connect_url = hub_url()
c.JupyterHub.hub_socket_mode = 0o666
c.JupyterHub.cleanup_servers = False
c.JupyterHub.allow_named_servers = True
c.JupyterHub.db_url = f"sqlite:///{state}/hub.sqlite"
c.JupyterHub.cookie_secret_file = str(state / "cookie_secret")
c.JupyterHub.spawner_class = "collab-sandbox"
c.JupyterHub.tornado_settings = {"slow_spawn_timeout": 30}
c.ConfigurableHTTPProxy.command = proxy_command()
c.ConfigurableHTTPProxy.api_url = proxy_api_url()
c.ConfigurableHTTPProxy.pid_file = str(state / "proxy.pid")
c.JupyterHub.authenticator_class = "dummy"
c.Authenticator.allow_all = True
c.Authenticator.post_auth_hook = known_to_the_core
c.JupyterHub.load_roles = [
    {"name": "tests", "scopes": ["admin:users", "admin:servers", "access:servers", "tokens"], "services": ["tests"]}
]
c.JupyterHub.services = [{"name": "tests", "api_token": os.environ["TEST_TOKEN"]}]
if "MORE_CONFIG" in os.environ:
    exec(os.environ["MORE_CONFIG"])  # noqa: S102 - what one test wants to be different
