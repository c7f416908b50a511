"""Prometheus metrics of a service: how often each route answered with which status, and how long it took."""

from __future__ import annotations

from typing import Final

from prometheus_client import Counter, Histogram
from tornado.web import RequestHandler

REQUESTS: Final = Counter(
    "jupyterhub_collab_requests_total", "Requests answered.", ["service", "handler", "method", "status"]
)
SECONDS: Final = Histogram(
    "jupyterhub_collab_request_seconds", "Time to answer a request, in seconds.", ["service", "handler", "method"]
)


def count_request(handler: RequestHandler) -> None:
    """Count a finished request; tornado calls this instead of writing an access log line."""
    route = getattr(handler, "route_name", type(handler).__name__)
    service = handler.settings.get("service_name", "")
    method = handler.request.method or ""
    REQUESTS.labels(service, route, method, str(handler.get_status())).inc()
    SECONDS.labels(service, route, method).observe(handler.request.request_time())
