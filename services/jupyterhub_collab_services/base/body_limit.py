"""The HTTP server of a service: each request has a name from its first line on, and a limit on its body.

The limit answers with a problem instead of a cut connection.

Tornado's own ``max_body_size`` closes the connection while the client still sends, so that the client, or the proxy
between, reports a broken connection and not the reason. Here a body over the limit is read to its end, kept nowhere,
and the request is then answered by its handler, which sees that the body was too large.
"""

from __future__ import annotations

from collections.abc import Awaitable
from typing import Any, Final

from tornado.httpserver import HTTPServer
from tornado.httputil import HTTPHeaders, HTTPMessageDelegate, RequestStartLine, ResponseStartLine

from jupyterhub_collab import logs

LIMIT: Final = 1_000_000
# Read and thrown away up to here; past it the connection is cut after all
DRAINED: Final = 200_000_000


class _LimitedBody(HTTPMessageDelegate):
    def __init__(self, inner: HTTPMessageDelegate, connection: Any) -> None:
        self._inner = inner
        self._connection = connection
        self._received = 0

    def headers_received(
        self, start_line: RequestStartLine | ResponseStartLine, headers: HTTPHeaders
    ) -> Awaitable[None] | None:
        self._connection.collab_body_too_large = False
        logs.begin_request(headers.get(logs.HEADER))
        return self._inner.headers_received(start_line, headers)

    def data_received(self, chunk: bytes) -> Awaitable[None] | None:
        self._received += len(chunk)
        if self._received > LIMIT:
            self._connection.collab_body_too_large = True
            return None
        return self._inner.data_received(chunk)

    def finish(self) -> None:
        self._inner.finish()

    def on_connection_close(self) -> None:
        self._inner.on_connection_close()


class LimitedServer(HTTPServer):
    """An HTTP server whose handlers are told when a body was too large; see `LIMIT`."""

    def start_request(self, server_conn: object, request_conn: Any) -> HTTPMessageDelegate:
        """Wrap what takes the request in."""
        return _LimitedBody(super().start_request(server_conn, request_conn), request_conn)
