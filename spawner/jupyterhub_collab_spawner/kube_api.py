"""What we ask of the cluster's API, with answers as plain data."""

from __future__ import annotations

import asyncio
import json
import random
import time
from collections.abc import Awaitable, Callable
from http import HTTPStatus
from typing import Any, Final

import aiohttp
from kubernetes_asyncio.client import V1DeleteOptions
from kubernetes_asyncio.client.rest import ApiException

from .errors import ClusterAwayError

UNREACHABLE: Final = (aiohttp.ClientError, TimeoutError, OSError)
GRACE: Final = 1  # the least that lets a node confirm the end; without any the cluster forgets the pod unseen
_FIRST_WAIT: Final = 0.2
_LONGEST_WAIT: Final = 3.0


def passes(error: Exception) -> bool:
    """Tell whether an error of the API passes by itself: it is away, or has too much to do."""
    if isinstance(error, ApiException):
        return error.status in {HTTPStatus.TOO_MANY_REQUESTS, 0} or error.status >= HTTPStatus.INTERNAL_SERVER_ERROR
    return isinstance(error, UNREACHABLE)


def message(error: ApiException) -> str:
    """Return what the API says of an error."""
    try:
        return str(json.loads(error.body or "{}").get("message", ""))
    except ValueError:
        return str(error.reason)


class Cluster:
    """One namespace of a cluster.

    The client library makes objects of all that it gets, which takes longer than the request where a pod has many
    volumes; here the answer is read as JSON. What passes by itself is tried again until the patience ends.
    """

    def __init__(self, api: Any, namespace: str, *, request_seconds: float = 10, patience: float = 30) -> None:
        self._api = api
        self.namespace = namespace
        self._request_seconds = request_seconds
        self._patience = patience

    async def create_pod(self, pod: Any) -> dict[str, Any]:
        """Create a pod.

        Raises
        ------
        ApiException
            409: there is one of this name. 403: a quota, or a rule of the cluster.
        ClusterAwayError
        """
        return await self._ask("create_namespaced_pod", body=pod)

    async def read_pod(self, name: str) -> dict[str, Any] | None:
        """Return a pod, or none where there is none of this name."""
        return await self._or_none(self._ask("read_namespaced_pod", name=name))

    async def list_pods(self, selector: str) -> list[dict[str, Any]]:
        """Return the pods that a label selector finds, by one call."""
        found = await self._ask("list_namespaced_pod", label_selector=selector)
        return list(found["items"])

    async def delete_pod(self, name: str, grace: int = GRACE) -> bool:
        """Ask for the end of a pod; tell whether there was one. Without grace the cluster forgets it unseen."""
        options = V1DeleteOptions(grace_period_seconds=grace)
        return await self._or_none(self._ask("delete_namespaced_pod", name=name, body=options)) is not None

    async def create_claim(self, claim: dict[str, Any]) -> dict[str, Any]:
        """Create a claim; see `create_pod`."""
        return await self._ask("create_namespaced_persistent_volume_claim", body=claim)

    async def read_claim(self, name: str) -> dict[str, Any] | None:
        """Return a claim, or none where there is none of this name."""
        return await self._or_none(self._ask("read_namespaced_persistent_volume_claim", name=name))

    async def patch_claim(self, name: str, change: dict[str, Any]) -> dict[str, Any]:
        """Change a claim; return it as it is then."""
        return await self._ask("patch_namespaced_persistent_volume_claim", name=name, body=change)

    async def delete_claim(self, name: str) -> bool:
        """Ask for the end of a claim; tell whether there was one. The cluster waits for the pods that mount it."""
        return await self._or_none(self._ask("delete_namespaced_persistent_volume_claim", name=name)) is not None

    async def events_of(self, name: str) -> list[dict[str, Any]]:
        """Return the events of a pod or claim, for the operator's log."""
        found = await self._ask("list_namespaced_event", field_selector=f"involvedObject.name={name}")
        return list(found["items"])

    async def _ask(self, method: str, **options: Any) -> dict[str, Any]:
        """Ask once, and again while the error is one that passes.

        Raises
        ------
        ClusterAwayError
            It did not pass.
        """
        call = getattr(self._api, method)
        ends, wait = time.monotonic() + self._patience, _FIRST_WAIT
        while True:
            try:
                return await _answer(
                    lambda: call(
                        namespace=self.namespace,
                        _preload_content=False,
                        _request_timeout=self._request_seconds,
                        **options,
                    )
                )
            except (ApiException, *UNREACHABLE) as error:
                if not passes(error):
                    raise
                if time.monotonic() + wait > ends:
                    raise ClusterAwayError from error
            await asyncio.sleep(wait * random.uniform(0.5, 1))  # noqa: S311 - jitter, not a secret
            wait = min(2 * wait, _LONGEST_WAIT)

    @staticmethod
    async def _or_none(asking: Awaitable[dict[str, Any]]) -> dict[str, Any] | None:
        try:
            return await asking
        except ApiException as error:
            if error.status != HTTPStatus.NOT_FOUND:
                raise
            return None


async def _answer(call: Callable[[], Awaitable[Any]]) -> dict[str, Any]:
    """Return the JSON of an answer.

    Raises
    ------
    ApiException
        The API says no.
    """
    response = await call()
    body = await response.read()
    if response.status >= HTTPStatus.BAD_REQUEST:
        error = ApiException(status=response.status, reason=response.reason)
        error.body = body
        raise error
    answer: dict[str, Any] = json.loads(body)
    return answer
