"""What a Hub of zero-to-jupyterhub runs last, by `hub.extraConfig`, to have projects."""
# ruff: noqa: F821, INP001 - part of a configuration, where c is given

import os
import subprocess
import sys

from jupyterhub_collab import logs
from jupyterhub_collab.settings import load_settings
from jupyterhub_collab_services import hub_pages
from jupyterhub_collab_spawner import request_names

settings = load_settings()
subprocess.run([sys.executable, "-m", "jupyterhub_collab.cli", "db", "upgrade"], check=True)

c.JupyterHub.logging_config = logs.hub_logging(settings)
c.JupyterHub.tornado_settings.update(request_names.TORNADO_SETTINGS)

# Servers mount what the plan of the core grants, and claims are made by the plan and not for each server.
c.JupyterHub.spawner_class = "collab-kube"
c.JupyterHub.allow_named_servers = True
c.JupyterHub.cleanup_servers = False
c.KubeSpawner.storage_pvc_ensure = False

# The projects service acts with the token of the person in front of it, and has no right of its own.
c.JupyterHub.default_url = f"{c.JupyterHub.get('base_url', '/').rstrip('/')}/services/projects/"
c.JupyterHub.template_paths = hub_pages.TEMPLATE_PATHS
c.JupyterHub.template_vars = hub_pages.template_vars(settings, isolation="pod")
c.JupyterHub.extra_user_scopes = {"access:services!service=projects"}
c.JupyterHub.services.append(
    {
        "name": "projects",
        "url": os.environ["JUPYTERHUB_COLLAB_PROJECTS_URL"],
        "api_token": os.environ["JUPYTERHUB_COLLAB_PROJECTS_TOKEN"],
        "oauth_client_allowed_scopes": ["read:servers!user", "start:servers!user", "delete:servers!user"],
        "oauth_no_confirm": True,
        "display": False,
    },
)
