"""The Hub of the chart, read from top to bottom: the sibling of ``jupyterhub_config.py`` for one machine.

What differs between sites stands in the values; what no value covers, `hub.config` and `hub.extraConfig` can still say.
"""

import os
import sys
from pathlib import Path

import yaml

from jupyterhub_collab import logs
from jupyterhub_collab.settings import load_settings
from jupyterhub_collab_services import hub_pages
from jupyterhub_collab_spawner import request_names

c = get_config()  # noqa: F821 - JupyterHub gives it to this file

# Where things are. The chart mounts its values, the secrets that it made once, and the settings file that
# JUPYTERHUB_COLLAB_SETTINGS names: the settings say what Hub and services must agree on.
folder = Path(os.environ.get("JUPYTERHUB_COLLAB_CHART", "/etc/jupyterhub-collab"))
values = yaml.safe_load((folder / "values" / "values.yaml").read_text(encoding="utf-8"))
hub, urls, singleuser, cull = (values[part] for part in ("hub", "urls", "singleuser", "cull"))
settings = load_settings()


def secret(name: str) -> str:
    """Return a secret of this release."""
    return (folder / "secrets" / name).read_text(encoding="ascii").strip()


# Addresses. People come in through the proxy, which runs beside the Hub and goes on while the Hub restarts.
c.JupyterHub.base_url = hub["baseUrl"]
c.JupyterHub.subdomain_hook = hub_pages.subdomain  # where hub.config gives each person an origin of their own
c.JupyterHub.hub_bind_url = "http://:8081"
c.JupyterHub.hub_connect_url = urls["hub"]
c.ConfigurableHTTPProxy.should_start = False
c.ConfigurableHTTPProxy.api_url = urls["proxy"]
c.ConfigurableHTTPProxy.auth_token = secret("hub.config.ConfigurableHTTPProxy.auth_token")
c.JupyterHub.last_activity_interval = 30  # seconds; then a proxy that was replaced is told its routes again

# The Hub's own database and secrets. The core's database, with projects and members, is another one.
c.JupyterHub.db_url = os.environ["JUPYTERHUB_DATABASE_URL"]
c.JupyterHub.upgrade_db = hub["upgradeDatabase"]
c.JupyterHub.db_kwargs = {"pool_pre_ping": True}  # a database that was restarted has cut all connections
c.JupyterHub.cookie_secret = bytes.fromhex(secret("hub.config.JupyterHub.cookie_secret"))
c.CryptKeeper.keys = secret("hub.config.CryptKeeper.keys").split(";")

# The log. Every request has a name, which stands in each line about it; the settings say whether lines are text or
# JSON. Whoever starts a server sees how far it is from the first moment.
c.JupyterHub.logging_config = logs.hub_logging(settings)
c.JupyterHub.tornado_settings = {"slow_spawn_timeout": 0, **request_names.TORNADO_SETTINGS}

# Who logs in: hub.config names the class. With own sign-up the operators that the settings name need no approval.
c.CollabNativeAuthenticator.allowed_users = set(settings.rights.operator.names)

# What a server is: a pod that mounts what the plan of the core grants, and passes the “restricted” standard.
c.JupyterHub.spawner_class = "collab-kube"
c.JupyterHub.allow_named_servers = True  # one for each project; limits are in the settings
c.JupyterHub.cleanup_servers = False  # work goes on while the Hub restarts
c.KubeSpawner.common_labels = values["labels"]
c.KubeSpawner.extra_labels = {"hub.jupyter.org/network-access-hub": "true", **singleuser["extraLabels"]}
c.KubeSpawner.image = singleuser["imageName"]
c.KubeSpawner.image_pull_policy = singleuser["image"]["pullPolicy"]
c.CollabKubeSpawner.home_path = singleuser["storage"]["homeMountPath"]
for trait, value in {
    "cmd": singleuser["cmd"],
    "default_url": singleuser["defaultUrl"],
    "environment": singleuser["extraEnv"],
    "events_enabled": singleuser["events"],
    "extra_annotations": singleuser["extraAnnotations"],
    "extra_containers": singleuser["extraContainers"],
    "extra_pod_config": singleuser["extraPodConfig"],
    "image_pull_secrets": singleuser["imagePullSecrets"],
    "init_containers": singleuser["initContainers"],
    "lifecycle_hooks": singleuser["lifecycleHooks"],
    "node_affinity_preferred": singleuser["extraNodeAffinity"]["preferred"],
    "node_affinity_required": singleuser["extraNodeAffinity"]["required"],
    "node_selector": singleuser["nodeSelector"],
    "service_account": singleuser["serviceAccountName"],
    "start_timeout": singleuser["startTimeout"],
    "tolerations": singleuser["extraTolerations"],
    "volume_mounts": singleuser["storage"]["extraVolumeMounts"],
    "volumes": singleuser["storage"]["extraVolumes"],
}.items():
    if value:
        c.KubeSpawner[trait] = value

# The pages. The projects service acts with the token of the person in front of it, for their own servers only; it
# has no right of its own over anybody. After login one lands on My projects.
c.JupyterHub.default_url = f"{hub['baseUrl'].rstrip('/')}/services/projects/"
c.JupyterHub.template_paths = hub_pages.TEMPLATE_PATHS
c.JupyterHub.template_vars = hub_pages.template_vars(settings, isolation="pod")
c.JupyterHub.extra_user_scopes = {"access:services!service=projects"}
projects = {
    "name": "projects",
    "url": urls["projects"],
    "api_token": secret("hub.services.projects.apiToken"),
    "oauth_client_allowed_scopes": ["read:servers!user", "start:servers!user", "delete:servers!user"],
    "oauth_no_confirm": True,
    "display": False,
}
c.JupyterHub.services = [projects]
c.JupyterHub.load_roles = []

# Servers that nobody uses are stopped after the time in the settings.
if cull["enabled"]:
    idle_culler = {
        "name": "idle-culler",
        "command": [
            *(sys.executable, "-m", "jupyterhub_collab_spawner.idle_culler"),
            f"--url=http://127.0.0.1:8081{hub['baseUrl'].rstrip('/')}/hub/api",
            f"--timeout={settings.limits.idle_minutes * 60}",
            f"--cull-every={cull['every']}",
            f"--max-age={cull['maxAge']}",
            f"--concurrency={cull['concurrency']}",
            f"--cull-admin-users={cull['adminUsers']}",
        ],
        "environment": {logs.FORMAT_VARIABLE: settings.site.log_format},
        "api_token": secret("hub.services.idle-culler.apiToken"),
    }
    scopes = ["list:users", "read:users:activity", "read:servers", "delete:servers"]
    c.JupyterHub.services.append(idle_culler)
    c.JupyterHub.load_roles.append({"name": "idle-culler", "services": ["idle-culler"], "scopes": scopes})

# Prometheus reads metrics, and nothing else.
if values["monitoring"]:
    c.JupyterHub.services.append({"name": "prometheus", "api_token": secret("hub.services.prometheus.apiToken")})
    metrics_role = {"name": "prometheus", "services": ["prometheus"], "scopes": ["read:metrics"]}
    c.JupyterHub.load_roles.append(metrics_role)

# What the site adds, in this order: services and roles, any trait of any class, then code, sorted by its key.
for name, given in hub["services"].items():
    service = {"name": name, **{key: value for key, value in given.items() if key != "apiToken"}}
    c.JupyterHub.services.append({**service, "api_token": secret(f"hub.services.{name}.apiToken")})
for name, role in hub["loadRoles"].items():
    c.JupyterHub.load_roles.append({"name": name, **role})
if values["debug"]:
    c.JupyterHub.log_level = "DEBUG"
    c.Spawner.debug = True
for configurable, traits in hub["config"].items():
    c[configurable].update(traits)
for _, code in sorted(hub["extraConfig"].items()):
    exec(code)  # noqa: S102 - the operator's own configuration
