"""A base for the images, made of Debian's packages: no registry is asked for one."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from .layout import CACHE

FOLDER: Final = CACHE / "images"
_SUITE: Final = "bookworm"
_PACKAGES: Final = "ca-certificates,python3,python3-venv,tini"
_LEFT_OVER: Final = ("var/cache/apt/archives", "var/lib/apt/lists", "var/log")
_FILE: Final = """\
FROM scratch
ADD root.tar /
ENV PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
CMD ["python3"]
"""
# Containers of the tests may not ask for more than this machine gives its root, and keep their files apart
_LIMITS: Final = '[containers]\ndefault_ulimits = ["nofile=20000:20000", "nproc=32768:32768"]\n'
_STORAGE: Final = '[storage]\ndriver = "overlay"\ngraphroot = "{folder}/storage"\nrunroot = "{folder}/run"\n'


def environment() -> dict[str, str]:
    """Return the environment in which buildah works for the tests."""
    folder = CACHE / "containers"
    folder.mkdir(parents=True, exist_ok=True)
    limits, storage = folder / "containers.conf", folder / "storage.conf"
    limits.write_text(_LIMITS)
    storage.write_text(_STORAGE.format(folder=folder))
    ours = {"BUILDAH_ISOLATION": "chroot", "CONTAINERS_CONF": limits, "CONTAINERS_STORAGE_CONF": storage}
    return os.environ | {name: str(value) for name, value in ours.items()}


def buildah(*arguments: str) -> str:
    """Return what buildah prints.

    Raises
    ------
    CalledProcessError
        It failed; standard error says why.
    """
    command = ["buildah", *arguments]
    return subprocess.run(command, env=environment(), check=True, text=True, stdout=subprocess.PIPE).stdout.strip()


def base_image() -> str:
    """Return the name of the base in buildah's storage, made first where it is not there yet."""
    recipe = hashlib.sha256(f"{_SUITE} {_PACKAGES} {_LEFT_OVER} {_FILE}".encode()).hexdigest()[:12]
    image, archive = f"localhost/jupyterhub-collab/base:{recipe}", FOLDER / f"base-{recipe}.tar"
    if _exists(image):
        return image
    FOLDER.mkdir(parents=True, exist_ok=True)
    if not archive.exists():
        _make(image)
        buildah("push", "--quiet", image, f"docker-archive:{archive}:{image}")
    else:
        buildah("pull", "--quiet", f"docker-archive:{archive}")
    return image


def _exists(image: str) -> bool:
    command = ["buildah", "inspect", "--type", "image", image]
    return subprocess.run(command, env=environment(), check=False, capture_output=True).returncode == 0


def _make(image: str) -> None:
    with _debian() as root, tempfile.TemporaryDirectory(dir=FOLDER) as context:
        subprocess.run(["tar", "-C", root, "-cf", f"{context}/root.tar", "."], check=True)
        Path(context, "Dockerfile").write_text(_FILE)
        buildah("build", "--quiet", "--tag", image, context)


@contextmanager
def _debian() -> Iterator[Path]:
    folder = Path(tempfile.mkdtemp(dir=FOLDER))
    try:
        root = folder / "root"
        command = ["debootstrap", "--variant=minbase", f"--include={_PACKAGES}", _SUITE, str(root)]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
        for path in (file for name in _LEFT_OVER for file in (root / name).rglob("*") if file.is_file()):
            path.unlink()
        yield root
    finally:
        shutil.rmtree(folder)
