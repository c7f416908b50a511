"""Write ``values.schema.json`` of the chart: its described source, with the product's settings and renamed options.

``--check`` writes nothing and fails where the file is not what it should be.
"""
# ruff: noqa: INP001 - a script

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any, Final

import yaml

from jupyterhub_collab.settings import Settings

CHART: Final = Path(__file__).parents[1] / "helm" / "jupyterhub-collab"
TARGET: Final = CHART / "values.schema.json"
RENAMED: Final = "Not here any more: installing fails with the name that stands for it."


def schema() -> dict[str, Any]:
    """Return the schema that helm checks values by."""
    made: dict[str, Any] = yaml.safe_load((CHART / "values.schema.yaml").read_text(encoding="utf-8"))
    del made["definitions-for-this-file"]
    made["$defs"] = _settings()
    for name in yaml.safe_load((CHART / "files" / "renamed.yaml").read_text(encoding="utf-8")):
        _let_pass(made, name.split("."))
    return made


def _settings() -> dict[str, Any]:
    """Return the definitions of the settings; those that no file of a cluster should hold are left out."""
    found = Settings.model_json_schema()
    definitions: dict[str, Any] = {**found.pop("$defs"), "Settings": found}
    return {name: _plain(definition) for name, definition in definitions.items()}


def _plain(definition: Any) -> Any:
    """Return a definition without the titles and defaults that only a generator of forms would want."""
    if isinstance(definition, list):
        return [_plain(item) for item in definition]
    if not isinstance(definition, dict):
        return definition
    dropped = {key for key in ("title", "default") if not isinstance(definition.get(key), dict) or key == "default"}
    return {
        key: {name: _plain(item) for name, item in value.items()} if key == "properties" else _plain(value)
        for key, value in definition.items()
        if key not in dropped
    }


def _let_pass(made: dict[str, Any], path: list[str]) -> None:
    """Let an option that has another name here through to the chart, which names it; the schema can't say it."""
    *sections, last = path
    section = made
    for name in sections:
        section = section["properties"].setdefault(name, {"type": "object", "properties": {}})
        if "$ref" in section:
            section = made["$defs"][section["$ref"].rsplit("/", 1)[-1]]
    section["properties"][last] = {"description": RENAMED}


def main() -> int:
    """Write the schema, or compare."""
    text = json.dumps(schema(), indent=2, ensure_ascii=False) + "\n"
    if "--check" not in sys.argv:
        TARGET.write_text(text, encoding="utf-8")
    elif TARGET.read_text(encoding="utf-8") != text:
        print(f"{TARGET.name} is not what its source says. Run: python tools/values_schema.py")  # noqa: T201
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
