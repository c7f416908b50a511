"""Images of a single static program, as archives that a container runtime imports."""

from __future__ import annotations

import hashlib
import io
import json
import tarfile
from collections.abc import Sequence
from pathlib import Path


def write_archive(target: Path, tag: str, program: Path, *, other_names: Sequence[str] = ()) -> None:
    """Write the image whose only content is a program, under ``/bin``; and links to it by other names."""
    layer = io.BytesIO()
    with tarfile.open(fileobj=layer, mode="w") as tar:
        tar.add(program, f"bin/{program.name}", filter=_plain)
        for name in other_names:
            tar.addfile(_link(f"bin/{name}", program.name))
        tar.addfile(_folder("tmp"))
    configuration = {
        "architecture": "amd64",
        "os": "linux",
        "config": {"Entrypoint": [f"/bin/{program.name}"], "Env": ["PATH=/bin"]},
        "rootfs": {"type": "layers", "diff_ids": [f"sha256:{hashlib.sha256(layer.getvalue()).hexdigest()}"]},
    }
    manifest = [{"Config": "config.json", "RepoTags": [tag], "Layers": ["layer.tar"]}]
    with tarfile.open(target, mode="w") as tar:
        _add(tar, "config.json", json.dumps(configuration).encode())
        _add(tar, "layer.tar", layer.getvalue())
        _add(tar, "manifest.json", json.dumps(manifest).encode())


def tags(archive: Path) -> list[str]:
    """Return the names of the images in an archive."""
    with tarfile.open(archive, mode="r:") as tar:
        manifest = tar.extractfile("manifest.json")
        assert manifest is not None
        return [tag for image in json.load(manifest) for tag in image["RepoTags"]]


def _plain(entry: tarfile.TarInfo) -> tarfile.TarInfo:
    entry.uid = entry.gid = 0
    entry.mode, entry.uname, entry.gname = 0o755, "", ""
    return entry


def _link(name: str, target: str) -> tarfile.TarInfo:
    entry = tarfile.TarInfo(name)
    entry.type, entry.linkname = tarfile.SYMTYPE, target
    return entry


def _folder(name: str) -> tarfile.TarInfo:
    entry = tarfile.TarInfo(name)
    entry.type, entry.mode = tarfile.DIRTYPE, 0o1777
    return entry


def _add(tar: tarfile.TarFile, name: str, content: bytes) -> None:
    entry = tarfile.TarInfo(name)
    entry.size = len(content)
    tar.addfile(entry, io.BytesIO(content))
