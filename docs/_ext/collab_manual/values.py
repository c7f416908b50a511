"""The chart's values, from the schema by which helm checks them."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Final

import yaml

from .markdown import code, entry, facts, prose, table

CHART: Final = Path(__file__).parents[3] / "helm" / "jupyterhub-collab"
_KINDS: Final = {
    "array": "list",
    "boolean": "`true` or `false`",
    "integer": "whole number",
    "null": "null",
    "object": "table",
    "string": "text",
}


@dataclass(frozen=True, kw_only=True, slots=True)
class Value:
    """One option of the chart."""

    name: str
    option: dict[str, Any]
    default: Any

    @property
    def section(self) -> bool:
        """Whether it only holds others."""
        return "properties" in self.option


def values() -> list[Value]:
    """Return the options, sections before what is in them."""
    schema = json.loads((CHART / "values.schema.json").read_text(encoding="utf-8"))
    return list(_walk(schema, yaml.safe_load((CHART / "values.yaml").read_text(encoding="utf-8")), ""))


@cache
def renamed() -> dict[str, str]:
    """Return what stands for options that this chart does not have."""
    return dict(yaml.safe_load((CHART / "files" / "renamed.yaml").read_text(encoding="utf-8")))


def _walk(schema: dict[str, Any], defaults: Any, path: str) -> Iterator[Value]:
    for name, option in schema["properties"].items():
        known = defaults.get(name) if isinstance(defaults, dict) else None
        if f"{path}{name}" in renamed():
            continue
        yield Value(name=f"{path}{name}", option=option, default=known)
        if "properties" in option:
            yield from _walk(option, known, f"{path}{name}.")


def text() -> str:
    """Return the reference: a section for each part of the chart, then its options."""
    return "\n".join(_section(found) if found.section else _entry(found) for found in values())


def _section(value: Value) -> str:
    level = "##" if "." not in value.name else "###"
    return f"{level} `{value.name}`\n\n{prose(value.option.get('description', ''))}\n"


def _entry(value: Value) -> str:
    return entry(
        "value",
        value.name,
        prose(value.option["description"]).replace("\n", " "),
        facts(value=_kind(value.option), default=_default(value)),
    )


def _kind(option: dict[str, Any]) -> str:
    if "enum" in option:
        return " or ".join(code(choice) for choice in option["enum"])
    kinds = option.get("type", "object")
    named = " or ".join(_KINDS[kind] for kind in ([kinds] if isinstance(kinds, str) else kinds))
    bounds = [f"at least {option['minimum']}"] if "minimum" in option else []
    patterns = [f"matches {code(option['pattern'])}"] if "pattern" in option else []
    return ", ".join([named, *bounds, *patterns])


def _default(value: Value) -> str:
    if value.default in ("", None, [], {}):
        return ""
    return code(json.dumps(value.default, ensure_ascii=False).strip('"'))


def renamed_table() -> str:
    """Return the options of other charts, and what stands for them."""
    return table(["Elsewhere", "Here"], ([code(old), prose(new)] for old, new in renamed().items()))
