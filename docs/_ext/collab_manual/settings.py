"""The settings, from the model that reads them."""

from __future__ import annotations

import typing
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Literal, get_args, get_origin

from pydantic import BaseModel, ByteSize, SecretStr
from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined

from jupyterhub_collab.settings import ENV_PREFIX, Settings

from .markdown import code, entry, facts

NAME: Final = "<name>"
_KINDS: Final[dict[Any, str]] = {
    str: "text",
    int: "whole number",
    float: "number",
    bool: "`true` or `false`",
    Path: "path",
    SecretStr: "text, kept secret",
    ByteSize: "size, such as `2GiB`",
    frozenset: "list of texts",
    dict: "table of texts",
}
_BOUNDS: Final = {
    "ge": "at least",
    "gt": "more than",
    "le": "at most",
    "lt": "less than",
    "max_length": "letters at most",
}


@dataclass(frozen=True, kw_only=True, slots=True)
class Setting:
    """One key of the settings file."""

    key: str
    field: FieldInfo

    @property
    def environment(self) -> str:
        """The variable that wins over the file; entries of a table have none that could be written for all."""
        return "" if NAME in self.key else ENV_PREFIX + self.key.upper().replace(".", "__")


def settings() -> list[Setting]:
    """Return every key that has a value, in the order of the model."""
    return list(_walk(Settings, ""))


def _walk(model: type[BaseModel], prefix: str) -> Iterator[Setting]:
    for name, field in model.model_fields.items():
        inner = field.annotation
        key = f"{prefix}{name}"
        if get_origin(inner) is dict and _is_model(get_args(inner)[1]):
            yield from _walk(get_args(inner)[1], f"{key}.{NAME}.")
        elif _is_model(inner):
            yield from _walk(typing.cast("type[BaseModel]", inner), f"{key}.")
        else:
            yield Setting(key=key, field=field)


def _is_model(kind: object) -> bool:
    return isinstance(kind, type) and issubclass(kind, BaseModel)


def text() -> str:
    """Return the reference: a section for each table of the file."""
    parts = []
    for name, field in Settings.model_fields.items():
        own = [setting for setting in settings() if setting.key.startswith(f"{name}.")]
        heading = f"{name}.{NAME}" if any(NAME in setting.key for setting in own) else name
        parts.append(f"## `[{heading}]`\n\n{field.description or ''}\n")
        parts += [_entry(setting) for setting in own]
    return "\n".join(parts)


def _entry(setting: Setting) -> str:
    field = setting.field
    return entry(
        "setting",
        setting.key,
        (field.description or "").replace("\n", " "),
        facts(
            value=_kind(field),
            default=_default(field),
            environment=code(setting.environment) if setting.environment else "",
        ),
    )


def _kind(field: FieldInfo) -> str:
    bounds = [
        f"{words} {getattr(limit, name):,}"
        for limit in field.metadata
        for name, words in _BOUNDS.items()
        if getattr(limit, name, None) is not None
    ]
    patterns = [f"matches {code(p)}" for limit in field.metadata if (p := getattr(limit, "pattern", None))]
    return ", ".join([_name_of(field.annotation), *bounds, *patterns])


def _name_of(annotation: Any) -> str:
    if get_origin(annotation) is Literal:
        return " or ".join(code(f'"{choice}"') for choice in get_args(annotation))
    kind = get_origin(annotation) or annotation
    if kind in _KINDS:
        return _KINDS[kind]
    return " or ".join(code(f'"{choice.value}"') for choice in kind)  # an enumeration


def _default(field: FieldInfo) -> str:
    if field.default is PydanticUndefined:
        return "none, it must be given"
    return code(toml(field.default))


def toml(value: Any) -> str:
    """Return a default as it would stand in the file."""
    if isinstance(value, SecretStr):
        return toml(value.get_secret_value())
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, ByteSize):
        return f'"{value.human_readable(separator="").replace(".0", "")}"'
    if isinstance(value, int | float):
        return str(value)
    if isinstance(value, dict | frozenset):
        return "{}" if isinstance(value, dict) else "[]"
    return f'"{value}"'
