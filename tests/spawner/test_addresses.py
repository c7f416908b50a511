"""The proxy in front of Unix sockets answers what the server answers, however quick that is."""

from __future__ import annotations

import asyncio
import os
import subprocess
import tempfile
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import httpx
import pytest
from tornado.httpserver import HTTPServer
from tornado.netutil import bind_unix_socket
from tornado.web import Application, RequestHandler

from jupyterhub_collab.state import free_port
from jupyterhub_collab_spawner.addresses import proxy_command
from jupyterhub_collab_spawner.singleuser import socket_url

PROXY = Path(__file__).parents[2] / "node_modules/.bin/configurable-http-proxy"
WRITES = 600


class Quick(RequestHandler):
    def put(self) -> None:
        self.set_status(204)


@asynccontextmanager
async def proxied(command: list[str], socket: Path) -> AsyncIterator[str]:
    port, api = free_port(), free_port()
    places = ["--ip", "127.0.0.1", "--port", str(port), "--api-ip", "127.0.0.1", "--api-port", str(api)]
    process = subprocess.Popen(  # noqa: ASYNC220 - starting it does not wait
        [*command, *places, "--default-target", socket_url(socket), "--log-level", "error"],
        env=os.environ | {"CONFIGPROXY_AUTH_TOKEN": "made-up"},
        stderr=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
    )
    try:
        yield f"http://127.0.0.1:{port}/"
    finally:
        process.kill()
        process.wait()


async def writes(command: list[str]) -> Counter[int]:
    """Return how often each status came back for many writes at once."""
    with tempfile.TemporaryDirectory(prefix="collab-") as folder:
        socket = Path(folder) / "s.sock"
        server = HTTPServer(Application([("/.*", Quick)]))
        server.add_socket(bind_unix_socket(str(socket)))
        async with proxied(command, socket) as address, httpx.AsyncClient(timeout=30) as client:
            await up(client, address)
            answers = [
                await asyncio.gather(*(client.put(address, content=b"a") for _ in range(8))) for _ in range(WRITES // 8)
            ]
        server.stop()
        await server.close_all_connections()
    return Counter(answer.status_code for eight in answers for answer in eight)


async def up(client: httpx.AsyncClient, address: str) -> None:
    async with asyncio.timeout(20):
        while True:
            try:
                await client.get(address)
            except httpx.ConnectError:
                await asyncio.sleep(0.1)
            else:
                return


async def test_no_write_is_answered_by_the_proxy_itself() -> None:
    assert await writes(proxy_command(PROXY)) == {204: WRITES}


async def test_the_proxy_alone_fails_now_and_then() -> None:
    """Where it does not any more, the preload can go."""
    for _ in range(20):
        if (await writes([str(PROXY)]))[503]:
            return
    pytest.fail("configurable-http-proxy has been mended: take unix_sockets.cjs away")
