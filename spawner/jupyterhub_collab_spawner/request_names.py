"""Each request to the Hub has a name, which stands in the log and in the answer; see `jupyterhub_collab.logs`."""

from __future__ import annotations

from typing import Final

from tornado.httputil import HTTPHeaders, HTTPServerRequest
from tornado.web import OutputTransform

from jupyterhub_collab import logs


class NamedRequests(OutputTransform):
    """Names a request before the Hub's handler runs, and puts the name into the answer.

    JupyterHub makes its own HTTP server and handlers. Tornado makes the transforms of an application just before it
    runs the handler as a task of its own. That takes the name along, and so does whatever the handler begins: the start
    of a server, for example.

    It rests on ``JupyterHub.tornado_settings`` being the keyword arguments of ``tornado.web.Application``.
    """

    def __init__(self, request: HTTPServerRequest) -> None:
        super().__init__(request)
        self._name = logs.begin_request(request.headers.get(logs.HEADER))

    def transform_first_chunk(
        self,
        status_code: int,
        headers: HTTPHeaders,
        chunk: bytes,
        finishing: bool,  # noqa: FBT001 - the signature is tornado's
    ) -> tuple[int, HTTPHeaders, bytes]:
        """Add the name to the answer."""
        headers[logs.HEADER] = self._name
        return super().transform_first_chunk(status_code, headers, chunk, finishing)


TORNADO_SETTINGS: Final = {"transforms": [NamedRequests]}
