from __future__ import annotations

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jupyterhub_collab.errors import InvalidInputError
from jupyterhub_collab.projects.cursors import pack, unpack
from jupyterhub_collab.projects.words import LONGEST, MOST, words_of


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("Atmospheric CO₂", {"atmospheric", "co2"}),
        ("Ökologie, ökologie!", {"okologie"}),
        ("STRASSE Straße", {"strasse"}),
        ("<script>alert(1)</script>", {"script", "alert", "1"}),
        ("海面 水位", {"海面", "水位"}),
        ("", set()),
        ("\0 % -", set()),
    ],
)
def test_words_are_folded(text: str, words: set[str]) -> None:
    assert words_of(text) == words


@given(texts=st.lists(st.text(), max_size=4))
def test_words_fit_their_column_and_are_folded_already(texts: list[str]) -> None:
    found = words_of(*texts)
    assert all(0 < len(word) <= LONGEST for word in found)
    assert len(found) <= MOST


@given(text=st.text(alphabet=st.sampled_from("abzÄÖÉ₂2 -日"), max_size=30))
def test_a_text_finds_itself_in_other_case(text: str) -> None:
    assert words_of(text.upper()) == words_of(text) == words_of(text.lower())


def test_a_long_text_costs_no_more_than_its_first_words() -> None:
    assert len(words_of(" ".join(f"w{number}" for number in range(10 * MOST)))) == MOST


# Cursors --------------------------------------------------------------------------------------------------

line = st.text().filter(str.isprintable)


@given(value=line, key=line)
def test_a_cursor_comes_back_as_it_went(value: str, key: str) -> None:
    assert unpack(pack(value, key)) == (value, key)
    assert pack(value, key).replace("-", "").replace("_", "").isalnum()


@given(cursor=st.text() | st.text(alphabet="ABCWyJd0-_=", max_size=40))
def test_what_is_no_cursor_is_a_wrong_value(cursor: str) -> None:
    with suppress(InvalidInputError):
        assert pack(*unpack(cursor))


@pytest.mark.parametrize("value", ["nul\0", "\ud800"])
def test_a_forged_cursor_holds_nothing_that_a_database_refuses(value: str) -> None:
    for forged in (pack(value, "a"), pack("a", value)):
        with pytest.raises(InvalidInputError):
            unpack(forged)


def test_a_cursor_of_brackets_is_a_wrong_value() -> None:
    with pytest.raises(InvalidInputError):
        unpack("W1tb" * 20_000)


@pytest.mark.parametrize("value", ["", "yesterday", "2026-11-21T12:00:00", "0001-01-01T00:00:00+14:00", "9" * 400])
def test_a_forged_instant_is_a_wrong_value(value: str) -> None:
    assert unpack(pack(value, "co2")) == (value, "co2")
    with pytest.raises(InvalidInputError):
        unpack(pack(value, "co2"), instant=True)


def test_an_instant_comes_back_as_it_went() -> None:
    assert unpack(pack("2026-11-21T12:00:00+00:00", "co2"), instant=True)[0] == "2026-11-21T12:00:00+00:00"
