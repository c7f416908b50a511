"""Compiles the images' requirements.txt: what pyproject.toml and requirements.in ask for, within constraints.txt.

`overrides.txt` says what is left out.
"""

from __future__ import annotations

import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any, Final

from images import NAMES, ROOT, WITH_WHEEL

_WITHIN: Final = ("--constraint", "constraints.txt", "--override", "images/overrides.txt")
_FORM: Final = (
    *("--universal", "--python-version", "3.11"),
    *("--generate-hashes", "--no-header", "--no-annotate", "--quiet"),
)


def declared(name: str) -> list[str]:
    """Return what an image asks for, before it is resolved."""
    project: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    product = project["dependencies"] if name in WITH_WHEEL else []
    own = ROOT / "images" / name / "requirements.in"
    return [*product, *project["optional-dependencies"].get(name, []), *_lines(own)]


def compile_lock(name: str, output: Path) -> None:
    """Resolve what an image asks for, with hashes; versions that the file already holds stay where they fit.

    Raises
    ------
    CalledProcessError
        There is no solution, or no index to ask.
    """
    uv = str(Path(sys.executable).with_name("uv"))
    command = [uv, "pip", "compile", "-", *_WITHIN, *_FORM, "--output-file", str(output)]
    subprocess.run(command, cwd=ROOT, input="\n".join(declared(name)), text=True, check=True, stdout=subprocess.DEVNULL)


def lock_path(name: str) -> Path:
    """Return where an image's lock file is."""
    return ROOT / "images" / name / "requirements.txt"


def main() -> int:
    """Compile all of them."""
    for name in NAMES:
        compile_lock(name, lock_path(name))
    return 0


def _lines(path: Path) -> list[str]:
    return path.read_text().splitlines() if path.exists() else []


if __name__ == "__main__":
    sys.exit(main())
