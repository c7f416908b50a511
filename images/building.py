"""Builds container images with buildah, each as an archive with a list of its contents beside it."""

from __future__ import annotations

import argparse
import fcntl
import hashlib
import shutil
import subprocess
import sys
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from images import NAMES, ROOT, WITH_WHEEL, sbom

REPOSITORY: Final = "localhost/jupyterhub-collab"
_WHEEL_SOURCES: Final = (
    "pyproject.toml",
    "README.md",
    "LICENSE",
    "jupyterhub_config.py",
    "jupyterhub_collab",
    "spawner",
    "services",
)
_PROXY_SOURCES: Final = ("package.json", "package-lock.json")
_SYSTEM_CERTIFICATES: Final = Path("/etc/ssl/certs/ca-certificates.crt")


@dataclass(frozen=True, kw_only=True)
class Request:
    """What to build from, and where to."""

    base: str
    output: Path
    tag: str
    secrets: dict[str, Path]


def main(arguments: Sequence[str] | None = None) -> int:
    """Build what the command line asks for, and print where each archive is."""
    options = _parser().parse_args(arguments)
    given = {"ca": options.ca, "pip.conf": options.pip_conf, "npmrc": options.npmrc}
    secrets = {name: path for name, path in given.items() if path is not None and path.exists()}
    request = Request(base=options.base, output=options.output.resolve(), tag=options.tag, secrets=secrets)
    try:
        for name in NAMES if options.name == "all" else [options.name]:
            print(build(name, request))  # noqa: T201 - what the command is for
    except subprocess.CalledProcessError as error:
        return _say(f"{error.cmd[0]} failed; what it printed above says why.")
    except FileNotFoundError as error:
        return _say(f"{error.filename} is missing. Install the package of that name (buildah) and try again.")
    return 0


def build(name: str, request: Request) -> Path:
    """Return the archive of an image, built anew only if something that it is made of has changed.

    Raises
    ------
    CalledProcessError
        A step failed; buildah has said why.
    """
    request.output.mkdir(parents=True, exist_ok=True)
    with _alone(request.output):
        base = _run("buildah", "pull", "--policy", "missing", request.base)
        archive = request.output / f"{name}-{_digest([*_inputs(name), base, request.tag])}.tar"
        if not archive.exists():
            _make(name, request, archive)
            _forget(name, request.output)
    return archive


def _make(name: str, request: Request, archive: Path) -> None:
    began = time.monotonic()
    image = f"{REPOSITORY}/{name}:{request.tag}"
    values = {"BASE": request.base} | ({"WHEEL": _wheel()} if name in WITH_WHEEL else {})
    _run(
        *("buildah", "build", "--layers", "--file", f"images/{name}/Dockerfile", "--tag", image),
        *(f"--build-arg={key}={value}" for key, value in values.items()),
        *(f"--secret=id={key},src={path}" for key, path in request.secrets.items()),
        str(ROOT),
    )
    partial = archive.with_suffix(".partial")
    _run("buildah", "push", "--quiet", image, f"docker-archive:{partial}:{image}")
    sbom.write(partial, archive.with_suffix(".cdx.json"))
    partial.rename(archive)
    _say(f"{image}: {time.monotonic() - began:.0f} s, {archive.stat().st_size / 1e6:.0f} MB")


def _forget(name: str, folder: Path) -> None:
    """Remove old archives of an image; the one before the newest may just be being loaded."""
    archives = sorted(folder.glob(f"{name}-*.tar"), key=lambda path: path.stat().st_mtime)
    for old in archives[:-2]:
        old.unlink()
        old.with_suffix(".cdx.json").unlink(missing_ok=True)


def _wheel() -> str:
    """Make the wheel, once for all images, and return its path in the folder that the build sees."""
    folder = ROOT / "dist" / "for-images" / _digest(_files(_WHEEL_SOURCES))
    if not folder.exists():
        shutil.rmtree(folder.parent, ignore_errors=True)
        partial = folder.with_suffix(".partial")
        _run(str(Path(sys.executable).with_name("uv")), "build", "--quiet", "--wheel", "--out-dir", str(partial))
        partial.rename(folder)
    return next(folder.glob("*.whl")).relative_to(folder.parent).as_posix()


def _inputs(name: str) -> Iterator[Path | str]:
    yield from _files([f"images/{name}"])
    if name in WITH_WHEEL:
        yield from _files(_WHEEL_SOURCES)
    if name == "proxy":
        yield from _files(_PROXY_SOURCES)


def _files(names: Sequence[str]) -> Iterator[Path]:
    for name in names:
        path = ROOT / name
        found = path.rglob("*") if path.is_dir() else [path]
        yield from sorted(file for file in found if file.is_file() and "__pycache__" not in file.parts)


def _digest(inputs: Iterable[Path | str]) -> str:
    total = hashlib.sha256()
    for value in inputs:
        text = value.encode() if isinstance(value, str) else bytes(value.relative_to(ROOT)) + b"\0" + value.read_bytes()
        total.update(len(text).to_bytes(8) + text)
    return total.hexdigest()[:16]


def _run(*command: str) -> str:
    done = subprocess.run(command, cwd=ROOT, check=True, text=True, stdout=subprocess.PIPE)
    print(done.stdout, end="", file=sys.stderr)  # noqa: T201
    return done.stdout.strip()


def _say(sentence: str) -> int:
    print(sentence, file=sys.stderr)  # noqa: T201 - standard output is for the archives' paths
    return 1


@contextmanager
def _alone(folder: Path) -> Iterator[None]:
    with (folder / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="images/build", description=__doc__)
    parser.add_argument("name", choices=[*NAMES, "all"], metavar="NAME", help=f"{', '.join(NAMES)} or all")
    parser.add_argument("--base", required=True, metavar="IMAGE", help="Debian with python3 (3.11 or newer, with venv)")
    parser.add_argument("--output", required=True, type=Path, metavar="DIR", help="where archives and lists go")
    parser.add_argument("--tag", default="dev", help="the tag of the images; %(default)s if not given")
    parser.add_argument(
        "--ca",
        type=Path,
        metavar="FILE",
        default=_SYSTEM_CERTIFICATES,
        help="certificates to trust while building; those of this machine if not given",
    )
    parser.add_argument("--pip-conf", type=Path, metavar="FILE", help="pip's configuration while building")
    parser.add_argument("--npmrc", type=Path, metavar="FILE", help="npm's configuration while building")
    return parser


if __name__ == "__main__":
    sys.exit(main())
