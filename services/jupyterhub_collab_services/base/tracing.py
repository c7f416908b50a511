"""The name of a request goes on with what is asked of the Hub for it, so that the logs of both can be put together."""

from __future__ import annotations

from types import SimpleNamespace

from aiohttp import ClientSession, TraceConfig, TraceRequestStartParams

from jupyterhub_collab import logs


def name_requests() -> TraceConfig:
    """Return what makes every request of an aiohttp session carry the name of the request that it is sent for."""
    config = TraceConfig()
    config.on_request_start.append(_name)
    return config


async def _name(_session: ClientSession, _context: SimpleNamespace, sent: TraceRequestStartParams) -> None:
    if name := logs.request_id():
        sent.headers[logs.HEADER] = name
