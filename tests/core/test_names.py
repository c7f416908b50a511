from __future__ import annotations

import re
import string
from collections.abc import Callable
from contextlib import nullcontext

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from jupyterhub.slugs import is_valid_safe_slug

from jupyterhub_collab import names
from jupyterhub_collab.errors import InvalidSlugError
from jupyterhub_collab.reserved import RESERVED_SLUGS

# RFC 1123 label: what a Kubernetes claim and a label value may be, and what is safe as one folder of a path
LABEL = re.compile(r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?\Z")

person = st.text(min_size=1, max_size=300)
# Names that could be mistaken for an escape, or for the hash of another name
tricky = st.text(alphabet="-ahH3f2é/.", min_size=1, max_size=80)
name = person | tricky
slug = st.from_regex(r"[a-z]([a-z0-9]|-(?=[a-z0-9])){0,28}[a-z0-9]", fullmatch=True).filter(
    lambda text: text not in RESERVED_SLUGS
)

VOLUMES: list[Callable[[str], str]] = [names.home_volume, names.scratch_volume, names.data_volume]


@pytest.mark.parametrize("volume", VOLUMES, ids=lambda function: function.__name__)
@given(one=name, other=name)
@example(one="a/b", other="a-2fb")
@example(one="A", other="a")
@example(one="x" * 60, other="x" * 61)
def test_no_two_names_have_one_volume(volume: object, one: str, other: str) -> None:
    assert callable(volume)
    assert (volume(one) == volume(other)) == (one == other)


@given(one=st.tuples(name, st.integers(1, 300)), other=st.tuples(name, st.integers(1, 300)))
@example(one=("a", 2), other=("a-n2", 1))
@example(one=("x" * 60, 1), other=("x" * 60, 2))
def test_each_holder_of_an_account_name_has_an_own_home(one: tuple[str, int], other: tuple[str, int]) -> None:
    assert (names.home_volume(*one) == names.home_volume(*other)) == (one == other)
    assert (names.scratch_volume(*one) == names.scratch_volume(*other)) == (one == other)
    assert LABEL.match(names.scratch_volume(*one))


@given(one=name, other=name)
def test_a_long_name_is_never_mistaken_for_a_short_one(one: str, other: str) -> None:
    long = names.home_volume(one * 60)
    assert long != names.home_volume(other) or other == one * 60
    assert names.home_volume(long.removeprefix("home-")) != long


@given(one=name)
@example(one="../../etc/shadow")
@example(one="Ünï cödé")
@example(one="\0")
def test_volumes_are_safe_for_paths_and_labels(one: str) -> None:
    for volume in VOLUMES:
        assert LABEL.match(volume(one)), volume(one)


@given(one=name, other=name)
def test_kinds_of_volumes_do_not_meet(one: str, other: str) -> None:
    found = {names.home_volume(one), names.scratch_volume(other), names.data_volume(one)}
    assert len(found) == 3


@given(one=slug, other=slug)
def test_project_volumes_are_as_different_as_their_slugs(one: str, other: str) -> None:
    assert LABEL.match(names.project_volume(one))
    assert (names.project_volume(one) == names.project_volume(other)) == (one == other)


@given(one=st.tuples(name, slug | st.just("")), other=st.tuples(name, slug | st.just("")))
def test_server_directories_are_short_lower_case_and_distinct(one: tuple[str, str], other: tuple[str, str]) -> None:
    made = names.server_directory(*one)
    assert len(made) <= 30
    assert LABEL.match(made)
    assert (made == names.server_directory(*other)) == (one == other)


@given(one=st.tuples(slug, st.sampled_from(["viewer", "lead"])), other=st.tuples(slug, st.sampled_from(["viewer"])))
def test_hub_groups_are_distinct_and_ours(one: tuple[str, str], other: tuple[str, str]) -> None:
    made = names.hub_group(*one)
    assert names.is_hub_group(made)
    assert names.is_hub_group(made.upper())
    assert (made == names.hub_group(*other)) == (one == other)


# Slugs ----------------------------------------------------------------------------------------------------


@given(slug=slug)
def test_a_good_slug_is_taken_as_it_is(slug: str) -> None:
    assert names.check_slug(slug) == slug


@given(text=st.text() | st.text(alphabet=string.ascii_lowercase + string.digits + "-", max_size=32))
def test_what_is_taken_is_a_server_name(text: str) -> None:
    fits = re.fullmatch(r"[a-z][a-z0-9-]{0,28}[a-z0-9]", text) and "--" not in text and text not in RESERVED_SLUGS
    with nullcontext() if fits else pytest.raises(InvalidSlugError):
        names.check_slug(text)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "a",
        "a" * 31,
        "-a",
        "a-",
        "a--b",
        "1a",
        "A1",
        "a_b",
        "a.b",
        "a b",
        "é1",
        "🌊🌊",
        "..%2f",
        "../a",
        "ab\n",
        "a\0",
    ],
)
def test_a_bad_slug_is_refused(text: str) -> None:
    with pytest.raises(InvalidSlugError):
        names.check_slug(text)


@given(title=st.text(max_size=200))
@example(title="Lab")
@example(title="My servers")
@example(title="Atmospheric CO₂")
@example(title="你好")
@example(title="2026--x")
def test_what_is_suggested_can_be_used(title: str) -> None:
    assert names.check_slug(names.suggest_slug(title))


@pytest.mark.parametrize(
    ("title", "suggested"),
    [
        ("Atmospheric CO2", "atmospheric-co2"),
        ("Atmospheric CO₂", "atmospheric-co2"),
        ("Übung: Ökologie!", "ubung-okologie"),
        ("Lab", "lab-project"),
        ("2026 sea level", "sea-level"),
        ("?", "my-project"),
        ("x" * 40, "x" * 30),
    ],
)
def test_suggestions_read_like_the_title(title: str, suggested: str) -> None:
    assert names.suggest_slug(title) == suggested


def test_the_hub_takes_every_slug_as_a_server_name() -> None:
    """The Hub's own check is asked, so that a stricter one of a later release is noticed."""
    for text in ("co2", "a1", "a-b-c", "x" * 30):
        assert is_valid_safe_slug(names.check_slug(text))


# Codes ----------------------------------------------------------------------------------------------------


def test_codes_are_random_and_can_be_read_aloud() -> None:
    codes = {names.new_code() for _ in range(1000)}
    assert len(codes) == 1000
    assert all(re.fullmatch(r"([0-9A-HJKMNP-TV-Z]{4}-){3}[0-9A-HJKMNP-TV-Z]{4}", code) for code in codes)


def test_a_code_is_known_however_it_was_copied() -> None:
    code = "0A1B-2C3D-4E5F-6G7H"
    for typed in (code.lower(), f" {code}\n", code.replace("-", ""), code.replace("0", "O").replace("1", "l")):
        assert names.code_hash(typed) == names.code_hash(code)
    assert names.code_hash("0A1B-2C3D-4E5F-6G7J") != names.code_hash(code)
    assert code not in names.code_hash(code)
    assert names.code_hint(code) == "0A1B"
