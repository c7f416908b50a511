"""The images as the tests use them: ``python -m tests.cluster.images hub`` builds one and prints its path."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Final

from images import NAMES, ROOT

from .base_image import FOLDER, base_image, environment

TAG: Final = "test"
REPOSITORY: Final = "localhost/jupyterhub-collab"


def built(name: str) -> Path:
    """Return the archive of an image, built first where something that it is made of has changed.

    Raises
    ------
    CalledProcessError
        It can't be built; standard error says why.
    """
    command = [str(ROOT / "images" / "build"), name, "--base", base_image(), "--output", str(FOLDER), "--tag", TAG]
    done = subprocess.run(command, env=environment(), check=True, text=True, stdout=subprocess.PIPE)
    return Path(done.stdout.splitlines()[-1])


if __name__ == "__main__":
    for asked in sys.argv[1:] or NAMES:
        print(built(asked))  # noqa: T201 - what the command is for
