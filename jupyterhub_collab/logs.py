"""The log as a JSON object a line, and the name of the request that a line belongs to.

Each request has a name: its header ``X-Request-ID`` where that is well-formed, else a new one. It goes into every line
that is written on behalf of the request, into the answer, and on to the Hub where a service asks that.
"""

from __future__ import annotations

import logging
import logging.config
import re
import secrets
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any, Final

from pythonjsonlogger.json import JsonFormatter

if TYPE_CHECKING:
    from .settings import Settings

HEADER: Final = "X-Request-ID"
FORMAT_VARIABLE: Final = "JUPYTERHUB_COLLAB_LOG_FORMAT"
"""Tells the format to programs that read no settings, since they need no database."""
_WELL_FORMED: Final = re.compile(r"[A-Za-z0-9._-]{1,64}")
_TEXT: Final = "%(asctime)s %(levelname)s %(name)s %(message)s"
_NAMES: Final = {"levelname": "level", "name": "logger", "exc_info": "exception"}

_current: ContextVar[str] = ContextVar("request_id", default="")


def begin_request(given: str | None) -> str:
    """Return the name of a request that begins in this task: what it calls itself, or a new one."""
    name = given if given and _WELL_FORMED.fullmatch(given) else secrets.token_hex(8)
    _current.set(name)
    return name


def request_id() -> str:
    """Return the name of the request that this is done for, or nothing."""
    return _current.get()


class JsonLines(JsonFormatter):
    """Formats each record as one JSON object, with the request's name and whatever the record has besides."""

    def __init__(self, process: str) -> None:
        super().__init__(
            ["levelname", "name", "message"],
            rename_fields=_NAMES,
            static_fields={"process": process},
            timestamp="time",
            json_ensure_ascii=False,
        )

    def add_fields(self, log_data: dict[str, Any], record: logging.LogRecord, message_dict: dict[str, Any]) -> None:
        """Add the request's name."""
        super().add_fields(log_data, record, message_dict)
        if name := request_id():
            log_data["request_id"] = name


class Without(logging.Filter):
    """Takes a secret out of all that is logged."""

    def __init__(self, secret: str) -> None:
        super().__init__()
        self._secret = secret

    def filter(self, record: logging.LogRecord) -> bool:
        """Let every record through, but not the secret in it."""
        record.msg, record.args = record.getMessage().replace(self._secret, "[secret]"), ()
        return True


def hub_logging(settings: Settings) -> dict[str, Any]:
    """Return the value for `JupyterHub.logging_config`: our lines beside the Hub's, in the chosen format."""
    return application_logging(settings.site.log_format, "hub")


def application_logging(log_format: str, process: str, secret: str = "") -> dict[str, Any]:
    """Return the `logging_config` of a traitlets application: what its libraries say is logged too, in one format."""
    console: dict[str, Any] = {"formatter": "json"} if log_format == "json" else {}
    ours = {"level": "INFO", "handlers": ["console"], "propagate": False}
    return {
        "formatters": {"json": {"()": f"{__name__}.{JsonLines.__name__}", "process": process}},
        "filters": {"secret": {"()": f"{__name__}.{Without.__name__}", "secret": secret}} if secret else {},
        "handlers": {"console": console | ({"filters": ["secret"]} if secret else {})},
        "loggers": {"jupyterhub.collab": ours},
        "root": {"level": "WARNING", "handlers": ["console"]},
    }


def configure(settings: Settings, process: str, level: int) -> None:
    """Write the log of this process to standard error in the chosen format."""
    handler = logging.StreamHandler()
    handler.setFormatter(JsonLines(process) if settings.site.log_format == "json" else logging.Formatter(_TEXT))
    logging.basicConfig(level=level, handlers=[handler])
