"""The container images: what is in them, how they run, and whether lock files and comments tell the truth."""

from __future__ import annotations

import io
import json
import re
import shutil
import subprocess
import tarfile
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from cyclonedx.validation.json import JsonStrictValidator

from images import NAMES, ROOT, sbom
from images.archives import opened
from images.locks import compile_lock, lock_path
from tests.cluster.base_image import base_image, buildah, environment
from tests.cluster.images import built

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(1800)]

Run = Callable[..., str]
ACCOUNTS = {"hub": "1000:1000", "services": "1000:1000", "notebook": "1000:100", "proxy": "1000:1000"}
MEGABYTE = 1_000_000
DISTRIBUTIONS = """
import importlib.metadata, json, re
names = {(re.sub("[-_.]+", "-", d.metadata["Name"]).lower(), d.version) for d in importlib.metadata.distributions()}
print(json.dumps(sorted(names)))
"""
STACK = "ipywidgets jupyterlab matplotlib numpy openpyxl pandas pip scipy seaborn sklearn statsmodels.api sympy"


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Run]:
    """Run a command in an image, as the account that the image names."""
    containers: dict[str, str] = {}
    # Not by a pipe: in a chroot buildah passes output on, and may end before all of it has come
    output = tmp_path_factory.mktemp("run") / "output"
    output.touch()
    output.chmod(0o666)

    def started(name: str, *command: str) -> str:
        if name not in containers:
            containers[name] = buildah("from", f"docker-archive:{built(name)}")
        shell = ("sh", "-c", 'exec "$@" >/tmp/output', "sh")
        buildah("run", "--volume", f"{output}:/tmp/output", containers[name], "--", *shell, *command)
        return output.read_text().strip()

    yield started
    for container in containers.values():
        buildah("rm", container)


@pytest.mark.parametrize("name", NAMES)
def test_an_image_runs_without_rights(name: str, run: Run) -> None:
    with opened(built(name)) as image:
        config, files = image.config, image.files()
        assert config["User"] == ACCOUNTS[name]
        assert config["Entrypoint"] == ["tini", "-g", "--"]
        risen = [path for path, entry in files.items() if entry.info.isfile() and entry.info.mode & 0o6000]
        capable = [
            path for path, entry in files.items() if "SCHILY.xattr.security.capability" in entry.info.pax_headers
        ]
        assert risen == capable == []
    assert run(name, "sh", "-c", "echo $(id -u):$(id -g)") == ACCOUNTS[name]
    assert run(name, "sh", "-c", "touch /etc/mine /opt/mine 2>/dev/null || echo refused") == "refused"


@pytest.mark.parametrize("name", NAMES)
def test_nothing_of_the_build_stays(name: str, tmp_path: Path) -> None:
    with opened(built(name)) as image:
        files = image.files()
        bundle = files["etc/ssl/certs/ca-certificates.crt"].text()
        assert not {"etc/pip.conf", "root/.npmrc", "root/.cache", "tmp/requirements.txt"} & set(files)
        assert not [path for path in files if path.startswith(("opt/pip/", "dist/"))]
    # The certificates of the machine that built it were only lent
    base = tmp_path / "base.tar"
    buildah("push", "--quiet", base_image(), f"docker-archive:{base}")
    with opened(base) as image:
        assert image.files()["etc/ssl/certs/ca-certificates.crt"].text() == bundle


@pytest.mark.parametrize("name", ["hub", "services"])
def test_an_image_is_small(name: str, record_property: Callable[[str, object], None]) -> None:
    packer, size = zlib.compressobj(1), 0
    with built(name).open("rb") as archive:
        while block := archive.read(MEGABYTE):
            size += len(packer.compress(block))
    record_property("compressed", size)
    assert size < 350 * MEGABYTE


@pytest.mark.parametrize("name", NAMES)
def test_the_list_is_complete(name: str, run: Run) -> None:
    text = built(name).with_suffix(".cdx.json").read_text()
    assert JsonStrictValidator(sbom.SCHEMA).validate_str(text) is None
    listed = {(kind_of(part), part["name"], part["version"]) for part in json.loads(text)["components"]}
    packages = run(name, "dpkg-query", "--show", "--showformat=${Package} ${Version}\n").splitlines()
    assert {("deb", *package.split()) for package in packages} <= listed
    # Debian's own Python packages are among its packages; the proxy brings Node.js as a Python distribution
    python = "/opt/venv/bin/python" if name != "proxy" else "python3"
    found = json.loads(run(name, "env", "PYTHONPATH=/opt/node", python, "-c", DISTRIBUTIONS))
    assert len(found) > (30 if name != "proxy" else 0)
    assert {("pypi", distribution, version) for distribution, version in found} <= listed
    assert name != "proxy" or shipped_by_npm() <= listed


def kind_of(component: dict[str, Any]) -> str:
    return str(component["purl"]).removeprefix("pkg:").partition("/")[0]


def shipped_by_npm() -> set[tuple[str, str, str]]:
    locked = json.loads((ROOT / "package-lock.json").read_text())["packages"]
    shipped = {path: entry for path, entry in locked.items() if path and not entry.get("dev")}
    return {("npm", path.rpartition("/")[2], entry["version"]) for path, entry in shipped.items()}


def test_the_hub_starts(run: Run) -> None:
    assert re.fullmatch(r"6\.\d+\.\d+", run("hub", "tini", "-g", "--", "jupyterhub", "--version"))
    assert "doctor" in run("hub", "jupyterhub-collab", "--help")
    loads = """
from importlib.metadata import entry_points
import psycopg
ours = [*entry_points(group="jupyterhub.authenticators"), *entry_points(group="jupyterhub.spawners")]
print(*sorted(point.name for point in ours if point.name.startswith("collab-") and point.load()))
"""
    expected = "collab-cas collab-demo collab-kube collab-native collab-oidc collab-sandbox"
    assert run("hub", "python", "-c", loads) == expected


def test_the_services_are_there(run: Run) -> None:
    assert run(
        "services", "python", "-c", "import jupyterhub_collab_services.projects.application as a; print(a.__name__)"
    )


def test_a_notebook_has_the_scientific_stack(run: Run) -> None:
    assert run("notebook", "jupyterhub-singleuser", "--version").startswith("6.")
    imports = "; ".join(f"import {module}" for module in STACK.split())
    assert run("notebook", "python", "-c", f"{imports}; print('all')") == "all"
    kernels = json.loads(run("notebook", "jupyter", "kernelspec", "list", "--json"))["kernelspecs"]
    assert list(kernels) == ["python3"]
    assert run("notebook", "git", "--version").startswith("git version")
    config = json.loads(run("notebook", "jupyter", "server", "--show-config-json"))
    assert config["LabApp"] == {
        "check_for_updates_class": "jupyterlab.handlers.announcements.NeverCheckForUpdate",
        "extension_manager": "readonly",
        "news_url": None,
    }
    history = "from IPython.core.history import HistoryManager as H; print(get_ipython().history_manager.hist_file)"
    assert run("notebook", "ipython", "-c", history) == "/tmp/ipython-history.sqlite"


def test_the_proxy_starts(run: Run) -> None:
    package: dict[str, Any] = json.loads((ROOT / "package.json").read_text())
    version = package["dependencies"]["configurable-http-proxy"]
    assert run("proxy", "tini", "-g", "--", "configurable-http-proxy", "--version") == version


def test_a_base_that_is_not_there_ends_with_a_sentence(tmp_path: Path) -> None:
    command = [str(ROOT / "images" / "build"), "hub", "--base", "localhost/nothing:1", "--output", str(tmp_path)]
    done = subprocess.run(command, env=environment(), check=False, capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.endswith("buildah failed; what it printed above says why.\n")
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("name", NAMES)
def test_the_header_of_a_dockerfile_tells_its_stages(name: str) -> None:
    text = (ROOT / "images" / name / "Dockerfile").read_text()
    header = text[: text.index("ARG BASE")]
    told = re.findall(r"^#   (\S+)  +\S", header.partition("# Stages")[2], re.MULTILINE)
    assert told == re.findall(r"^FROM \$\{BASE\} AS (\S+)$", text, re.MULTILINE) == ["build", name]


@pytest.mark.parametrize("name", NAMES)
def test_the_lock_file_is_in_step(name: str, tmp_path: Path) -> None:
    """After a change in pyproject.toml or constraints.txt, run ``make constraints`` or ``python -m images.locks``."""
    again = tmp_path / "requirements.txt"
    shutil.copy(lock_path(name), again)
    compile_lock(name, again)
    assert again.read_text() == lock_path(name).read_text()


def _layer(files: dict[str, str]) -> bytes:
    content = io.BytesIO()
    with tarfile.open(fileobj=content, mode="w") as tar:
        for path, text in files.items():
            member = tarfile.TarInfo(path)
            member.size = len(text)
            tar.addfile(member, io.BytesIO(text.encode()))
    return content.getvalue()


def test_later_layers_replace_and_remove(tmp_path: Path) -> None:
    layers = [
        {"a": "1", "b/c": "1", "b/d": "1", "e/f/g": "1", "e/h": "1"},
        {"a": "2", "b/.wh.c": "", "e/.wh..wh..opq": "", "e/i": "2"},
    ]
    manifest = [{"Config": "c", "RepoTags": ["x:y"], "Layers": ["0", "1"]}]
    archive = tmp_path / "image.tar"
    parts = {"manifest.json": json.dumps(manifest)} | {str(n): _layer(files).decode() for n, files in enumerate(layers)}
    archive.write_bytes(_layer(parts))
    with opened(archive) as image:
        assert {path: entry.text() for path, entry in image.files().items()} == {"a": "2", "b/d": "1", "e/i": "2"}
