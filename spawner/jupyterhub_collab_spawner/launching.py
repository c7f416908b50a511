"""Start a server's first process so that it waits, and let it run once it is on record.

Whatever ends the Hub in between closes the pipe that the process reads, and the process ends.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import subprocess
from dataclasses import dataclass
from typing import IO, TYPE_CHECKING

from . import processes

if TYPE_CHECKING:
    import socket
    from collections.abc import AsyncIterator, Callable, Mapping
    from pathlib import Path

    from .processes import Init


@dataclass(frozen=True, kw_only=True, slots=True)
class Descriptors:
    """What the first process inherits."""

    word: int
    """It reads the environment from here, and runs when that has come whole."""
    socket: int
    """It listens here."""
    info: int
    """Bubblewrap reports its sandbox here."""


@dataclass(kw_only=True, slots=True)
class Waiting:
    """A first process that waits for the Hub's word."""

    init: Init
    process: subprocess.Popen[bytes]
    word: IO[bytes]

    async def let_run(self, environment: Mapping[str, str]) -> None:
        """Send the environment, with its secrets, and so let the server run."""
        await asyncio.to_thread(self.word.write, json.dumps(environment).encode() + b"\n")


@contextlib.asynccontextmanager
async def waiting(
    command: Callable[[Descriptors], list[str]], listening: socket.socket, log: Path, *, sandboxed: bool
) -> AsyncIterator[Waiting]:
    """Start a command whose program waits; leaving the context without `Waiting.let_run` ends it.

    Raises
    ------
    ProcessLookupError
        It ended before it could be known; its log says why.
    """
    with contextlib.ExitStack() as stack:
        word_read, word = _pipe(stack)
        info_read, info = _pipe(stack)
        descriptors = Descriptors(word=word_read.fileno(), socket=listening.fileno(), info=info.fileno())
        process = _run(command(descriptors), descriptors, log)
        for end in (word_read, info, listening):
            end.close()
        try:
            pid = await processes.read_child_pid(info_read) if sandboxed else process.pid
            yield Waiting(init=processes.identify(pid), process=process, word=word)
        finally:
            with contextlib.suppress(BrokenPipeError):
                word.close()


def _pipe(stack: contextlib.ExitStack) -> tuple[IO[bytes], IO[bytes]]:
    read, write = os.pipe()
    return stack.enter_context(os.fdopen(read, "rb")), stack.enter_context(os.fdopen(write, "wb"))


def _run(command: list[str], descriptors: Descriptors, log: Path) -> subprocess.Popen[bytes]:
    """Start a process that outlives the Hub: a session and a log of its own, nothing of the Hub's environment."""
    log.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    with log.open("ab") as output:
        output.truncate(0)
        return subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            env={"PATH": os.defpath},
            cwd="/",
            pass_fds=(descriptors.word, descriptors.socket, descriptors.info),
            start_new_session=True,
        )
