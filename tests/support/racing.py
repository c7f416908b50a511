"""Three processes that do things to one database at the same moment.

Each has services of its own, as the Hub and the projects service have. A barrier lets them go together, history by
history; what came out of each step goes back as a word: ``ok``, the code of a problem, or the fault that it was.
"""

from __future__ import annotations

import asyncio
import multiprocessing
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from typing import Any, Final

from jupyterhub_collab.errors import CollabError
from jupyterhub_collab.factory import Factory
from jupyterhub_collab.settings import Limits, People

from .world import make_settings

RACERS: Final = 3
OK: Final = "ok"
_PATIENCE: Final = 60
_WIDE: Final[dict[str, Any]] = {"limits": Limits(projects_per_person=10**6)}
_TIGHT: Final[dict[str, Any]] = {
    "limits": Limits(servers_per_person=2, servers_per_project=2, projects_per_person=1),
    "people": People(group_loss_limit=1),
}


@dataclass(frozen=True)
class Step:
    """One call of a service, such as ``members.put``."""

    call: str
    arguments: tuple[object, ...] = ()
    options: dict[str, object] = field(default_factory=dict)
    tight: bool = False
    """Under limits that a single project or server fills."""


def step(call: str, *arguments: object, tight: bool = False, **options: object) -> Step:
    """Return a step."""
    return Step(call, arguments, options, tight)


async def run_step(factories: dict[bool, Factory], wanted: Step) -> str:
    """Do a step; return what came out of it."""
    service, method = wanted.call.split(".")
    try:
        await getattr(getattr(factories[wanted.tight], service), method)(*wanted.arguments, **wanted.options)
    except CollabError as error:
        return error.code
    except Exception as error:  # noqa: BLE001 - whatever else it is, the test shall show it
        return f"fault: {error!r}"[:1000]
    return OK


def factories_on(url: str) -> dict[bool, Factory]:
    """Return services under the usual limits, and under tight ones."""
    return {tight: Factory.open(make_settings(url, **(_TIGHT if tight else _WIDE))) for tight in (False, True)}


async def _race(url: str, barrier: Any, pipe: Connection) -> None:
    factories = factories_on(url)
    while (steps := pipe.recv()) is not None:
        outcomes = []
        for wanted in steps:
            barrier.wait(_PATIENCE)
            outcomes.append(await run_step(factories, wanted))
        pipe.send(outcomes)
    for factory in factories.values():
        await factory.close()


def _run_racer(url: str, barrier: Any, pipe: Connection) -> None:
    asyncio.run(_race(url, barrier, pipe))


class Racers:
    """The processes."""

    def __init__(self, pipes: Sequence[Connection]) -> None:
        self._pipes = pipes

    def race(self, histories: Sequence[Sequence[Step]]) -> list[list[str]]:
        """Let each history's steps happen at once, one history after the other; return what came out of each step."""
        for racer, pipe in enumerate(self._pipes):
            pipe.send([history[racer] for history in histories])
        return [list(outcomes) for outcomes in zip(*(pipe.recv() for pipe in self._pipes), strict=True)]


@contextmanager
def racers(url: str) -> Iterator[Racers]:
    """Run three processes on the database at an address."""
    context = multiprocessing.get_context("spawn")
    barrier, ends = context.Barrier(RACERS), [context.Pipe() for _ in range(RACERS)]
    target: Callable[..., None] = _run_racer
    processes = [context.Process(target=target, args=(url, barrier, end), daemon=True) for _, end in ends]
    for process in processes:
        process.start()
    try:
        yield Racers([mine for mine, _ in ends])
        for mine, _ in ends:
            mine.send(None)
    finally:
        for process in processes:
            process.join(5)
            if process.is_alive():
                process.kill()
                process.join()
