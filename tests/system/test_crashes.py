"""Whatever is killed, and whenever: the next login works, nothing is lost, nobody is left with more than allowed."""

from __future__ import annotations

import itertools
import random
import secrets
import threading
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.support.demo import site
from tests.system.crashing import STEPS, VICTIMS, Group

KILLS = 204
# At once: much of the time goes by until the Hub looks again for a service, proxy or server that has ended
GROUPS = 4
QUICK = [
    ("start", "hub"),
    ("stop", "hub"),
    ("remove", "hub"),
    ("add", "hub"),
    ("log in", "hub"),
    ("remove", "service"),
    ("start", "proxy"),
    ("start", "server"),
    ("stop", "server"),
    ("rest", "server"),
]


@pytest.fixture(scope="module")
def group() -> Iterator[Group]:
    with site(JUPYTERHUB_COLLAB__PEOPLE__CONSENT="false") as made:
        made.start_hub()
        yield Group(made)


@pytest.mark.parametrize(("step", "victim"), QUICK)
def test_a_kill_in_the_middle_of_a_step_costs_nothing(group: Group, step: str, victim: str) -> None:
    group.survive(step, victim, random.Random())


@pytest.mark.long
def test_many_kills_cost_nothing() -> None:
    seed = secrets.randbits(32)
    story = list(itertools.islice(itertools.cycle(itertools.product(STEPS, VICTIMS)), KILLS))
    share = KILLS // GROUPS
    given_up = threading.Event()
    with ThreadPoolExecutor(GROUPS) as groups:
        parts = [
            groups.submit(suffer, story[part * share : (part + 1) * share], seed + part, given_up)
            for part in range(GROUPS)
        ]
        kills = sum((part.result() for part in parts), Counter[str]())
    listed = ", ".join(f"{number} {victim}" for victim, number in kills.items())
    print(f"\nkills: {kills.total()} ({listed}), 0 wrong")  # noqa: T201
    assert kills.total() == KILLS


def suffer(story: list[tuple[str, str]], seed: int, given_up: threading.Event) -> Counter[str]:
    """Let a group of its own on a Hub of its own survive a story; return the kills, fewer where another has failed."""
    instant = random.Random(seed)
    kills: Counter[str] = Counter()
    with site(JUPYTERHUB_COLLAB__PEOPLE__CONSENT="false") as made:
        made.start_hub()
        group = Group(made)
        for step, victim in itertools.takewhile(lambda _: not given_up.is_set(), story):
            try:
                group.survive(step, victim, instant)
            except BaseException as error:
                given_up.set()
                error.add_note(f"seed {seed}, after {kills.total()} kills: {victim} while {step}")
                raise
            kills[victim] += 1
    return kills
