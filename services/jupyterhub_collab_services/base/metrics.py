"""Prometheus metrics of a service, and the line in its log, for each request that it answered."""

from __future__ import annotations

import logging
from typing import Final

from prometheus_client import Counter, Histogram
from tornado.web import RequestHandler

from jupyterhub_collab.errors import CollabError

log = logging.getLogger(__name__)

REQUESTS: Final = Counter(
    "jupyterhub_collab_requests_total", "Requests answered.", ["service", "route", "method", "status"]
)
SECONDS: Final = Histogram(
    "jupyterhub_collab_request_seconds", "Time to answer a request, in seconds.", ["service", "route", "method"]
)
PROBLEMS: Final = Counter(
    "jupyterhub_collab_problems_total",
    "Requests that were answered with an error, by its code: rules that said no, conflicts, faults.",
    ["service", "code"],
)


def count_request(handler: RequestHandler) -> None:
    """Count and log a finished request by its route, never by its path, which may hold a secret.

    Tornado calls this instead of writing an access log line.
    """
    request = handler.request
    service = handler.settings.get("service_name", "")
    route = getattr(handler, "route", "") or type(handler).__name__
    method = request.method if request.method in handler.SUPPORTED_METHODS else "other"
    status, seconds = handler.get_status(), request.request_time()
    REQUESTS.labels(service, route, method, str(status)).inc()
    SECONDS.labels(service, route, method).observe(seconds)
    facts = {"method": method, "route": route, "status": status, "milliseconds": round(seconds * 1000, 1)}
    log.info("%s %s %d %.1f ms", method, route, status, seconds * 1000, extra=facts)


def count_problem(handler: RequestHandler, problem: CollabError) -> None:
    """Count an error that an asker is shown."""
    PROBLEMS.labels(handler.settings.get("service_name", ""), problem.code).inc()
