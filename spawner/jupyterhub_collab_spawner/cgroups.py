"""Limits of memory, CPU and processes by control groups, where the machine lets us make them.

Both generations are known: version 1 with a folder for each controller, and version 2 with one for all. The groups are
made below the Hub's own group, or beside it where version 2 forbids processes in a group that has groups
(https://docs.kernel.org/admin-guide/cgroup-v2.html, "no internal process constraint").
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterable

    from jupyterhub_collab.settings import ResourceClass

log = logging.getLogger(__name__)
CONTROLLERS: Final = ("memory", "cpu", "pids")
# Of processes and threads: more than any honest server has, and a fraction of what the machine can number
_MOST_PROCESSES: Final = 4096
_PERIOD: Final = 100_000  # microseconds, the kernel's default
_TRIES: Final = 100


@dataclass(frozen=True, kw_only=True, slots=True)
class Slot:
    """A folder of the control group file system below which servers' groups are made."""

    path: Path
    controllers: frozenset[str]
    version: int


@dataclass(frozen=True, kw_only=True, slots=True)
class ControlGroups:
    """Where the groups of servers are made, for each controller that can be had."""

    slots: tuple[Slot, ...]

    @property
    def enforced(self) -> frozenset[str]:
        """Return the controllers whose limits hold."""
        return frozenset[str]().union(*(slot.controllers for slot in self.slots))

    def remove(self) -> None:
        """Remove the folders themselves where they are empty."""
        for slot in self.slots:
            with contextlib.suppress(OSError):
                slot.path.rmdir()

    def make(self, name: str, resources: ResourceClass) -> tuple[str, ...]:
        """Make a server's groups with its limits; return their paths."""
        made = []
        for slot in self.slots:
            group = slot.path / name
            group.mkdir(exist_ok=True)
            made.append(str(group))
            for file, value in limits(slot, resources):
                _write(group / file, value)
        return tuple(made)


def limits(slot: Slot, resources: ResourceClass) -> list[tuple[str, str]]:
    """Return which files of a group get which values."""
    memory, quota = int(resources.memory), int(resources.cpu * _PERIOD)
    one = {
        "memory": [("memory.limit_in_bytes", str(memory)), ("memory.memsw.limit_in_bytes", str(memory))],
        "cpu": [("cpu.cfs_period_us", str(_PERIOD)), ("cpu.cfs_quota_us", str(quota))],
        "pids": [("pids.max", str(_MOST_PROCESSES))],
    }
    two = {
        "memory": [("memory.max", str(memory)), ("memory.swap.max", "0")],
        "cpu": [("cpu.max", f"{quota} {_PERIOD}")],
        "pids": [("pids.max", str(_MOST_PROCESSES))],
    }
    table = one if slot.version == 1 else two
    return [pair for controller in CONTROLLERS if controller in slot.controllers for pair in table[controller]]


def add(groups: Iterable[str], *pids: int) -> None:
    """Put processes into groups; what they start from then on is in them too."""
    for group in groups:
        for pid in pids:
            with contextlib.suppress(ProcessLookupError):
                Path(group, "cgroup.procs").write_text(str(pid), encoding="ascii")


async def remove(groups: Iterable[str]) -> None:
    """Remove a server's groups, whose processes must be gone; the kernel may need a moment to see that they are."""
    for group in groups:
        for _ in range(_TRIES):
            if _removed(group):
                break
            await asyncio.sleep(0.01)
        else:
            log.warning("The control group %s can't be removed yet", group)


def _removed(group: str) -> bool:
    try:
        Path(group).rmdir()
    except FileNotFoundError:
        return True
    except OSError:
        return False
    return True


def find(name: str, *, mounts: str = "/proc/self/mountinfo", own: str = "/proc/self/cgroup") -> ControlGroups:
    """Return where this process may make groups under a folder `name`; nothing where it may not."""
    memberships = _memberships(Path(own).read_text(encoding="utf-8"))
    slots: list[Slot] = []
    for folder, controllers in _hierarchies(Path(mounts).read_text(encoding="utf-8")):
        wanted = frozenset(CONTROLLERS) - frozenset[str]().union(*(slot.controllers for slot in slots))
        slot = _one(folder, controllers, memberships, wanted, name) if controllers else None
        slot = slot or (None if controllers else _two(folder, memberships.get("", "/"), wanted, name))
        if slot is not None:
            slots.append(slot)
    return ControlGroups(slots=tuple(slots))


def _memberships(text: str) -> dict[str, str]:
    """Return the group of this process for each controller of version 1, and for version 2 under the empty name."""
    found: dict[str, str] = {}
    for line in text.splitlines():
        _, controllers, path = line.split(":", 2)
        found.update(dict.fromkeys(controllers.split(","), path))
    return found


def _hierarchies(text: str) -> list[tuple[Path, frozenset[str]]]:
    """Return the mounted hierarchies with their controllers; version 2 has none named."""
    found = []
    for line in text.splitlines():
        mount, _, kind = line.partition(" - ")
        filesystem, _, options = kind.split(" ", 2)
        if filesystem == "cgroup":
            controllers = frozenset(options.split(",")) & frozenset(CONTROLLERS)
            found += [(Path(mount.split(" ")[4]), controllers)] if controllers else []
        elif filesystem == "cgroup2":
            found.append((Path(mount.split(" ")[4]), frozenset()))
    return found


def _one(
    folder: Path, controllers: frozenset[str], memberships: dict[str, str], wanted: frozenset[str], name: str
) -> Slot | None:
    controller = next(iter(controllers))
    path = folder / memberships.get(controller, "/").lstrip("/") / name
    if controllers & wanted and _made(path):
        return Slot(path=path, controllers=controllers & wanted, version=1)
    return None


def _two(folder: Path, own: str, wanted: frozenset[str], name: str) -> Slot | None:
    here = folder / own.lstrip("/")
    for parent in dict.fromkeys((here, here.parent if here != folder else here)):
        path = parent / name
        if not _made(path):
            continue
        for controller in wanted:
            _write(parent / "cgroup.subtree_control", f"+{controller}")
            _write(path / "cgroup.subtree_control", f"+{controller}")
        had = frozenset(_words(path / "cgroup.subtree_control")) & wanted
        if had:
            return Slot(path=path, controllers=had, version=2)
        with contextlib.suppress(OSError):
            path.rmdir()
    return None


def _made(path: Path) -> bool:
    try:
        path.mkdir(exist_ok=True)
    except OSError:
        return False
    return os.access(path, os.W_OK)


def _write(path: Path, value: str) -> bool:
    try:
        path.write_text(value, encoding="ascii")
    except OSError:
        return False
    return True


def _words(path: Path) -> list[str]:
    try:
        return path.read_text(encoding="ascii").split()
    except OSError:
        return []
