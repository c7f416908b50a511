"""Whatever is killed, and whenever: the next login works, nothing is lost, nobody is left with more than allowed."""

from __future__ import annotations

import itertools
import random
import secrets
from collections import Counter
from collections.abc import Iterator

import pytest

from tests.support.demo import site
from tests.system.crashing import STEPS, VICTIMS, Group

PARTS = 4
COUNTED = 51  # in each part
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
@pytest.mark.parametrize("part", range(PARTS))
def test_many_kills_cost_nothing(group: Group, part: int) -> None:
    seed = secrets.randbits(32)
    instant = random.Random(seed)
    kills: Counter[str] = Counter()
    story = itertools.cycle(itertools.product(STEPS, VICTIMS))
    for step, victim in itertools.islice(story, part * COUNTED, (part + 1) * COUNTED):
        try:
            group.survive(step, victim, instant)
        except BaseException as error:
            error.add_note(f"seed {seed}, after {kills.total()} kills: {victim} while {step}")
            raise
        kills[victim] += 1
    listed = ", ".join(f"{number} {victim}" for victim, number in kills.items())
    print(f"\nkills, part {part + 1} of {PARTS}: {kills.total()} ({listed}), 0 wrong")  # noqa: T201
    assert kills.total() == COUNTED
