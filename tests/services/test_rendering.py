from __future__ import annotations

import ast
import inspect
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

import jupyterhub_collab
from jupyterhub_collab.audit.models import Event
from jupyterhub_collab.settings import Environment, Settings
from jupyterhub_collab_services.base import markdown, marks, words
from jupyterhub_collab_services.base.rendering import highlight, mark_part, source
from jupyterhub_collab_services.projects import sentences
from jupyterhub_collab_services.projects.readme import readme_html

NOW = datetime(2026, 11, 21, 10, 24, tzinfo=UTC)


@pytest.mark.parametrize(
    ("ago", "said"),
    [
        (timedelta(seconds=30), "just now"),
        (timedelta(minutes=1), "1 minute ago"),
        (timedelta(minutes=44), "44 minutes ago"),
        (timedelta(hours=2), "2 hours ago"),
        (timedelta(hours=18, minutes=22), "yesterday"),
        (timedelta(days=2), "2 days ago"),
        (timedelta(days=19), "19 days ago"),
        (timedelta(days=22), "3 weeks ago"),
        (timedelta(days=64), "2 months ago"),
        (timedelta(days=800), "2 years ago"),
        (timedelta(hours=-5), "in 5 hours"),
        (timedelta(days=-5, hours=-2), "in 5 days"),
    ],
)
def test_times_are_relative(ago: timedelta, said: str) -> None:
    assert words.relative(NOW - ago, NOW) == said


@given(st.timedeltas(min_value=timedelta(days=-4000), max_value=timedelta(days=4000)))
def test_every_time_has_words(ago: timedelta) -> None:
    said = words.relative(NOW - ago, NOW)
    assert said.startswith("in ") or said.endswith(" ago") or said in ("just now", "yesterday")
    assert not said.startswith(("in 0", "0 "))


def test_exact_times_are_in_utc() -> None:
    assert words.absolute(NOW) == "21 November 2026, 10:24 UTC"


@pytest.mark.parametrize(
    ("number", "said"),
    [
        (0, "0 bytes"),
        (999, "999 bytes"),
        (34_000, "34 kB"),
        (2_100_000_000, "2.1 GB"),
        (38_200_000_000, "38.2 GB"),
        (10**18, "1000 PB"),
    ],
)
def test_sizes(number: int, said: str) -> None:
    assert words.size(number) == said


@pytest.mark.parametrize(
    ("number", "said"),
    [(4 * 1024**3, "4 GB"), (1536 * 1024**2, "1.5 GB"), (512 * 1024**2, "512 MB"), (2 * 10**9, "2.0 GB")],
)
def test_memory(number: int, said: str) -> None:
    assert words.memory(number) == said


def test_counts_and_lists() -> None:
    assert words.count_of(1, "member") == "1 member"
    assert words.count_of(2284, "week") == "2\u2009284 weeks"
    assert words.listing(["a"]) == "a"
    assert words.listing(["a", "b", "c"]) == "a, b and c"
    assert words.listing([]) == ""
    assert [words.number_word(n) for n in (0, 3, 13)] == ["no", "three", "13"]


@pytest.mark.parametrize(
    ("name", "letters"),
    [
        ("m.okafor", "MO"),
        ("guest4", "GU"),
        ("li", "LI"),
        ("anneliese.vandenbroucke-hernandez", "AV"),
        ("é@x", "ÉX"),
        ("…", "?"),
    ],
)
def test_initials(name: str, letters: str) -> None:
    assert marks.initials(name) == letters


@pytest.mark.parametrize(
    ("title", "letters"),
    [
        ("Atmospheric CO₂", "CO"),
        ("Atmospheric CO2", "CO"),
        ("Ocean carbon sinks", "Oc"),
        ("Tall-tower profiles", "Tt"),
        ("QC", "QC"),
        ("N₂O", "N₂"),
        ("Isotope ratios δ¹³C", "δC"),
        ("x", "X"),
        ("…", "…"),
        ("😀😀", "😀😀"),
    ],
)
def test_tiles(title: str, letters: str) -> None:
    assert marks.tile_letters(title) == letters


@given(st.text(max_size=120))
def test_whatever_the_name_there_are_at_most_two_letters_and_a_hue(name: str) -> None:
    assert 1 <= len(marks.tile_letters(name)) <= 4  # upper case may have more letters than lower case
    assert marks.initials(name)
    assert marks.hue(name) in marks.HUES


@pytest.mark.parametrize(
    ("text", "search", "shown"),
    [
        ("Flask network", "flask", "<mark>Flask</mark> network"),
        ("CO₂ <b>", "co2", "<mark>CO₂</mark> &lt;b&gt;"),
        ("a & b", "", "a &amp; b"),
    ],
)
def test_found_words_are_marked(text: str, search: str, shown: str) -> None:
    assert highlight(text, search) == shown


def test_the_typed_part_is_marked() -> None:
    assert mark_part("d.Watteau", "wat") == "d.<mark>Wat</mark>teau"
    assert mark_part("<b>", "x") == "&lt;b&gt;"


@pytest.mark.parametrize(
    ("via", "said"),
    [
        ("own", ""),
        ("made the project", ""),
        ("group staff", "via staff"),
        ("link from m.okafor", "by a link from m.okafor"),
        ("invitation from s.iyer", "invited by s.iyer"),
        ("asked, approved by lead", "approved by lead"),
        ("added by lead", "added by lead"),
    ],
)
def test_where_a_role_comes_from(via: str, said: str) -> None:
    assert source(via) == said


# Markdown --------------------------------------------------------------------------------------------------------


def show(text: str) -> str:
    return str(readme_html(text, "/p/x", opens_files=True))


def test_a_readme_is_rendered_once_for_all_its_readers_but_not_for_outsiders() -> None:
    text = "[notes](notes.ipynb)"
    member, outsider = (readme_html(text, "/p/x", opens_files=opens) for opens in (True, False))
    assert readme_html(text, "/p/x", opens_files=True) is member
    assert "href" in member
    assert "href" not in outsider
    assert "/p/y/" in readme_html(text, "/p/y", opens_files=True)


@pytest.mark.parametrize(
    "text",
    [
        "<script>alert(1)</script>",
        "<img src=x onerror=alert(1)>",
        "[a](javascript:alert(1))",
        "[a](data:text/html,x)",
        "![a](javascript:alert(1))",
        "![a](data:image/png;base64,AAAA)",
        '[a](https://e.org "x\\" onmouseover=\\"alert(1)")',
        "<a href='x' style='position:fixed'>x</a>",
        "<iframe src=//e.org></iframe>",
        "<form action=//e.org><input name=password></form>",
    ],
)
def test_what_could_run_or_load_is_text(text: str) -> None:
    html = show(text)
    for part in (
        "<script",
        "<img",
        "<iframe",
        "<form",
        "<input",
        "<style",
        ' style="',
        'href="javascript',
        'href="data',
        ' onmouseover="',
    ):
        assert part not in html


def test_headings_stand_below_those_of_the_page() -> None:
    assert show("# A\n\n## B\n\n##### C") == "<h3>A</h3>\n<h4>B</h4>\n<h6>C</h6>\n"


def test_code_can_be_scrolled_by_keyboard() -> None:
    assert '<pre tabindex="0">' in show("```\nx\n```")


@pytest.mark.parametrize(
    ("target", "href"),
    [
        ("trend.ipynb", "/p/x/open?path=trend.ipynb"),
        ("./a%20b.ipynb", "/p/x/open?path=a%20b.ipynb"),
        ("dir/?a=1#b", "/p/x/open?path=dir/"),
        ("../other", None),
        ("%2e%2e/other", None),
        ("/services/projects/", "/services/projects/"),
        ("//e.org/x", "//e.org/x"),
        ("https://e.org", "https://e.org"),
        ("mailto:a@e.org", "mailto:a@e.org"),
    ],
)
def test_links(target: str, href: str | None) -> None:
    html = show(f"[words]({target})")
    assert (f'href="{href}"' in html) if href else ("href" not in html)
    assert "words" in html


@given(st.text())
def test_any_text_is_harmless(text: str) -> None:
    html = str(markdown.render(text, lambda _: None))
    assert "<script" not in html
    assert "<img" not in html


# Sentences -------------------------------------------------------------------------------------------------------


def _recorded_actions() -> set[str]:
    """Return every action that the core's sources write into the audit."""
    found = set()
    for path in Path(inspect.getfile(jupyterhub_collab)).parent.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Constant) and isinstance(node.value, str):
                noun, dot, verb = node.value.partition(".")
                if dot and noun in NOUNS and verb.isalpha():
                    found.add(node.value)
    return found


NOUNS = {"project", "member", "group", "invitation", "join-request", "data", "server", "person"}


def test_every_event_has_a_sentence() -> None:
    recorded = _recorded_actions()
    assert len(recorded) > 20
    assert recorded - set(sentences._TELLERS) == set()


def tell(action: str, target: str = "s.iyer", actor: str = "m.okafor", **detail: object) -> str:
    settings = Settings(environments={"geo": Environment(title="Geoscience")})
    event = Event(id=1, at=NOW, actor=actor, action=action, target=target, detail=detail)
    return str(sentences.sentence(event, settings))


@pytest.mark.parametrize(
    ("told", "sentence"),
    [
        (tell("data.attach", "noaa", mode="read-only"), "attached <code>noaa</code>, read-only"),
        (tell("project.change", fields=["environment"], environment="geo"), "changed the environment to Geoscience"),
        (
            tell("project.change", fields=["readme", "title"], title="<b>"),
            "changed the README and the title to &lt;b&gt;",
        ),
        (
            tell("member.add", "x", "x", role="viewer", via="link from m.okafor"),
            "joined as viewer by a link from m.okafor",
        ),
        (
            tell("member.add", "x", role="viewer", via="asked, approved by m.okafor"),
            "let <strong>x</strong> in as viewer",
        ),
        (tell("member.change", role="viewer", before="editor"), "made <strong>s.iyer</strong> viewer, before editor"),
        (
            tell("invitation.create", "link K7Q4…", role="editor"),
            "made an invitation link for an editor, <code>K7Q4…</code>",
        ),
        (tell("server.stop", "all servers"), "stopped the project servers of all members"),
        (tell("some.thing", "<i>"), "some.thing <code>&lt;i&gt;</code>"),
        (tell("member.remove", "<i>", role="viewer"), "removed <strong>&lt;i&gt;</strong>, who was viewer"),
    ],
)
def test_sentences(told: str, sentence: str) -> None:
    assert told == sentence
