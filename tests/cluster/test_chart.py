"""The chart: what it makes of values, what it refuses, and that a strict cluster takes all of it."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Iterator
from functools import cache
from itertools import chain
from pathlib import Path
from typing import Any

import pytest
import yaml
from jupyterhub.scopes import scope_definitions

from jupyterhub_collab.settings import load_settings

from .chart import CHART, ROOT, Thing, definitions, helm, named, options, pods, refusal, render, secret
from .cluster import Cluster
from .errors import ClusterError

pytestmark = pytest.mark.cluster

# Each way to install it, as a file of values and what is set beside it
WAYS: dict[str, tuple[str, dict[str, Any]]] = {
    "defaults": ("", {}),
    "postgres": ("postgres", {}),
    "everything": ("everything", {}),
    "everything-postgres": ("everything", {"hub__db__type": "postgres"}),
    "try-out": ("try-out", {}),
    "addon": ("addon", {}),
}
every_way = pytest.mark.parametrize("way", WAYS)


@cache
def rendered_once(way: str) -> str:
    values, more = WAYS[way]
    return json.dumps(render(values, **more))


def rendered(way: str) -> list[Thing]:
    return list(json.loads(rendered_once(way)))


# Values ------------------------------------------------------------------------------------------------------


def schema() -> Thing:
    return dict(json.loads((CHART / "values.schema.json").read_text()))


def described(known: Thing, path: str = "") -> Iterator[tuple[str, Thing]]:
    """Return each option of the schema by its dotted name, the renamed ones left out."""
    for name, option in known.get("properties", {}).items():
        if not option.get("description", "").startswith("Not here any more"):
            yield f"{path}{name}", option
            yield from described(option, f"{path}{name}.")


def given(values: Any, path: str = "") -> set[str]:
    """Return the dotted names of all values, those of tables as well."""
    if not isinstance(values, dict):
        return set()
    return set(
        chain.from_iterable({f"{path}{name}", *given(value, f"{path}{name}.")} for name, value in values.items())
    )


def test_the_schema_is_made_from_its_source() -> None:
    subprocess.run([sys.executable, str(ROOT / "tools" / "values_schema.py"), "--check"], check=True)


def test_every_option_is_described() -> None:
    found = dict(described(schema()))
    assert len(found) > 200
    assert [name for name, option in found.items() if "description" not in option and "properties" not in option] == []


def test_every_option_has_a_default_and_every_default_is_an_option() -> None:
    defaults = given(yaml.safe_load((CHART / "values.yaml").read_text()))
    known = dict(described(schema()))
    optional = re.compile(r".*\.(image\.pullSecrets|resources\.limits)|collab\.settings\..*")
    assert [name for name in known if name not in defaults and not optional.fullmatch(name)] == []
    free = re.compile(r"(collab\.settings|hub\.config|.*\.requests|.*\.labels)\..*")
    assert [name for name in defaults if name not in known and not free.fullmatch(name)] == []


def test_one_file_of_values_sets_everything_to_something_else() -> None:
    values = yaml.safe_load((CHART.parents[1] / "tests/cluster/values/everything.yaml").read_text())
    same = {"hub.enabled", "cull.enabled", "hub.existingSecret", "ingress.pathSuffix"}
    missing = [name for name, option in described(schema()) if name not in given(values) and "$ref" not in option]
    assert [name for name in missing if name not in same] == []


@every_way
def test_helm_finds_nothing_wrong(way: str) -> None:
    values, more = WAYS[way]
    done = helm("lint", "--strict", str(CHART), *options(values, **more))
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize(
    ("name", "value", "told"),
    [
        ("hub__replicas", 2, "at '/hub': additional properties 'replicas' not allowed"),
        ("hub__db__type", "mysql", "at '/hub/db/type': value must be one of 'postgres', 'sqlite-pvc'"),
        ("hub__baseUrl", "science", "at '/hub/baseUrl': 'science' does not match pattern '^/'"),
        ("hub__config__jupyterhub", {}, "at '/hub/config': additional properties 'jupyterhub' not allowed"),
        ("hub__services", {"x": {"apiToken": 1}}, "at '/hub/services/x/apiToken': got number, want string"),
        ("proxy__service__type", "Public", "value must be one of 'ClusterIP', 'NodePort', 'LoadBalancer'"),
        ("singleuser__startTimeout", 1, "at '/singleuser/startTimeout': minimum: got 1, want 10"),
        ("collab__settings__limits", {"idle_minutes": 2}, "idle_minutes': minimum: got 2, want 5"),
        ("collab__settings__limits", {"idel_minutes": 20}, "additional properties 'idel_minutes' not allowed"),
        ("collab__settings__environments", {"x": {"network": "shut"}}, "value must be one of 'open', 'none'"),
        (
            "collab__settings__storage",
            {"access_mode": "ReadWriteOnce"},
            "name its host name in collab.settings.storage.node",
        ),
        ("collab__settings__storage", {"node": "node1"}, "set collab.settings.storage.access_mode to ReadWriteOnce"),
        ("collab__database__key", "hub-url", "the Hub and the core each need a database of their own"),
        ("httpRoute__enabled", True, "name the Gateway in httpRoute.parentRefs"),
    ],
)
def test_a_bad_value_is_refused_in_one_line(name: str, value: Any, told: str) -> None:
    assert told in refusal(**{name: value})


def test_an_addon_cannot_share_a_file_with_its_hub() -> None:
    assert "set hub.db.type to postgres" in refusal("addon", hub__db__type="sqlite-pvc")


@pytest.mark.parametrize(("old", "new"), yaml.safe_load((CHART / "files" / "renamed.yaml").read_text()).items())
def test_a_renamed_option_fails_with_what_stands_for_it(old: str, new: str) -> None:
    assert refusal(**{old.replace(".", "__"): "x"}) == f"{old} is not an option of this chart. Here it is {new}."


@pytest.mark.parametrize("old", yaml.safe_load((CHART / "files" / "renamed.yaml").read_text()).values())
def test_what_stands_for_a_renamed_option_exists(old: str) -> None:
    known = set(dict(described(schema())))
    settings = set(dict(described({"properties": schema()["$defs"]["Settings"]["properties"]})))
    for name in re.findall(r"\b[a-z]+(?:\.[A-Za-z_]+)+", old):
        if name.startswith("collab.settings."):
            assert name.split(".")[2] in settings
        elif not name.startswith(("hub.config.", "c.")):
            assert name in known


OTHERS = re.compile(r"(apiVersion|scrape_configs):")
EXAMPLE = re.compile(r"^( *)```yaml\n(.*?)^\1```$", re.MULTILINE | re.DOTALL)


def examples() -> list[Any]:
    """Return the values that pages of the manual show, and of no other program."""
    found = [(page, example) for page in (ROOT / "docs").rglob("*.md") for example in EXAMPLE.findall(page.read_text())]
    texts = [(page.stem, re.sub(rf"^{indent}", "", text, flags=re.MULTILINE)) for page, (indent, text) in found]
    return [pytest.param(text, id=f"{name}-{i}") for i, (name, text) in enumerate(texts) if not OTHERS.match(text)]


@pytest.mark.parametrize("text", examples())
def test_examples_of_values_are_taken(text: str, tmp_path: Path) -> None:
    file = tmp_path / "values.yaml"
    file.write_text(text)
    done = helm("template", "collab", str(CHART), f"--values={file}")
    assert done.returncode == 0, done.stderr
    assert yaml.safe_load(text).keys() <= yaml.safe_load((CHART / "values.yaml").read_text()).keys()


# What it makes -----------------------------------------------------------------------------------------------


@every_way
def test_each_pod_may_talk_only_to_whom_a_policy_names(way: str) -> None:
    things = rendered(way)
    policies = [thing["spec"] for thing in things if thing["kind"] == "NetworkPolicy"]
    closed = [policy["podSelector"]["matchLabels"] for policy in policies if len(policy["policyTypes"]) == 2]
    for thing in things:
        if thing["kind"] == "Deployment":
            labels = thing["spec"]["template"]["metadata"]["labels"]
            assert any(chosen.items() <= labels.items() for chosen in closed), thing["metadata"]["name"]


@pytest.mark.parametrize("private", [False, True])
def test_no_server_reaches_the_metadata_of_a_cloud(private: bool) -> None:
    things = render(singleuser__networkPolicy__egressAllowRules__privateIPs=private)
    rules = named(things, "NetworkPolicy", "singleuser-outside")["spec"]["egress"]
    blocks = [peer["ipBlock"] for rule in rules for peer in rule["to"]]
    everywhere = next(block for block in blocks if block["cidr"] == "0.0.0.0/0")
    assert {"169.254.0.0/16", "10.0.0.0/8", "192.168.0.0/16", "172.16.0.0/12"} <= set(everywhere["except"])
    assert ("10.0.0.0/8" in {block["cidr"] for block in blocks}) is private
    assert not any(block["cidr"].startswith("169.254.") for block in blocks)


def test_servers_without_network_get_no_way_out() -> None:
    things = render()
    (rule,) = named(things, "NetworkPolicy", "singleuser-outside")["spec"]["podSelector"]["matchExpressions"]
    assert rule == {"key": "collab.jupyter.org/network", "operator": "NotIn", "values": ["none"]}
    inside = named(things, "NetworkPolicy", "singleuser")["spec"]["egress"]
    assert {port["port"] for rule in inside for port in rule["ports"]} == {53, 8081}


def test_the_internet_is_a_choice() -> None:
    things = render(singleuser__networkPolicy__egressAllowRules__nonPrivateIPs=False)
    assert [t for t in things if t["metadata"]["name"].endswith("singleuser-outside")] == []


@every_way
def test_only_the_hub_may_ask_kubernetes(way: str) -> None:
    things = rendered(way)
    for pod in pods(things):
        assert pod["spec"]["automountServiceAccountToken"] is pod["metadata"]["name"].endswith("remove-volumes-job")
        for container in [*pod["spec"]["containers"], *pod["spec"].get("initContainers", [])]:
            mounts = {mount["name"] for mount in container.get("volumeMounts", [])}
            assert ("api-access" in mounts) is (container["name"] == "hub")


def role_rules(things: list[Thing], name: str = "hub") -> dict[str, set[str]]:
    rules = named(things, "Role", name)["rules"]
    return {resource: set(rule["verbs"]) for rule in rules for resource in rule["resources"]}


@every_way
def test_the_manual_lists_every_verb(way: str) -> None:
    page = (ROOT / "docs" / "reference" / "rbac.md").read_text()
    listed: dict[str, set[str]] = {}
    for resource, verb in re.findall(r"^\| `(\w+)` \| `(\w+)` \| \w", page, re.MULTILINE):
        listed.setdefault(resource, set()).add(verb)
    things = rendered(way)
    assert role_rules(things) == listed
    assert not [thing for thing in things if thing["kind"].startswith("Cluster")]


def test_removal_of_volumes_has_rights_only_where_it_is_asked_for() -> None:
    assert "Job" not in {thing["kind"] for thing in render("try-out")}
    things = render("try-out", collab__removeVolumesOnUninstall=True)
    assert role_rules(things, "remove-volumes") == {
        "pods": {"list", "delete"},
        "persistentvolumeclaims": {"list", "delete"},
    }
    annotations = named(things, "Role", "remove-volumes")["metadata"]["annotations"]
    assert annotations["helm.sh/hook"] == "post-delete"


def test_with_sqlite_hub_and_projects_service_share_a_pod_and_a_claim() -> None:
    things = render("try-out")
    (hub,) = [pod for pod in pods(things) if pod["metadata"]["name"].endswith("hub-deployment")]
    assert [container["name"] for container in hub["spec"]["containers"]] == ["hub", "projects"]
    assert (
        named(things, "PersistentVolumeClaim", "hub-db")["metadata"]["annotations"]["helm.sh/resource-policy"] == "keep"
    )
    assert named(things, "Service", "projects")["spec"]["selector"].items() <= hub["metadata"]["labels"].items()
    addresses = [env["value"] for container in hub["spec"]["containers"] for env in container["env"] if "value" in env]
    assert len([address for address in addresses if address.startswith("sqlite")]) == 3


def test_databases_come_from_secrets_of_the_operator() -> None:
    things = render()
    found = {
        (container["name"], env["name"]): env["valueFrom"]["secretKeyRef"]
        for pod in pods(things)
        for container in [*pod["spec"]["containers"], *pod["spec"].get("initContainers", [])]
        for env in container["env"]
        if "DATABASE" in env["name"]
    }
    core, hub = ({"name": "jupyterhub-collab-database", "key": key} for key in ("collab-url", "hub-url"))
    assert found == {
        ("hub", "JUPYTERHUB_DATABASE_URL"): hub,
        **{(name, "JUPYTERHUB_COLLAB__DATABASE__URL"): core for name in ("hub", "upgrade-database", "projects")},
    }


def test_the_projects_service_gets_one_secret_of_the_release() -> None:
    (projects,) = [pod for pod in pods(render()) if "projects" in pod["metadata"]["name"]]
    assert "secret" not in json.dumps(projects["spec"]["volumes"])
    (container,) = projects["spec"]["containers"]
    keys = [env["valueFrom"]["secretKeyRef"]["key"] for env in container["env"] if "valueFrom" in env]
    assert sorted(keys) == ["collab-url", "hub.services.projects.apiToken"]


@every_way
def test_secrets_are_long_and_all_different(way: str) -> None:
    things = [thing for thing in rendered(way) if thing["kind"] == "Secret"]
    made = [value for thing in things for key, value in secret(thing).items() if key != "values.yaml"]
    assert len(set(made)) == len(made) > 0
    assert all(re.fullmatch(r"[0-9a-z]{64}", value) for value in made)


def test_secrets_of_the_operator_are_used_instead() -> None:
    things = render(hub__existingSecret="ours")
    assert set(named(things, "Secret", "hub")["data"]) == {"values.yaml"}
    assert '"name": "ours", "key": "hub.services.projects.apiToken"' in json.dumps(things)


def test_a_changed_value_restarts_what_reads_it() -> None:
    def checksums(name: str, **more: Any) -> dict[str, str]:
        return dict(named(render(**more), "Deployment", name)["spec"]["template"]["metadata"].get("annotations", {}))

    assert checksums("hub") == checksums("hub")
    assert checksums("hub") != checksums("hub", hub__config__JupyterHub__active_server_limit=3)
    assert checksums("hub") != checksums("hub", collab__settings__limits__undo_days=3)
    assert checksums("projects") != checksums("projects", collab__settings__limits__undo_days=3)
    assert checksums("projects") == checksums("projects", hub__config__JupyterHub__active_server_limit=3)
    assert checksums("proxy") == checksums("proxy", hub__config__JupyterHub__active_server_limit=3)


# What the Hub makes of it ------------------------------------------------------------------------------------


def mounted(things: list[Thing], folder: Path) -> dict[str, str]:
    """Lay out what the Hub's pod mounts; return the environment that names it."""
    for name in ("values", "secrets"):
        (folder / name).mkdir()
    for key, value in secret(named(things, "Secret", "hub")).items():
        (folder / ("values" if key == "values.yaml" else "secrets") / key).write_text(value)
    (folder / "settings.toml").write_text(named(things, "ConfigMap", "settings")["data"]["settings.toml"])
    (folder / "jupyterhub_config.py").write_text(named(things, "ConfigMap", "hub")["data"]["jupyterhub_config.py"])
    return {
        "JUPYTERHUB_COLLAB_CHART": str(folder),
        "JUPYTERHUB_COLLAB_SETTINGS": str(folder / "settings.toml"),
        "JUPYTERHUB_COLLAB__DATABASE__URL": f"sqlite+aiosqlite:///{folder / 'core.sqlite'}",
        "JUPYTERHUB_DATABASE_URL": "sqlite://",
    }


def shown(folder: Path, environment: dict[str, str]) -> str:
    """Return what JupyterHub says of a configuration."""
    command = [sys.executable, "-m", "jupyterhub", "--config", str(folder / "jupyterhub_config.py"), "--show-config"]
    path = str(Path(sys.executable).parent)
    done = subprocess.run(
        command, cwd=folder, env={"PATH": path, **environment}, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert "not recognized" not in done.stderr, done.stderr
    return done.stdout


@pytest.mark.parametrize("way", ["defaults", "everything", "everything-postgres", "try-out"])
def test_the_hub_takes_its_configuration(way: str, tmp_path: Path) -> None:
    told = shown(tmp_path, mounted(rendered(way), tmp_path))
    assert ".spawner_class = 'collab-kube'" in told
    assert ".should_start = False" in told
    scopes = set(re.findall(r"'([a-z:]+)(?:![a-z=]+)?'", told)) & set(scope_definitions)
    # Whoever reviews the chart reads here what all its services together may do
    assert scopes - {"access:services"} <= {
        *("list:users", "read:users:activity", "read:servers", "start:servers", "delete:servers", "read:metrics"),
    }


def test_the_hub_follows_the_values(tmp_path: Path) -> None:
    told = shown(tmp_path, mounted(rendered("everything"), tmp_path))
    for line in (
        ".active_server_limit = 100",
        ".concurrent_spawn_limit = 11",
        ".base_url = '/science/'",
        ".default_url = '/science/services/projects/'",
        ".authenticator_class = 'collab-oidc'",
        ".upgrade_db = False",
        ".home_path = '/home/someone'",
        ".image = 'localhost/notebook:one'",
        ".image_pull_secrets = ['registry', {'name': 'other-registry'}, 'notebook-registry']",
        ".start_timeout = 600",
        ".log_level = 'DEBUG'",
        "'api_token': '" + "a1" * 32,
        "--timeout=3600",
        "--url=http://127.0.0.1:8081/science/hub/api",
        "--cull-admin-users=False",
    ):
        assert line in " ".join(told.split()), line


@every_way
def test_the_settings_can_be_read(way: str, tmp_path: Path) -> None:
    file = tmp_path / "settings.toml"
    file.write_text(named(rendered(way), "ConfigMap", "settings")["data"]["settings.toml"])
    settings = load_settings(file)
    if way.startswith("everything"):
        assert settings.limits.idle_minutes == 60
        assert settings.resource_classes["gpu"].memory == 64 * 1024**3
        assert settings.environments["closed"].network == "none"


# The way in as an add-on -------------------------------------------------------------------------------------

# The names of zero-to-jupyterhub 4.4 that the snippet uses
THEIRS = {
    *("hub.image.name", "hub.image.tag", "hub.allowNamedServers", "hub.extraEnv", "hub.extraVolumes"),
    *("hub.extraVolumeMounts", "hub.extraConfig", "singleuser.image.name", "singleuser.image.tag"),
    *("singleuser.storage.type", "singleuser.fsGid", "singleuser.cloudMetadata.blockWithIptables"),
}
# What their own configuration has set before `hub.extraConfig` runs
BEFORE = """
import os
c = get_config()
c.JupyterHub.spawner_class = "kubespawner.KubeSpawner"
c.JupyterHub.base_url = "/theirs/"
c.JupyterHub.services = [{"name": "jupyterhub-idle-culler", "api_token": "0" * 32}]
c.JupyterHub.load_roles = []
c.JupyterHub.hub_bind_url = "http://:8081"
c.ConfigurableHTTPProxy.should_start = False
c.ConfigurableHTTPProxy.auth_token = "1" * 64
c.JupyterHub.db_url = "sqlite://"
c.KubeSpawner.volumes = {}
c.KubeSpawner.volume_mounts = {}
c.KubeSpawner.storage_pvc_ensure = False
"""


def snippet(things: list[Thing]) -> Thing:
    return dict(yaml.safe_load(named(things, "ConfigMap", "z2jh-values")["data"]["values.yaml"]))


def test_the_addon_brings_no_hub_of_its_own() -> None:
    things = render("addon")
    assert sorted(thing["kind"] for thing in things if thing["kind"] != "ConfigMap") == [
        *("Deployment", "NetworkPolicy", "Role", "RoleBinding", "Secret", "Service", "ServiceAccount"),
    ]
    assert named(things, "RoleBinding", "hub")["subjects"][0]["name"] == "hub"
    peers = named(things, "NetworkPolicy", "projects")["spec"]["ingress"][0]["from"]
    assert {peer["podSelector"]["matchLabels"]["component"] for peer in peers} == {"hub", "proxy"}


def test_the_snippet_uses_names_of_the_other_chart_and_no_secret() -> None:
    things = render("addon")
    found = {name for name in given(snippet(things)) if not any(name.startswith(f"{known}.") for known in THEIRS)}
    assert {name for name in found if not any(known.startswith(f"{name}.") for known in THEIRS)} == THEIRS
    token = secret(named(things, "Secret", "hub"))["hub.services.projects.apiToken"]
    assert token not in json.dumps(snippet(things))


def test_the_snippet_works_in_the_other_hub(tmp_path: Path) -> None:
    things = render("addon")
    values = snippet(things)["hub"]
    (tmp_path / "settings.toml").write_text(named(things, "ConfigMap", "settings")["data"]["settings.toml"])
    (tmp_path / "jupyterhub_config.py").write_text(BEFORE + values["extraConfig"]["50-jupyterhub-collab"])
    environment = {name: value for name, value in values["extraEnv"].items() if isinstance(value, str)}
    assert environment["JUPYTERHUB_COLLAB_SETTINGS"] == "/etc/jupyterhub-collab/settings.toml"
    environment |= {
        "JUPYTERHUB_COLLAB_SETTINGS": str(tmp_path / "settings.toml"),
        "JUPYTERHUB_COLLAB_PROJECTS_TOKEN": "2" * 64,
        "JUPYTERHUB_COLLAB__DATABASE__URL": f"sqlite+aiosqlite:///{tmp_path / 'core.sqlite'}",
    }
    told = shown(tmp_path, environment)
    assert ".spawner_class = 'collab-kube'" in told
    assert ".default_url = '/theirs/services/projects/'" in told
    assert "'url': 'http://tests-projects.chart:8181'" in told
    assert (tmp_path / "core.sqlite").exists()


# What a strict cluster says ----------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def strict(control_plane: Cluster) -> Cluster:
    """Return a cluster with a namespace that enforces the `restricted` standard, and with all definitions."""
    label = "pod-security.kubernetes.io/enforce"
    namespace = {
        "apiVersion": "v1",
        "kind": "Namespace",
        "metadata": {"name": "chart", "labels": {label: "restricted"}},
    }
    control_plane.kubectl("apply", "--filename=-", input=json.dumps(namespace))
    for path in definitions():
        control_plane.kubectl("apply", "--server-side", f"--filename={path}")
    control_plane.kubectl("wait", "--for=condition=Established", "crd", "--all", "--timeout=30s")
    control_plane.kubectl("wait", "--namespace=chart", "--for=create", "serviceaccount/default", "--timeout=30s")
    return control_plane


def tried(cluster: Cluster, things: list[Thing]) -> str:
    """Let the API server check objects against everything but keep none."""
    listed = {"apiVersion": "v1", "kind": "List", "items": things}
    arguments = ("--namespace=chart", "--server-side", "--dry-run=server", "--validate=strict", "--filename=-")
    return cluster.kubectl("apply", *arguments, input=json.dumps(listed))


@every_way
def test_the_api_server_takes_all_of_it(strict: Cluster, way: str) -> None:
    things = rendered(way)
    assert len(tried(strict, things).splitlines()) == len(things)


@every_way
def test_every_pod_passes_the_restricted_standard(strict: Cluster, way: str) -> None:
    found = list(pods(rendered(way)))
    for pod in found:
        pod["spec"].pop("serviceAccountName")  # those of the release are not there
    assert len(tried(strict, found).splitlines()) == len(found) > 0


# What an installed release keeps -----------------------------------------------------------------------------


@pytest.fixture
def namespace(strict: Cluster) -> Iterator[str]:
    strict.kubectl("create", "namespace", "installed")
    strict.kubectl("wait", "--namespace=installed", "--for=create", "serviceaccount/default", "--timeout=30s")
    yield "installed"
    strict.kubectl("delete", "namespace", "installed", "--wait", "--timeout=60s")


def kept(cluster: Cluster, kind: str) -> dict[str, Thing]:
    found = json.loads(cluster.kubectl("get", kind, "--namespace=installed", "--output=json"))
    return {thing["metadata"]["name"]: thing for thing in found["items"]}


def installed(cluster: Cluster, **more: Any) -> dict[str, str]:
    """Install or upgrade; return the secrets of the release."""
    arguments = ("upgrade", "--install", "tests", str(CHART), "--namespace=installed", "--wait", "--timeout=60s")
    cluster.helm(*arguments, *options("try-out", **more))
    return {k: v for k, v in secret(kept(cluster, "secrets")["tests-hub"]).items() if k != "values.yaml"}


def test_secrets_are_made_once(strict: Cluster, namespace: str) -> None:
    first = installed(strict)
    (hub,) = (thing for name, thing in kept(strict, "pods").items() if name.startswith("tests-hub"))
    second = installed(strict, hub__services={"robot": {}}, hub__config__JupyterHub__active_server_limit=3)
    assert set(second) - set(first) == {"hub.services.robot.apiToken"}
    assert first.items() <= second.items()
    assert hub["metadata"]["name"] not in kept(strict, "pods")
    assert installed(strict) == first


def test_what_holds_data_outlives_the_release(strict: Cluster, namespace: str) -> None:
    installed(strict)
    strict.helm("uninstall", "tests", "--namespace=installed", "--wait")
    assert set(kept(strict, "persistentvolumeclaims")) == {"tests-hub-db"}
    assert set(kept(strict, "roles")) == set(kept(strict, "deployments")) == set()


def test_a_missing_database_is_told_before_anything_is_made(strict: Cluster, namespace: str) -> None:
    with pytest.raises(ClusterError, match=r"The Secret jupyterhub-collab-database .* has no key collab-url\. Make it"):
        strict.helm("install", "tests", str(CHART), "--namespace=installed")
    assert set(kept(strict, "deployments")) == set()
