"""The chart as helm renders it, without a cluster."""

from __future__ import annotations

import base64
import json
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import yaml

from .binaries import build, program

ROOT: Final = Path(__file__).parents[2]
CHART: Final = ROOT / "helm" / "jupyterhub-collab"
VALUES: Final = Path(__file__).parent / "values"
DEFINITIONS: Final = Path(__file__).parent / "definitions"

Thing = dict[str, Any]
_AROUND: Final = ("Error: values don't meet", "jupyterhub-collab:", "Use --debug")


def helm(*arguments: str) -> subprocess.CompletedProcess[str]:
    """Run helm, which may fail."""
    build(("helm",))
    return subprocess.run([str(program("helm")), *arguments], capture_output=True, text=True, check=False)


def options(values: str, **more: Any) -> list[str]:
    """Return the options that name a file of values, and values by their dotted names with `__` for the dot."""
    files = [f"--values={VALUES / values}.yaml"] if values else []
    return [*files, *(f"--set-json={name.replace('__', '.')}={json.dumps(value)}" for name, value in more.items())]


def render(values: str = "", **more: Any) -> list[Thing]:
    """Return the objects that the chart makes of a file of values and of values by name."""
    done = helm("template", "tests", str(CHART), "--namespace=chart", *options(values, **more))
    assert done.returncode == 0, done.stderr
    return [thing for thing in yaml.safe_load_all(done.stdout) if thing]


def refusal(values: str = "", **more: Any) -> str:
    """Return the one line in which helm says why it refuses values."""
    done = helm("template", "tests", str(CHART), *options(values, **more))
    assert done.returncode, "helm took them"
    lines = [line.rpartition("configmap.yaml:1:4): ")[2].removeprefix("- ") for line in done.stderr.splitlines()]
    told = [line for line in lines if line and not line.startswith(_AROUND)]
    assert len(told) == 1, done.stderr
    return told[0]


def named(things: list[Thing], kind: str, name: str) -> Thing:
    """Return the object of a kind whose name ends so."""
    (found,) = [thing for thing in things if thing["kind"] == kind and thing["metadata"]["name"].endswith(f"-{name}")]
    return found


def secret(thing: Thing) -> dict[str, str]:
    """Return what a Secret holds."""
    return {key: base64.b64decode(value).decode() for key, value in thing["data"].items()}


def pods(things: list[Thing]) -> Iterator[Thing]:
    """Return the pods that these objects are or make."""
    for thing in things:
        if thing["kind"] == "Pod":
            yield thing
        elif "template" in thing.get("spec", {}):
            template = thing["spec"]["template"]
            yield {"apiVersion": "v1", "kind": "Pod", **template, "metadata": pod_metadata(thing, template)}


def pod_metadata(thing: Thing, template: Thing) -> Thing:
    """Return a name and the labels for a pod of a template."""
    return {"name": f"{thing['metadata']['name']}-{thing['kind'].lower()}", **template["metadata"]}


def definitions() -> list[Path]:
    """Return the definitions of the Gateway API and the Prometheus Operator, from the modules that are pinned here."""
    modules = {
        "sigs.k8s.io/gateway-api": ["config/crd/standard/gateway.networking.k8s.io_httproutes.yaml"],
        "github.com/prometheus-operator/prometheus-operator": [
            f"example/prometheus-operator-crd/monitoring.coreos.com_{kind}.yaml"
            for kind in ("prometheusrules", "servicemonitors")
        ],
    }
    done = subprocess.run(
        ["go", "mod", "download", "-json", *modules], cwd=DEFINITIONS, capture_output=True, text=True, check=True
    )
    folders = {found["Path"]: Path(found["Dir"]) for found in _each(done.stdout)}
    return [folders[module] / path for module, paths in modules.items() for path in paths]


def _each(text: str) -> Iterator[Thing]:
    """Return the JSON objects that stand one after another in a text."""
    decoder, position = json.JSONDecoder(), 0
    while position < len(text.rstrip()):
        found, position = decoder.raw_decode(text, position)
        yield found
        position += len(text[position:]) - len(text[position:].lstrip())
