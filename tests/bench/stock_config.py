"""A stock JupyterHub: its own authenticator and spawner for trying it out, the same proxy, SQLite."""

from __future__ import annotations

import os
from pathlib import Path

from jupyterhub_collab.state import free_port

c = get_config()  # type: ignore[name-defined]  # noqa: F821 - the Hub gives it
state = Path(os.environ["STOCK_STATE"])

c.JupyterHub.bind_url = f"http://127.0.0.1:{os.environ['PORT']}"
c.JupyterHub.hub_bind_url = f"http://127.0.0.1:{free_port()}"
c.JupyterHub.default_url = "/hub/home"  # a login alone starts no server
c.ConfigurableHTTPProxy.api_url = f"http://127.0.0.1:{free_port()}"
c.ConfigurableHTTPProxy.pid_file = str(state / "proxy.pid")
c.JupyterHub.db_url = f"sqlite:///{state}/hub.sqlite"
c.JupyterHub.cookie_secret_file = str(state / "cookie-secret")
c.JupyterHub.authenticator_class = "dummy"
c.DummyAuthenticator.password = os.environ["STOCK_PASSWORD"]
c.Authenticator.allow_all = True
c.JupyterHub.spawner_class = "simple"
c.SimpleLocalProcessSpawner.home_dir_template = f"{state}/homes/{{username}}"
c.Spawner.args = ["--allow-root"] if os.geteuid() == 0 else []
