"""The first program in a sandbox: waits for the Hub's word, then becomes the server.

It runs on the interpreter of the server's environment, which need not have anything of ours: only the standard
library and what the server itself needs. ``launch.py WORD SOCKET MODULE ARGUMENT…`` takes two descriptors: from WORD it
reads the environment as JSON, so that a secret stands neither on a command line nor in the environment of a process
that waits; SOCKET is the listening Unix socket, made by the Hub where no user can put another in its place.
"""

from __future__ import annotations

import json
import os
import runpy
import socket
import sys
from typing import Final

from tornado import netutil

# With it jsonschema checks the format "iri", which no schema of Jupyter's has. Its import compiles a grammar: a third
# of the time in which JupyterLab starts.
_LEFT_OUT: Final = "rfc3987_syntax"


def wait_for_word(descriptor: int) -> dict[str, str]:
    """Return the environment that the Hub sends; exit where the Hub is gone before it has sent all."""
    with os.fdopen(descriptor, "rb") as pipe:
        word = pipe.read()
    if not word.endswith(b"\n"):
        sys.exit("The Hub went away before this server was allowed to run.")
    return dict(json.loads(word))


def hand_over(descriptor: int) -> None:
    """Let the server listen on the Hub's socket instead of making one of its own."""

    def given(_path: str, mode: int = 0, backlog: int = 0) -> socket.socket:  # noqa: ARG001 - tornado's signature
        listening = socket.socket(fileno=descriptor)
        listening.settimeout(0)
        return listening

    netutil.bind_unix_socket = given  # type: ignore[assignment]  # one name of an argument differs


def main() -> None:
    """Wait, then run the server's module in this process."""
    word, listening, module = int(sys.argv[1]), int(sys.argv[2]), sys.argv[3]
    os.environ.update(wait_for_word(word))
    os.set_inheritable(listening, False)  # noqa: FBT003 - takes no keyword
    hand_over(listening)
    sys.modules[_LEFT_OUT] = None  # type: ignore[assignment]  # Python's own sign that there is no such module
    sys.argv = [module, *sys.argv[4:]]
    del sys.path[0]
    runpy.run_module(module, run_name="__main__")


if __name__ == "__main__":
    main()
