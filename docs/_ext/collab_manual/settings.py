"""The settings, from the model that reads them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from types import UnionType
from typing import Any, Final, Literal, TypeGuard, get_args, get_origin

from pydantic import BaseModel, ByteSize, SecretStr
from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined

from jupyterhub_collab.settings import ENV_PREFIX, Settings

from .markdown import code, entry, facts, prose

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
    return [setting for setting in _walk(Settings, "") if not _below(setting.field)]


def _walk(model: type[BaseModel], prefix: str) -> Iterator[Setting]:
    """Return every key, those of tables before what is in them."""
    for name, field in model.model_fields.items():
        key = f"{prefix}{name}" + (f".{NAME}" if get_origin(field.annotation) is dict and _below(field) else "")
        yield Setting(key=key, field=field)
        if inner := _below(field):
            yield from _walk(inner, f"{key}.")


def _below(field: FieldInfo) -> type[BaseModel] | None:
    """Return the model of what a key is a table of."""
    kinds = [field.annotation, *get_args(field.annotation)]
    return next((kind for kind in kinds if _is_model(kind)), None)


def _is_model(kind: Any) -> TypeGuard[type[BaseModel]]:
    return isinstance(kind, type) and issubclass(kind, BaseModel)


def text() -> str:
    """Return the reference: a section for each table of the file, then its keys."""
    return "\n".join(_table(found) if _below(found.field) else _entry(found) for found in _walk(Settings, ""))


def _table(found: Setting) -> str:
    level = "##" if found.key.removesuffix(f".{NAME}").count(".") == 0 else "###"
    return f"{level} `[{found.key}]`\n\n{prose(found.field.description or '')}\n"


def _entry(setting: Setting) -> str:
    field = setting.field
    return entry(
        "setting",
        setting.key,
        prose(field.description or "").replace("\n", " "),
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
    if get_origin(annotation) is UnionType:  # a value that may be missing
        annotation = next(kind for kind in get_args(annotation) if kind is not type(None))
    kind = get_origin(annotation) or annotation
    if kind in _KINDS:
        return _KINDS[kind]
    return " or ".join(code(f'"{choice.value}"') for choice in kind)  # an enumeration


def _default(field: FieldInfo) -> str:
    if field.default is PydanticUndefined:
        return "none, it must be given"
    return "none" if field.default is None else code(toml(field.default))


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
