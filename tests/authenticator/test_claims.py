from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given as given_any
from hypothesis import strategies as st

from jupyterhub_collab.authenticator.claims import find_display_name, initials, read_groups, user_info
from jupyterhub_collab.names import is_hub_group

LONG = "g" * 256


@pytest.mark.parametrize(
    ("claim", "groups", "refused"),
    [
        (["staff", "tides"], {"staff", "tides"}, set()),
        (("staff",), {"staff"}, set()),
        ({"staff"}, {"staff"}, set()),
        (["staff", "staff"], {"staff"}, set()),
        (["/staff/Zürich", "cn=staff,dc=example", "Staff"], {"/staff/Zürich", "cn=staff,dc=example", "Staff"}, set()),
        ([], set(), set()),
        (["collab:tides:lead", "staff"], {"staff"}, {"collab:tides:lead"}),
        (["COLLAB:tides:lead", "Collab:x"], set(), {"COLLAB:tides:lead", "Collab:x"}),
        (["", LONG, "a\nb", "a\0b"], set(), {"", LONG, "a\nb", "a\0b"}),
        (None, None, set()),
        ("staff", None, set()),
        (b"staff", None, set()),
        (7, None, set()),
        (True, None, set()),
        ({"staff": True}, None, set()),
        (["staff", None], None, set()),
        (["staff", 7], None, set()),
        ([["staff"]], None, set()),
        ([{"name": "staff"}], None, set()),
    ],
)
def test_a_claim_is_a_list_of_names_or_unknown(claim: object, groups: set[str] | None, refused: set[str]) -> None:
    read = read_groups(claim)
    assert read.groups == groups
    assert read.refused == refused


@given_any(st.lists(st.text()))
def test_no_claim_yields_a_group_of_ours(names: list[str]) -> None:
    read = read_groups([*names, "cOllAb:tides:lead"])
    assert read.groups is not None
    assert not any(is_hub_group(name) for name in read.groups)
    assert read.groups | read.refused == {*names, "cOllAb:tides:lead"}


@pytest.mark.parametrize(
    ("source", "shown"),
    [
        ({"name": "Ada Lovelace"}, "Ada Lovelace"),
        ({"display_name": "Ada", "name": "Other"}, "Ada"),
        ({"displayName": ["Ada Lovelace", "A."]}, "Ada Lovelace"),
        ({"cn": "  Ada \t\n Lovelace "}, "Ada Lovelace"),
        ({"name": "Ada\u202eecalevoL\u0000"}, "AdaecalevoL"),
        ({"name": "x" * 300}, "x" * 255),
        ({"name": "\u200b", "cn": "Ada"}, "Ada"),
        ({"name": 7}, ""),
        ({"displayName": []}, ""),
        ({}, ""),
    ],
)
def test_a_name_for_showing_has_no_invisible_characters(source: dict[str, Any], shown: str) -> None:
    assert find_display_name([{}, source]) == shown


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("Ada Lovelace", "AL"),
        ("Ada King, Countess of Lovelace", "AL"),
        ("ada", "A"),
        ("Élodie Ångström", "ÉÅ"),
        ("Anna Abel", "AA"),
        ("a.b@example.org", "A"),
        ("--", "-"),
    ],
)
def test_initials(name: str, expected: str) -> None:
    assert initials(name) == expected


def test_what_the_provider_gives_wins() -> None:
    given = {"initials": "AAL", "avatar_url": "https://example.org/ada.png", "color": ""}
    info = user_info("ada", "Ada Lovelace", given)
    assert info["name"] == info["display_name"] == "Ada Lovelace"
    assert info["initials"] == "AAL"
    assert info["avatar_url"] == "https://example.org/ada.png"
    assert info["color"] == user_info("ada", "", {})["color"]
    assert info["color"].startswith("var(--jp-collaborator-color")
