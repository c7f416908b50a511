"""JupyterHub Collab on one machine, read from top to bottom: each part says what it is for. Adapt a copy of this file.

Start it with ``jupyterhub -f jupyterhub_config.py``; ``jupyterhub-collab doctor`` says what is missing on the machine.
"""

import os
import shutil
import subprocess
import sys
from pathlib import Path

from jupyterhub_collab import logs
from jupyterhub_collab.settings import FILE_VARIABLE, load_settings
from jupyterhub_collab.state import StateFolder, free_port
from jupyterhub_collab_services import hub_pages
from jupyterhub_collab_spawner import addresses, checks, request_names

c = get_config()  # noqa: F821 - JupyterHub gives it to this file

# Where things are. One folder holds all that must survive a restart: the Hub's database, secrets, the settings file.
# The settings file says what Hub and services must agree on: data volumes, environments, sizes, limits, operators.
state = StateFolder.from_environment()
os.environ.setdefault(FILE_VARIABLE, str(state.settings) if state.settings.exists() else "")
settings = load_settings()

# Addresses. People come in through the proxy, here on loopback: put a web server with https in front and set
# public_url, or name ssl_key and ssl_cert. Hub, proxy and servers talk through Unix sockets, so that a server needs no
# network.
port = int(os.environ.get("PORT", "8000"))
c.JupyterHub.bind_url = f"http://127.0.0.1:{port}"
c.JupyterHub.hub_bind_url = c.JupyterHub.hub_connect_url = addresses.hub_url()
c.JupyterHub.hub_socket_mode = 0o666
c.ConfigurableHTTPProxy.api_url = addresses.proxy_api_url()
c.ConfigurableHTTPProxy.auth_token = state.secret("proxy-token")
c.ConfigurableHTTPProxy.pid_file = str(state / "proxy.pid")
local_proxy = Path(__file__).parent / "node_modules" / ".bin" / "configurable-http-proxy"
c.ConfigurableHTTPProxy.command = addresses.proxy_command(local_proxy if local_proxy.exists() else local_proxy.name)

# One origin for each person, so that no page in a server reaches the Hub or another server with the visitor's rights:
# name the Hub's address here, such as "https://hub.example.org", and let *.hub.example.org lead to it too. Do so
# wherever people do not trust each other's notebooks.
subdomain_host = os.environ.get("SUBDOMAIN_HOST", "")
c.JupyterHub.subdomain_host = subdomain_host
c.JupyterHub.subdomain_hook = hub_pages.subdomain

# The Hub's own database and secret. The core's database, with projects and members, is another one: see the settings.
c.JupyterHub.db_url = f"sqlite:///{state / 'hub.sqlite'}"
subprocess.run([sys.executable, "-m", "jupyterhub_collab.cli", "db", "upgrade"], check=True)
c.JupyterHub.cookie_secret_file = str(state / "cookie-secret")

# The log. Every request has a name, which stands in each line about it, in the answer and on the page of an error. The
# settings say whether lines are text or JSON.
c.JupyterHub.logging_config = logs.hub_logging(settings)
c.JupyterHub.tornado_settings = request_names.TORNADO_SETTINGS

# Who logs in. Here people sign up, and the operators that the settings name approve them at /hub/authorize; the first
# operator needs no approval and should sign up first. Whoever holds an invitation link to a project needs none either.
# collab-oidc takes accounts and groups from an identity provider; any other authenticator works with our mixin.
operators = sorted(settings.rights.operator.names)
c.JupyterHub.authenticator_class = "collab-native"
c.CollabNativeAuthenticator.allowed_users = set(operators)
c.CollabNativeAuthenticator.allow_invited = True

# What a server is. Each runs in a sandbox that shows the person's home and what their role in a project allows, and
# nothing else of this machine. Without a working sandbox the Hub does not start: this line says how to mend it.
# Write "none" to do without, where all may read each other's files: every page then says so.
isolation = "sandbox"
checks.require_sandbox(isolation=isolation)
c.JupyterHub.spawner_class = "collab-sandbox"
c.CollabSandboxSpawner.isolation = isolation
c.JupyterHub.allow_named_servers = True  # one for each project; limits are in the settings
c.JupyterHub.cleanup_servers = False  # work goes on while the Hub restarts

# The pages. The projects service acts with the token of the person in front of it, for their own servers only; it
# has no right of its own over anybody. After login one lands on My projects.
c.JupyterHub.default_url = "/services/projects/"
c.JupyterHub.template_paths = hub_pages.TEMPLATE_PATHS  # the Hub's own pages get the same navigation and style
c.JupyterHub.template_vars = hub_pages.template_vars(settings, isolation=isolation)
c.JupyterHub.extra_user_scopes = {"access:services!service=projects"}
own_servers = ["read:servers!user", "start:servers!user", "delete:servers!user"]
shared = {name: value for name, value in os.environ.items() if name.startswith("JUPYTERHUB_COLLAB")}
shared["JUPYTERHUB_COLLAB_ISOLATION"] = isolation
projects = {
    "name": "projects",
    "url": f"http://127.0.0.1:{free_port()}",
    "command": [sys.executable, "-m", "jupyterhub_collab_services.projects"],
    "environment": shared,
    "api_token": state.secret("projects-token"),
    "oauth_client_allowed_scopes": own_servers,
    "oauth_no_confirm": True,
    "display": False,
}

# Servers that nobody uses are stopped after the time in the settings. It ends with its Hub, as all services must:
# one that outlives a Hub that was killed would stand in the way of the next.
end_with_hub = [shutil.which("setpriv") or "setpriv", "--pdeathsig", "TERM", "--"]
idle_culler = {
    "name": "idle-culler",
    "command": [
        *end_with_hub,
        *(sys.executable, "-m", "jupyterhub_collab_spawner.idle_culler"),
        f"--timeout={settings.limits.idle_minutes * 60}",
        "--cull-every=60",
        f"--url={subdomain_host or f'http://127.0.0.1:{port}'}/hub/api",
    ],
    "environment": {logs.FORMAT_VARIABLE: settings.site.log_format},
    "api_token": state.secret("idle-culler-token"),
}
c.JupyterHub.services = [projects, idle_culler]
c.JupyterHub.load_roles = [
    {
        "name": "idle-culler",
        "services": ["idle-culler"],
        "scopes": ["list:users", "read:users:activity", "read:servers", "delete:servers"],
    },
]
