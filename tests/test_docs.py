"""The manual is under test: what the code has stands in it, and what it says exists.

What must stand in it is taken from the code in another way than `collab_manual` takes it, so that a part which forgets
something does not forget it here as well.
"""

from __future__ import annotations

import ast
import importlib
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from html.parser import HTMLParser
from importlib.metadata import entry_points
from itertools import pairwise
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

import pytest
import yaml
from collab_manual import OBJECTS, PARTS, expand, packages
from collab_manual.markdown import sentence
from collab_manual.settings import toml
from jupyterhub.app import JupyterHub
from jupyterhub.scopes import scope_definitions
from prometheus_client import generate_latest
from pydantic import ByteSize, SecretStr
from sphinx.errors import ExtensionError

from jupyterhub_collab import cli
from jupyterhub_collab.access.models import FINDERS, PERMISSIONS, Permission, Role, SiteRight, Standing, Visibility
from jupyterhub_collab.reserved import RESERVED_SLUGS
from jupyterhub_collab.settings import Settings, load_settings
from jupyterhub_collab_services.projects import page_base, pages, sentences
from jupyterhub_collab_services.projects.api import api
from jupyterhub_collab_services.projects.application import ProjectsService

ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs"
SOURCES = [path for package in packages.PACKAGES for path in Path(package.__path__[0]).rglob("*.py")]
PAGES = sorted(path for path in DOCS.rglob("*.md") if "_build" not in path.parts)
PAGE_NAMES = [str(path.relative_to(DOCS)) for path in PAGES]


def plain(text: str) -> str:
    """Return text with single spaces, and with the apostrophes that it had before Sphinx made them curly."""
    return " ".join(text.split()).replace("’", "'")


class Page(HTMLParser):
    """One built page: its text, its links, its anchors and the rows of its tables."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.text, self.rows, self._in_cell = "", list[list[str]](), False
        self.links, self.anchors = list[str](), set[str]()
        self.feed(path.read_text(encoding="utf-8"))
        self.text = plain(self.text)
        self.rows = [[plain(cell) for cell in row] for row in self.rows]

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        self.anchors |= {given["id"] or ""} if "id" in given else set()
        self.links += [value for name in ("href", "src") if (value := given.get(name))]
        if tag == "tr":
            self.rows.append([])
        elif tag in ("td", "th"):
            self.rows[-1].append("")
            self._in_cell = True

    def handle_endtag(self, tag: str) -> None:
        self._in_cell = self._in_cell and tag not in ("td", "th")

    def handle_data(self, data: str) -> None:
        self.text += data
        if self._in_cell:
            self.rows[-1][-1] += data


@dataclass(frozen=True, slots=True)
class Manual:
    """The built manual."""

    path: Path

    def __getitem__(self, name: str) -> Page:
        return Page(self.path / f"{name}.html")

    def lacks(self, name: str, wanted: list[str]) -> list[str]:
        text = self[name].text
        return [item for item in wanted if plain(item) not in text]


def build(source: Path, target: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "sphinx", "-E", "--quiet", "--fail-on-warning", "--keep-going", "-b", "html"]
    return subprocess.run([*command, source, target], capture_output=True, text=True, check=False)


@pytest.fixture(scope="session")
def manual(tmp_path_factory: pytest.TempPathFactory) -> Manual:
    target = tmp_path_factory.mktemp("manual")
    built = build(DOCS, target)
    assert built.returncode == 0, built.stderr
    return Manual(target)


def blocks(language: str) -> Iterator[tuple[str, str]]:
    """Return the code blocks in one language, with the page that has each; also those inside of lists."""
    for path, name in zip(PAGES, PAGE_NAMES, strict=True):
        for match in re.finditer(rf"^( *)```{language}\n(.*?)^\1```$", path.read_text(), re.MULTILINE | re.DOTALL):
            yield name, re.sub(rf"^{match[1]}", "", match[2], flags=re.MULTILINE)


def blocks_of(language: str) -> list[Any]:
    return [pytest.param(text, id=f"{name}-{i}") for i, (name, text) in enumerate(blocks(language))]


# What the code has stands in the manual ------------------------------------------------------------------


def keys(schema: dict[str, Any], definitions: dict[str, Any], prefix: str = "") -> Iterator[str]:
    for name, known in schema.get("properties", {}).items():
        entries: dict[str, Any] = next(iter(known.get("patternProperties", {}).values()), {})
        reference = known.get("$ref", entries.get("$ref", ""))
        inner = definitions.get(reference.rsplit("/", 1)[-1], {})
        if "properties" in inner:
            yield from keys(inner, definitions, f"{prefix}{name}." + ("<name>." if entries else ""))
        else:
            yield f"{prefix}{name}"


def all_keys() -> list[str]:
    schema = Settings.model_json_schema()
    return list(keys(schema, schema["$defs"]))


def test_every_setting_is_described(manual: Manual) -> None:
    assert len(all_keys()) > 40
    assert manual.lacks("reference/settings", all_keys()) == []


def test_every_variable_of_a_setting_is_named(manual: Manual) -> None:
    variables = [f"JUPYTERHUB_COLLAB__{key.upper().replace('.', '__')}" for key in all_keys() if "<" not in key]
    assert manual.lacks("reference/settings", variables) == []


def descriptions() -> Iterator[str]:
    """Return the strings that stand below the fields of the settings."""
    tree = ast.parse((ROOT / "jupyterhub_collab" / "settings.py").read_text())
    for found in (node for node in tree.body if isinstance(node, ast.ClassDef)):
        for field, below in pairwise(found.body):
            if isinstance(field, ast.AnnAssign) and isinstance(below, ast.Expr):
                yield ast.literal_eval(below.value)


def test_every_description_of_a_setting_is_there(manual: Manual) -> None:
    wanted = [text.replace("`", "") for text in descriptions()]
    assert len(wanted) > 40
    assert manual.lacks("reference/settings", wanted) == []


def test_roles_permissions_and_rights_are_named(manual: Manual) -> None:
    words = [word.value for kind in (Role, Permission, Visibility, SiteRight, Standing) for word in kind]
    assert manual.lacks("reference/roles-and-permissions", words) == []


def test_the_permission_table_is_the_one_that_decides(manual: Manual) -> None:
    rows = {row[0]: row for row in manual["reference/roles-and-permissions"].rows if len(row) > 5}
    columns = rows["Permission"]
    for permission in Permission:
        row = rows[permission.value]
        yes = {columns[i] for i in range(1, len(Standing) + 1) if row[i] == "yes"}
        assert yes == {standing.value for standing in Standing if permission in PERMISSIONS[standing]}, permission


def test_the_visibility_table_is_the_one_that_decides(manual: Manual) -> None:
    rows = {row[0]: row[1] for row in manual["reference/roles-and-permissions"].rows if len(row) == 2}
    for visibility, standings in FINDERS.items():
        found = set(rows[visibility.value].split(", ")) - {"nobody else"}
        assert found == {standing.value for standing in standings}


def test_every_route_is_described(manual: Manual) -> None:
    wanted = [f"{route.method} {route.path}" for route in api.table]
    assert len(wanted) > 35
    assert manual.lacks("reference/api", wanted + [route.summary for route in api.table]) == []


def test_every_model_of_the_api_has_its_fields(manual: Manual) -> None:
    models = {model for route in api.table for model in (route.body, route.returns) if model}
    page = manual["reference/api"]
    fields = {row[0] for row in page.rows if row}
    assert {name for model in models for name in model.model_fields} <= fields
    assert {f"model-{model.__name__.lower()}" for model in models} <= page.anchors


def test_every_page_has_its_address(manual: Manual) -> None:
    assert len(pages.pages("/")) > len(page_base.table) > 20
    rows = {row[0] for row in manual["reference/pages"].rows}
    assert {route.path or "/" for route in page_base.table} <= rows


def test_every_reserved_word_is_named(manual: Manual) -> None:
    assert manual.lacks("reference/pages", sorted(RESERVED_SLUGS)) == []


def error_words(name: str) -> list[str]:
    pattern = re.compile(rf'^    {name} = "([^"]+)"$', re.MULTILINE)
    return [word for path in SOURCES if "errors" in path.name for word in pattern.findall(path.read_text())]


@pytest.mark.parametrize("words", ["code", "title"])
def test_every_error_is_described(manual: Manual, words: str) -> None:
    assert len(error_words(words)) > 30
    assert manual.lacks("reference/errors", error_words(words)) == []


def test_every_sentence_of_an_error_is_there(manual: Manual) -> None:
    for sample in (
        "“{slug}” belongs to a project, or once did: short names are never given twice. Choose another one.",
        "{person} is the only lead of this project. Make someone else lead first.",
        "Use one of: {allowed}.",
    ):
        assert manual.lacks("reference/errors", [sample]) == []


def our_classes() -> list[type[Any]]:
    groups = ("jupyterhub.spawners", "jupyterhub.authenticators")
    found = [entry.load() for group in groups for entry in entry_points(group=group) if "collab-" in entry.name]
    return [*found, ProjectsService]


@pytest.mark.parametrize("configurable", our_classes(), ids=lambda found: found.__name__)
def test_every_option_is_described(manual: Manual, configurable: type[Any]) -> None:
    own = [base for base in configurable.__mro__ if base.__module__.startswith("jupyterhub_collab")]
    names = {name for base in own for name in getattr(base, "class_own_traits", dict)(config=True)}
    assert names
    helps = [" ".join(configurable.class_traits()[name].help.split())[:60].replace("`", "") for name in names]
    wanted = [f"{configurable.__name__}.{name}" for name in sorted(names)]
    assert manual.lacks("reference/options", wanted + helps) == []


def test_every_kind_of_event_is_described(manual: Manual) -> None:
    anchors = manual["reference/audit-events"].anchors
    found = {anchor.removeprefix("event-") for anchor in anchors if anchor.startswith("event-")}
    assert found == set(sentences._TELLERS)


def test_every_verb_and_option_of_the_command_line_is_described(manual: Manual) -> None:
    source = Path(cli.__file__).read_text()
    verbs = re.findall(r'add_parser\("([a-z]+)"', source)
    options = re.findall(r'add_argument\("(--[a-z]+)"', source)
    assert verbs
    assert options
    assert manual.lacks("reference/commands", verbs + options) == []


def test_every_metric_is_described(manual: Manual) -> None:
    names = re.findall(
        r"^# TYPE (jupyterhub_collab_\w+) (?:counter|histogram)", generate_latest().decode(), re.MULTILINE
    )
    assert names
    assert manual.lacks("reference/metrics", names) == []


def names_of(values: dict[str, Any], prefix: str = "") -> Iterator[str]:
    for name, value in values.items():
        yield f"{prefix}{name}"
        if isinstance(value, dict) and not {"config", "settings", "requests", "labels"} & {name}:
            yield from names_of(value, f"{prefix}{name}.")


def test_every_value_of_the_chart_is_described(manual: Manual) -> None:
    names = list(names_of(yaml.safe_load((ROOT / "helm/jupyterhub-collab/values.yaml").read_text())))
    assert len(names) > 150
    assert manual.lacks("reference/values", names) == []


def test_every_scope_that_the_configuration_gives_is_named(manual: Manual) -> None:
    words = re.findall(r'"([a-z:]+)((?:![a-z=]+)?)"', (ROOT / "jupyterhub_config.py").read_text())
    scopes = [scope + filtered for scope, filtered in words if scope in scope_definitions]
    assert len(scopes) > 5
    assert manual.lacks("reference/hub", scopes) == []


def test_every_class_that_rests_on_calls_of_the_hub_is_named(manual: Manual) -> None:
    found = [
        node.name
        for path in SOURCES
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.ClassDef) and "rests on" in (ast.get_docstring(node) or "").lower()
    ]
    assert "Enforcement" in found
    assert manual.lacks("reference/hub", found) == []


# What the manual says exists -----------------------------------------------------------------------------


def test_every_link_inside_the_manual_leads_somewhere(manual: Manual) -> None:
    built = {path: Page(path) for path in manual.path.rglob("*.html") if "_static" not in path.parts}
    broken = [
        f"{path.relative_to(manual.path)}: {link}"
        for path, page in built.items()
        for link in page.links
        if not _leads_somewhere(path, link, built)
    ]
    assert broken == []


def _leads_somewhere(path: Path, link: str, built: dict[Path, Page]) -> bool:
    address = urlsplit(link)
    if address.scheme or address.netloc:
        return True
    target = (path.parent / unquote(address.path)).resolve() if address.path else path
    if target not in built:
        return target.exists()
    return not address.fragment or unquote(address.fragment) in built[target].anchors


@pytest.mark.parametrize("name", PAGE_NAMES)
def test_verbs_of_make_exist(name: str) -> None:
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    named = re.findall(r"(?:`|\n *|PORT=\d+ )make ([a-z-]+)\b", (DOCS / name).read_text())
    assert set(named) <= targets


def test_some_verbs_of_make_are_named() -> None:
    assert "make demo" in (DOCS / "tutorials/first-project.md").read_text()


@pytest.mark.parametrize("name", PAGE_NAMES)
def test_settings_named_in_prose_exist(name: str) -> None:
    text = (DOCS / name).read_text()
    variables = {f"JUPYTERHUB_COLLAB__{key.upper().replace('.', '__')}" for key in all_keys()}
    sections = "|".join(Settings.model_fields)
    # What a role names, the build checks; what stands as plain code is checked here
    named = {key for key in re.findall(rf"(?<!\}})`((?:{sections})\.[a-z_.]+)`", text) if not key.endswith(".toml")}
    assert named <= set(all_keys())
    assert set(re.findall(r"JUPYTERHUB_COLLAB__\w+", text)) <= variables


@pytest.mark.parametrize("text", blocks_of("toml"))
def test_examples_of_settings_can_be_loaded(tmp_path: Path, text: str) -> None:
    file = tmp_path / "settings.toml"
    file.write_text(text, encoding="utf-8")
    assert load_settings(file) != Settings()


_COMMAND = re.compile(r"(?:/\S+/)?jupyterhub-collab ")


def commands() -> list[Any]:
    lines = [line for _, text in blocks("sh") for line in text.splitlines() if _COMMAND.match(line)]
    inline = [match for path in PAGES for match in re.findall(r"`(jupyterhub-collab [^`…]+)`", path.read_text())]
    return sorted({*lines, *inline})


@pytest.mark.parametrize("line", commands())
def test_examples_of_the_command_line_parse(line: str) -> None:
    given = cli.parser().parse_args(shlex.split(line)[1:])
    assert callable(given.verb)


@pytest.mark.parametrize("text", blocks_of("sh"))
def test_examples_for_the_shell_parse(text: str) -> None:
    subprocess.run(["bash", "-n", "-c", text], check=True)


def called_routes() -> list[tuple[str, str]]:
    found = []
    for _, text in blocks("sh"):
        for line in text.replace("\\\n", " ").splitlines():
            for path in re.findall(r"(?:\$api|/api/v1)(/[^\s\"']*)", line) if "curl" in line else []:
                method = re.search(r"--request ([A-Z]+)", line)
                found.append((method[1] if method else "POST" if "--json" in line else "GET", path))
    return found


def test_requests_in_examples_go_to_routes() -> None:
    assert len(called_routes()) > 4
    known = [(route.method, re.compile(re.sub(r"\{[^}]+\}", "[^/]+", route.path))) for route in api.table]
    for method, path in called_routes():
        assert any(method == m and pattern.fullmatch(path) for m, pattern in known), (method, path)


def configuration() -> Iterator[tuple[str, str, str]]:
    """Return each option that a block of Python sets, with its page."""
    for name, text in blocks("python"):
        for node in ast.walk(ast.parse(text)):
            if isinstance(node, ast.Assign) and (option := ast.unparse(node.targets[0])).startswith("c."):
                _, configurable, trait = option.split(".")
                yield name, configurable, trait


def classes_of(name: str) -> dict[str, list[type[Any]]]:
    """Return the classes that the blocks of a page import or make."""
    found: dict[str, list[type[Any]]] = {}
    for _, text in (block for block in blocks("python") if block[0] == name):
        for node in ast.walk(ast.parse(text)):
            if isinstance(node, ast.ImportFrom) and node.module:
                module = importlib.import_module(node.module)
                found |= {alias.name: [getattr(module, alias.name)] for alias in node.names}
            elif isinstance(node, ast.ClassDef):
                made = [base for part in node.bases for base in found[ast.unparse(part)]]
                found[node.name] = found.get(node.name, []) + made
    return found


@pytest.mark.parametrize(("name", "configurable", "trait"), list(configuration()))
def test_options_in_examples_exist(name: str, configurable: str, trait: str) -> None:
    known: dict[str, list[type[Any]]] = {found.__name__: [found] for found in our_classes()}
    known |= {"JupyterHub": [JupyterHub], "Authenticator": [known["CollabNativeAuthenticator"][0]]}
    candidates = (known | classes_of(name))[configurable]
    assert any(trait in found.class_trait_names(config=True) for found in candidates)


def test_the_notebook_of_the_tutorial_runs_on_the_series_of_the_demo(tmp_path: Path) -> None:
    (cell,) = (text for name, text in blocks("python") if name == "tutorials/first-project.md")
    data = f"{tmp_path}/noaa-co2"
    lines = [
        "from pathlib import Path; from jupyterhub_collab.demo.preparation import write_data",
        f"write_data(Path({data!r}))",
        cell.replace("/data/noaa-co2", data),
        "assert abs(weekly['co2'] - fitted).max() < 5, 'the fit is off'",
    ]
    environment = {"PATH": "", "MPLBACKEND": "agg", "MPLCONFIGDIR": str(tmp_path)}
    ran = subprocess.run([sys.executable, "-c", "\n".join(lines)], env=environment, capture_output=True, check=False)
    assert ran.returncode == 0, ran.stderr.decode()


def test_pictures_of_the_tutorial_are_numbered_and_none_is_left_over() -> None:
    named = re.findall(r"^:::\{screenshot\} (\S+)$", (DOCS / "tutorials/first-project.md").read_text(), re.MULTILINE)
    assert [int(name[:2]) for name in named] == list(range(1, len(named) + 1))
    made = {path.name for path in (DOCS / "_static" / "tutorial").glob("*.png")}
    assert made <= set(named)


# The machinery of the manual -----------------------------------------------------------------------------


def small_manual(folder: Path, text: str) -> subprocess.CompletedProcess[str]:
    (folder / "index.md").write_text(f"# A page\n\n{text}\n", encoding="utf-8")
    extension = str(DOCS / "_ext")
    (folder / "conf.py").write_text(
        f"import sys\nsys.path.insert(0, {extension!r})\nextensions = ['collab_manual', 'myst_parser']\n"
        "myst_enable_extensions = ['colon_fence']\nnitpicky = True\n",
        encoding="utf-8",
    )
    return build(folder, folder / "built")


def test_a_page_that_names_what_is_not_there_fails_the_build(tmp_path: Path) -> None:
    built = small_manual(tmp_path, "\n".join(f"See {{{kind}}}`no.such.{kind}`." for kind in OBJECTS))
    assert built.returncode != 0
    assert [kind for kind in OBJECTS if f"no.such.{kind}" not in built.stderr] == []


def test_a_page_that_names_what_is_there_is_built(tmp_path: Path) -> None:
    built = small_manual(tmp_path, "See {setting}`limits.idle_minutes`.\n\n<!-- generated: settings -->")
    assert built.returncode == 0, built.stderr
    assert "Did you mean" not in Page(tmp_path / "built" / "index.html").text
    assert any("setting-limits" in link for link in Page(tmp_path / "built" / "index.html").links)


def test_a_part_that_does_not_exist_is_an_error() -> None:
    with pytest.raises(ExtensionError, match="nonsense"):
        expand("<!-- generated: nonsense -->")


def test_every_generated_part_has_its_place() -> None:
    placed = [
        part
        for path in PAGES
        for part in re.findall(r"^<!-- generated: ([a-z-]+) -->$", path.read_text(), re.MULTILINE)
    ]
    assert sorted(placed) == sorted(PARTS)


SCREENSHOT = ":::{screenshot} 01-x.png\n:alt: What is on it\n:::"


def test_a_picture_that_is_missing_is_told(tmp_path: Path) -> None:
    built = small_manual(tmp_path, SCREENSHOT)
    assert built.returncode == 0, built.stderr
    assert "01-x.png is made by the browser test" in Page(tmp_path / "built" / "index.html").text


def test_a_picture_that_is_there_is_shown(tmp_path: Path) -> None:
    picture = tmp_path / "_static" / "tutorial" / "01-x.png"
    picture.parent.mkdir(parents=True)
    picture.write_bytes((DOCS / "_static" / "favicon.svg").read_bytes())
    assert small_manual(tmp_path, SCREENSHOT).returncode == 0
    page = Page(tmp_path / "built" / "index.html")
    assert any(link.endswith("01-x.png") for link in page.links)
    assert "made by the browser test" not in page.text


@pytest.mark.parametrize(
    ("expression", "text"),
    [
        ("'plain'", "plain"),
        ("f'“{slug}” has {limit:,} bytes'", "“{slug}” has {limit} bytes"),
        ("f'one of {\", \".join(allowed)}'", "one of {allowed}"),
        ("detail or f'no {what}'", "no {what}"),
        ("detail", None),
    ],
)
def test_the_sentence_of_an_error_is_read_from_its_code(expression: str, text: str | None) -> None:
    assert sentence(ast.parse(expression, mode="eval").body) == text


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (True, "true"),
        (3, "3"),
        ("", '""'),
        (Path("/srv"), '"/srv"'),
        (SecretStr("sqlite:///x"), '"sqlite:///x"'),
        (ByteSize(2 * 1024**3), '"2GiB"'),
        (frozenset[str](), "[]"),
        (dict[str, str](), "{}"),
    ],
)
def test_a_default_is_written_as_in_the_file(value: object, text: str) -> None:
    assert toml(value) == text
