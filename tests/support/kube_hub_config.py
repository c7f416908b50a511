"""A real Hub whose servers are pods of a test's cluster; no kubelet runs them, so one address stands for all."""

from __future__ import annotations

import json
import os
from pathlib import Path

from jupyterhub_collab.state import free_port

c = get_config()  # type: ignore[name-defined]  # noqa: F821 - the Hub gives it
state = Path(os.environ["STATE"])
answers = os.environ["SERVERS_ANSWER_AT"]

c.JupyterHub.bind_url = f"http://127.0.0.1:{free_port()}"
c.JupyterHub.hub_bind_url = f"http://127.0.0.1:{os.environ['PORT']}"
c.JupyterHub.cleanup_servers = False
c.JupyterHub.allow_named_servers = True
c.JupyterHub.db_url = f"sqlite:///{state}/hub.sqlite"
c.JupyterHub.cookie_secret_file = str(state / "cookie-secret")
c.JupyterHub.tornado_settings = {"slow_spawn_timeout": 600}
c.JupyterHub.init_spawners_timeout = -1
c.ConfigurableHTTPProxy.api_url = f"http://127.0.0.1:{free_port()}"
c.ConfigurableHTTPProxy.pid_file = str(state / "proxy.pid")
c.JupyterHub.authenticator_class = "dummy"
c.Authenticator.allow_all = True
c.JupyterHub.load_roles = [
    {"name": "tests", "scopes": ["admin:users", "admin:servers", "access:servers"], "services": ["tests"]}
]
c.JupyterHub.services = [{"name": "tests", "api_token": os.environ["TEST_TOKEN"]}]
c.JupyterHub.spawner_class = os.environ["SPAWNER"]
c.KubeSpawner.namespace = os.environ["NAMESPACE"]
c.KubeSpawner.image = "localhost/never-run:1"
c.KubeSpawner.get_pod_url = lambda _spawner, _pod: answers
for name, value in json.loads(os.environ.get("TRAITS", "{}")).items():
    setattr(c.KubeSpawner, name, value)
if "MORE_CONFIG" in os.environ:
    exec(os.environ["MORE_CONFIG"])  # noqa: S102 - what one test wants to be different
