"""The product on the full tier: the chart installed as an operator does, with the accounts and the data of the demo."""

from __future__ import annotations

import asyncio
import json
import shutil
import tempfile
from collections.abc import Awaitable, Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, Final, TypeVar

import httpx
import yaml
from psycopg import sql
from pydantic import SecretStr

from images import NAMES
from jupyterhub_collab.authenticator.accounts import write_accounts
from jupyterhub_collab.demo.preparation import ACCOUNTS, introduce, write_data
from jupyterhub_collab.factory import Factory
from jupyterhub_collab.names import home_volume, project_volume
from jupyterhub_collab.settings import Database, Settings
from jupyterhub_collab.state import free_port
from tests.support.core import with_core
from tests.support.demo import PASSWORD, Person, wait_until
from tests.support.postgres import PostgresCluster, running_cluster

from .cluster import Cluster
from .images import built
from .layout import CHECKOUT, MACHINE_ADDRESS, MANIFESTS

CHART: Final = CHECKOUT / "helm" / "jupyterhub-collab"
NAME: Final = "collab"
FILES: Final = "files"  # where in a claim of ours a volume's files are
_NAMESPACE: Final = MANIFESTS / "namespace.yaml"
_VALUES: Final = Path(__file__).parent / "values" / "release.yaml"
_DATA: Final = MANIFESTS / "data.yaml"
T = TypeVar("T")


@dataclass
class Release:
    """An installed chart and the database beside it."""

    cluster: Cluster
    postgres: PostgresCluster
    port: int
    namespace: str = NAME
    values: dict[str, Any] = field(default_factory=dict)

    @cached_property
    def address(self) -> str:
        """Where people come in: the proxy's Service, which this machine can reach. Asked for once."""
        service = self.get("service", f"{NAME}-proxy-public")
        return f"http://{service['spec']['clusterIP']}"

    @property
    def log(self) -> str:
        """The end of what Hub and projects service said, and what the cluster has to say."""
        found = [self.kubectl("get", "pods,pvc,events")[-6000:]]
        for name in ("hub", "projects"):
            with suppress(Exception):
                found.append(self.kubectl("logs", f"deployment/{NAME}-{name}", "--all-containers", "--tail=60"))
        return "\n".join(found)

    @property
    def settings(self) -> Settings:
        """The settings by which this machine reads the release's core database."""
        return Settings(database=Database(url=SecretStr(self.postgres.url("collab"))))

    def kubectl(self, *arguments: str, input: str | None = None) -> str:  # noqa: A002 - as in subprocess
        """Return what kubectl prints of this namespace."""
        return self.cluster.kubectl("--namespace", self.namespace, *arguments, input=input)

    def get(self, kind: str, name: str) -> dict[str, Any]:
        """Return an object."""
        return dict(json.loads(self.kubectl("get", kind, name, "--output=json")))

    def all(self, kind: str, **labels: str) -> list[dict[str, Any]]:
        """Return all objects of a kind, with these labels where some are given."""
        selector = ",".join(f"{name}={value}" for name, value in labels.items())
        return list(json.loads(self.kubectl("get", kind, f"--selector={selector}", "--output=json"))["items"])

    def volume(self, claim: str) -> Path:
        """Return where on this machine the files of a claim of ours are."""
        volume = self.get("pvc", claim)["spec"]["volumeName"]
        return Path(self.get("pv", volume)["spec"]["local"]["path"], FILES)

    def project(self, slug: str) -> Path:
        """Return a project's folder on the disk."""
        return self.volume(project_volume(slug))

    def home_of(self, person: str) -> Path:
        """Return a person's home on the disk."""
        return self.volume(home_volume(person))

    def servers(self) -> list[dict[str, Any]]:
        """Return the pods of people's servers."""
        return self.all("pods", **{"app.kubernetes.io/component": "singleuser-server"})

    def person(self, name: str) -> Person:
        """Return someone who is logged in and has a token."""
        person = Person(self, name)
        person.log_in()
        person.make_token()
        return person

    def core(self, work: Callable[[Factory], Awaitable[T]]) -> T:
        """Do something with the core on the release's database."""
        return with_core(self.settings, work)

    def wait_until(self, holds: Callable[[], bool], seconds: float = 15) -> float:
        """Wait until something holds; return how long that took."""
        return wait_until(holds, seconds, lambda: self.log)

    def serves(self) -> bool:
        """Tell whether the Hub and the projects service answer."""
        pages = ("/hub/login", "/services/projects/healthz")
        with suppress(httpx.HTTPError):
            return all(httpx.get(self.address + page).status_code == 200 for page in pages)
        return False

    def install(self, **more: Any) -> None:
        """Install the chart, or upgrade it, with some values other than the tests' own."""
        self.values = _merged(self.values, more)
        with tempfile.NamedTemporaryFile("w", suffix=".yaml", encoding="utf-8") as file:
            yaml.safe_dump(self.values, file)
            file.flush()
            options = ["--namespace", self.namespace, "--values", file.name, "--wait", "--timeout=5m"]
            self.cluster.helm("upgrade", "--install", NAME, str(CHART), *options)
        self.wait_until(self.serves, 60)

    def uninstall(self) -> None:
        """Remove the release; the namespace and what is in it beside stays."""
        self.__dict__.pop("address", None)  # the next release's Service gets another
        self.cluster.helm("uninstall", NAME, "--namespace", self.namespace, "--wait")

    def clean(self) -> None:
        """Remove the namespace with all that is in it."""
        self.cluster.kubectl("delete", "namespace", self.namespace, "--wait", "--timeout=120s")
        self.cluster.kubectl("delete", "pv", f"{self.namespace}-noaa-co2", "--ignore-not-found")
        shutil.rmtree(self._folder, ignore_errors=True)

    def prepare(self) -> None:
        """Make what an operator makes before the first install: namespace, secrets, data; and the demo's people."""
        self.cluster.kubectl("apply", "--filename=-", input=self._filled(_NAMESPACE))
        data, accounts = self._folder / "data", self._folder / "accounts.json"
        write_data(data)
        self.kubectl("apply", "--filename=-", input=self._filled(_DATA, folder=str(data)))
        write_accounts(accounts, ACCOUNTS, PASSWORD)
        self._secret("accounts", {"accounts.json": accounts.read_text(encoding="utf-8")})
        with self.postgres.connect() as connection:
            for name in ("hub", "collab"):
                connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
        self._secret("jupyterhub-collab-database", {f"{name}-url": self._url(name) for name in ("hub", "collab")})
        asyncio.run(introduce(self.settings))

    @property
    def _folder(self) -> Path:
        return self.cluster.state / f"release-{self.namespace}"

    def _url(self, database: str) -> str:
        return f"postgresql+psycopg://collab@{MACHINE_ADDRESS}:{self.port}/{database}"

    def _filled(self, manifest: Path, **places: str) -> str:
        return manifest.read_text(encoding="utf-8").format(namespace=self.namespace, **places)

    def _secret(self, name: str, content: Mapping[str, str]) -> None:
        secret = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": name}, "stringData": dict(content)}
        self.kubectl("apply", "--filename=-", input=json.dumps(secret))


@contextmanager
def release(cluster: Cluster, namespace: str = NAME, **more: Any) -> Iterator[Release]:
    """Install the product beside a database of its own, until the end of the block."""
    for image in NAMES:
        cluster.load(built(image))
    port = free_port()
    # Restarts of the database are a test's business: the port stays
    listening = {"listen_addresses": MACHINE_ADDRESS, "port": str(port)}
    with running_cluster(clients="10.0.0.0/8", **listening) as postgres:
        made = Release(cluster=cluster, postgres=postgres, port=port, namespace=namespace)
        made.values = yaml.safe_load(_VALUES.read_text(encoding="utf-8"))
        made.values["networkPolicy"]["database"] = {
            "ports": [port],
            "to": [{"ipBlock": {"cidr": f"{MACHINE_ADDRESS}/32"}}],
        }
        made.prepare()
        try:
            made.install(**more)
            yield made
        finally:
            made.clean()


def _merged(first: dict[str, Any], second: Mapping[str, Any]) -> dict[str, Any]:
    found = dict(first)
    for key, value in second.items():
        both = isinstance(found.get(key), dict) and isinstance(value, dict)
        found[key] = _merged(found[key], value) if both else value
    return found
