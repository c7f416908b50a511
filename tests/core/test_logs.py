from __future__ import annotations

import asyncio
import json
import logging
import logging.config
import sys

import pytest

from jupyterhub_collab import logs
from jupyterhub_collab.settings import Settings, Site


def line(message: str = "Hello %s", *args: object, **extra: object) -> dict[str, object]:
    record = logging.getLogger("a.b").makeRecord("a.b", logging.WARNING, "f", 1, message, args, None, extra=extra)
    return dict(json.loads(logs.JsonLines("hub").format(record)))


def test_a_line_is_one_object_with_time_level_logger_and_process() -> None:
    found = line("Hello %s", "wörld\nnew line", route="/p/{slug}")
    assert str(found.pop("time")).endswith("+00:00")
    assert found == {
        "level": "WARNING",
        "logger": "a.b",
        "message": "Hello wörld\nnew line",
        "process": "hub",
        "route": "/p/{slug}",
    }


def test_a_line_carries_the_name_of_its_request_and_no_other() -> None:
    async def request(name: str) -> object:
        logs.begin_request(name)
        await asyncio.sleep(0.01)
        return line()["request_id"]

    async def both() -> list[object]:
        return [*await asyncio.gather(request("one"), request("two"))]

    assert asyncio.run(both()) == ["one", "two"]
    assert "request_id" not in line()


def test_a_fault_is_one_line_with_its_trace() -> None:
    try:
        1 / 0  # noqa: B018 - a fault
    except ZeroDivisionError:
        record = logging.getLogger("a").makeRecord("a", logging.ERROR, "f", 1, "It failed", (), sys.exc_info())
    text = logs.JsonLines("hub").format(record)
    assert "\n" not in text
    assert "ZeroDivisionError: division by zero" in json.loads(text)["exception"]


@pytest.mark.parametrize("given", ["abc", "0af7651916cd43dd8448eb211c80319c", "a-b_c.D", "x" * 64])
def test_a_well_formed_name_is_kept(given: str) -> None:
    assert asyncio.run(_begun(given)) == given


@pytest.mark.parametrize("given", [None, "", "x" * 65, "a b", "a\nb", 'a"b', "ü", "<script>", "a/b"])
def test_any_other_name_is_replaced(given: str | None) -> None:
    made = asyncio.run(_begun(given))
    assert made != given
    assert len(made) == 16


async def _begun(given: str | None) -> str:
    made = logs.begin_request(given)
    assert logs.request_id() == made
    return made


@pytest.mark.parametrize("log_format", ["text", "json"])
def test_the_hubs_configuration_can_be_used(log_format: str, capsys: pytest.CaptureFixture[str]) -> None:
    given = logs.hub_logging(Settings(site=Site.model_validate({"log_format": log_format})))
    base = {
        "version": 1,
        "disable_existing_loggers": False,
        "formatters": {"console": {"format": "[%(levelname)s] %(message)s"}},
        "handlers": {
            "console": {"class": "logging.StreamHandler", "formatter": "console", "stream": "ext://sys.stderr"}
        },
    }
    root, ours = logging.getLogger(), logging.getLogger("jupyterhub.collab")
    before = root.handlers[:], root.level
    try:
        logging.config.dictConfig(_merged(base, given))
        logging.getLogger("jupyterhub.collab.enforcement").info("It looked")
    finally:
        root.handlers, root.level = before
        ours.handlers, ours.propagate = [], True
    said = capsys.readouterr().err.strip()
    assert (json.loads(said)["message"] if log_format == "json" else said) == (
        "It looked" if log_format == "json" else "[INFO] It looked"
    )


def _merged(base: dict[str, object], more: dict[str, object]) -> dict[str, object]:
    """Merge as traitlets does."""
    result = dict(base)
    for key, value in more.items():
        old = result.get(key)
        result[key] = _merged(old, value) if isinstance(old, dict) and isinstance(value, dict) else value
    return result
