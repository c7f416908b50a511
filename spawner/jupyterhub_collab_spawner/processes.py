"""Sandboxes as processes: start one, know it again after a restart of the Hub, end it, and be sure that it has ended.

A sandbox is known by its *init*, the first process of its pid namespace: when that one is gone the kernel has ended all
the others. Signals to bubblewrap itself, the process that the Hub starts, leave everything inside alive.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import select
import signal
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Iterator

_START_TIME: Final = 19  # field 22 of /proc/PID/stat, counted after the name in brackets (proc(5))
_STATE: Final = 0
_GLANCE: Final = 0.002
_DEAD: Final = frozenset("ZX")


@dataclass(frozen=True, kw_only=True, slots=True)
class Init:
    """The first process of a sandbox; its start and the boot tell it from a later one with the same number."""

    pid: int
    started: int
    boot: str

    def as_dict(self) -> dict[str, Any]:
        """Return it as JSON data for the Hub's database or a record."""
        return asdict(self)

    @classmethod
    def from_dict(cls, data: Any) -> Init | None:
        """Return it from `as_dict`, or none where the data is not that."""
        try:
            return cls(pid=int(data["pid"]), started=int(data["started"]), boot=str(data["boot"]))
        except (KeyError, TypeError, ValueError):
            return None


def boot_id() -> str:
    """Return what names this boot of the machine."""
    return Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()


def identify(pid: int) -> Init:
    """Return the process with this number.

    Raises
    ------
    ProcessLookupError
        There is none.
    """
    fields = _stat(pid)
    if fields is None:
        raise ProcessLookupError(pid)
    return Init(pid=pid, started=int(fields[_START_TIME]), boot=boot_id())


def alive(init: Init) -> bool:
    """Tell whether this very process still runs; a zombie does not, and nothing of its namespace does then."""
    fields = _stat(init.pid)
    if fields is None or fields[_STATE] in _DEAD:
        return False
    return int(fields[_START_TIME]) == init.started and boot_id() == init.boot


def send(init: Init, number: signal.Signals) -> None:
    """Send a signal to this very process, or to none."""
    with _handle(init) as descriptor:
        if descriptor is not None:
            signal.pidfd_send_signal(descriptor, number)


def ask_to_end(init: Init, *, inside: bool) -> None:
    """Ask a server to end in its own time: what the init started, or without a sandbox the process itself."""
    for pid in children(init.pid) if inside else [init.pid]:
        with contextlib.suppress(ProcessLookupError):
            send(identify(pid), signal.SIGTERM)


def children(pid: int) -> list[int]:
    """Return the children of a process."""
    try:
        return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text(encoding="ascii").split()]
    except OSError:
        return []


async def first_children(init: Init) -> list[int]:
    """Wait until the init has started its program, and return it; nothing where the init ended without."""
    while alive(init):
        if found := children(init.pid):
            return found
        await asyncio.sleep(_GLANCE)
    return []


async def ended(init: Init, seconds: float | None = None) -> bool:
    """Wait until the process is gone, at most so many seconds; tell whether it is."""
    with _handle(init) as descriptor:
        if descriptor is None:
            return not alive(init)
        loop, gone = asyncio.get_running_loop(), asyncio.Event()
        loop.add_reader(descriptor, gone.set)
        try:
            async with asyncio.timeout(seconds):
                await gone.wait()
        except TimeoutError:
            return False
        finally:
            loop.remove_reader(descriptor)
    return True


async def read_child_pid(report: IO[bytes]) -> int:
    """Return what bubblewrap reports on its ``--info-fd``.

    The report comes before the sandbox is complete: a bubblewrap that fails later has reported too.

    Raises
    ------
    ProcessLookupError
        It ended without.
    """
    loop, reader = asyncio.get_running_loop(), asyncio.StreamReader()
    transport, _ = await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), report)
    try:
        return int(json.loads(await reader.readuntil(b"}"))["child-pid"])
    except asyncio.IncompleteReadError:
        raise ProcessLookupError from None
    finally:
        transport.close()


def _stat(pid: int) -> list[str] | None:
    try:
        text = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
    except (FileNotFoundError, ProcessLookupError):
        return None
    return text.rpartition(")")[2].split()


@contextlib.contextmanager
def _handle(init: Init) -> Iterator[int | None]:
    """Give a descriptor of this very process, or none where it is gone."""
    try:
        descriptor = os.pidfd_open(init.pid)
    except ProcessLookupError:
        yield None
        return
    try:
        yield descriptor if alive(init) and not _readable(descriptor) else None
    finally:
        os.close(descriptor)


def _readable(descriptor: int) -> bool:
    poller = select.poll()
    poller.register(descriptor, select.POLLIN)
    return bool(poller.poll(0))
