"""The programs of Kubernetes and around it, built from the Go module proxy and kept by what pins them.

Each folder of ``binaries/`` is a Go module of its own, since the dependencies of these programs clash. Its ``tool``
block names the programs; ``go.mod`` and ``go.sum`` pin all that is in them. Where there is a ``main.go``, it is built
in the place of the tool.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from .errors import ClusterError
from .layout import CACHE

SOURCES: Final = Path(__file__).parent / "binaries"
# What a control plane needs comes first, so that its tests need not wait for the rest
FAMILIES: Final = ("pause", "etcd", "kwok", "kubernetes", "helm", "coredns")
GO: Final = "go1.26"  # the API server that Go 1.27 builds can't serve its OpenAPI schema
STAMPED: Final = ("k8s.io/component-base/version", "k8s.io/client-go/pkg/version")
STAGES: Final = ("pod/fast", "node/fast", "node/heartbeat-with-lease")
RENAMED: Final = {"server": "etcd"}


def build(families: Sequence[str] = FAMILIES) -> None:
    """Build the families that the cache does not have yet, two at a time: while one is downloaded the other compiles.

    Raises
    ------
    ClusterError
        Go is missing or too old or new, or a build failed.
    """
    with ThreadPoolExecutor(max_workers=2) as pool:
        list(pool.map(_provide, families))


def program(name: str) -> Path:
    """Return the path of a built program.

    Raises
    ------
    ClusterError
        It has not been built yet.
    """
    found = next((path for family in FAMILIES if (path := _folder(family) / name).is_file()), None)
    if found is None:
        raise ClusterError(f"{name} is not built yet. Run: python -m tests.cluster build")
    return found


def stages() -> list[Path]:
    """Return the files that tell KWOK what becomes of a pod and of a node."""
    return sorted((_folder("kwok") / "stages").glob("*.yaml"))


def version(family: str) -> str:
    """Return the version that a family is pinned to, or nothing where it is our own program."""
    text = (SOURCES / family / "go.mod").read_text(encoding="utf-8")
    named = re.search(r"^tool \(?\s*(\S+)", text, re.MULTILINE)
    modules = re.findall(r"^(?:require)?\s+(\S+) (v\S+)(?: // indirect)?$", text, re.MULTILINE)
    return max(((m, v) for m, v in modules if named and named[1].startswith(m)), default=("", ""), key=_length)[1]


def _length(module: tuple[str, str]) -> int:
    return len(module[0])


def _folder(family: str) -> Path:
    pinned = b"".join(path.read_bytes() for path in sorted((SOURCES / family).iterdir()))
    name = "-".join(filter(None, (family, version(family), hashlib.sha256(pinned).hexdigest()[:12])))
    return CACHE / "bin" / name


def _provide(family: str) -> None:
    with _locked(family):
        if not _folder(family).is_dir():
            _build(family)


def _build(family: str) -> None:
    go = _go()
    target = _folder(family)
    print(f"Building {family} {version(family)}", file=sys.stderr)  # noqa: T201 - it may take minutes
    with tempfile.TemporaryDirectory(dir=target.parent, prefix=f".{family}-") as made:
        what = "." if (SOURCES / family / "main.go").exists() else "tool"
        _run([go, "build", "-trimpath", "-ldflags", _flags(family), "-o", f"{made}/out/", what], family)
        for name, right in RENAMED.items():
            if (built := Path(made, "out", name)).exists():
                built.rename(built.with_name(right))
        if family == "kwok":
            _copy_stages(go, Path(made, "out", "stages"))
        Path(made, "out").rename(target)


def _flags(family: str) -> str:
    if family != "kubernetes":
        return "-s -w"
    release = version(family)
    major, minor, _ = release.removeprefix("v").split(".")
    facts = {"gitVersion": release, "gitMajor": major, "gitMinor": minor, "gitTreeState": "clean"}
    stamps = (f"-X {package}.{name}={value}" for package in STAMPED for name, value in facts.items())
    return " ".join(("-s -w", *stamps))


def _copy_stages(go: str, folder: Path) -> None:
    module = _run([go, "list", "-m", "-f", "{{.Dir}}", "sigs.k8s.io/kwok"], "kwok").strip()
    folder.mkdir()
    for stage in STAGES:
        for path in Path(module, "kustomize", "stage", stage).glob("*.yaml"):
            if path.name != "kustomization.yaml":
                shutil.copyfile(path, folder / path.name)


def _go() -> str:
    go = shutil.which("go")
    if go is None:
        raise ClusterError("Go 1.26 is missing, and the programs of the test cluster are built with it. Install it.")
    found = _run([go, "env", "GOVERSION"], "pause").strip()
    if not re.match(rf"{re.escape(GO)}(\D|$)", found):
        raise ClusterError(f"The programs of the test cluster need Go 1.26; {go} is {found}. Put Go 1.26 on the PATH.")
    return go


def _run(command: list[str], family: str) -> str:
    environment = os.environ | {"CGO_ENABLED": "0", "GOTOOLCHAIN": "local", "GOFLAGS": "-buildvcs=false -mod=readonly"}
    done = subprocess.run(command, cwd=SOURCES / family, env=environment, capture_output=True, text=True, check=False)
    if done.returncode:
        raise ClusterError(f"{' '.join(command[:2])} of {family} failed:\n{done.stderr[-4000:]}")
    return done.stdout


@contextmanager
def _locked(family: str) -> Iterator[None]:
    """Let one process build a family at a time; the others then find it built."""
    folder = CACHE / "bin"
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / f".{family}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
