"""The commands that a page of the manual gives to operators, run as they stand there."""

from __future__ import annotations

import os
import re
import subprocess
from pathlib import Path
from typing import Final

from .binaries import program
from .layout import CHECKOUT
from .release import Release

OPERATORS: Final = CHECKOUT / "docs" / "how-to" / "operators"


def run(release: Release, folder: Path, page: str, beginning: str, **given: str) -> None:
    """Run the one block for Kubernetes, on a page for operators, that begins so; for the namespace of a release.

    Raises
    ------
    CalledProcessError
        A command failed.
    """
    here = f"--kubeconfig={release.cluster.kubeconfig} --namespace={release.namespace}"
    tools = "".join(f'{tool}() {{ {program(tool)} {here} "$@"; }}\n' for tool in ("kubectl", "helm"))
    wanted = tools + _block(page, beginning)
    subprocess.run(["bash", "-euc", wanted], cwd=folder, env=os.environ | given, check=True)


def _block(page: str, beginning: str) -> str:
    text = (OPERATORS / page).read_text(encoding="utf-8").partition("## Kubernetes")[2]
    blocks = re.findall(r"^( *)```sh\n(.*?)^\1```$", text, re.MULTILINE | re.DOTALL)
    found = [re.sub(rf"^{indent}", "", block, flags=re.MULTILINE) for indent, block in blocks]
    (one,) = (block for block in found if block.startswith(beginning))
    return one
