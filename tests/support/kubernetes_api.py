"""A stateful fake of a cluster's API with one simulated kubelet: pods, claims and events of any namespace.

The real client talks to it by HTTP, so what is tested includes paths, selectors, patches and watches. Its knobs:

- ``kubelet`` says what becomes of a new pod; a pod of which it returns none stays as it is.
- ``refuse`` answers the next calls of a verb and kind with an error, ``away`` drops every connection.
- ``confirms``: whether the kubelet confirms the end of a pod; a lost node does not.
- ``compact()`` forgets the past, so that the next watch is told 410.

``calls`` counts what was asked, by verb and kind.
"""

from __future__ import annotations

import asyncio
import contextlib
import copy
import itertools
import json
from collections import Counter, defaultdict
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from aiohttp import web

_KINDS: Final = {"pods": "Pod", "persistentvolumeclaims": "PersistentVolumeClaim", "events": "Event"}
Object = dict[str, Any]


def running(pod: Object) -> Object | None:
    """Return the status of a pod that runs at once; one that is not to be restarted ends at once, well."""
    if pod["spec"].get("restartPolicy") == "Never":
        states = [_state(container, {"terminated": {"exitCode": 0}}) for container in pod["spec"]["containers"]]
        return {"phase": "Succeeded", "containerStatuses": states}
    return {
        "phase": "Running",
        "podIP": "127.0.0.1",
        "containerStatuses": [ready(c) for c in pod["spec"]["containers"]],
    }


def ready(container: Object) -> Object:
    """Return the status of a container that runs."""
    return _state(container, {"running": {}}) | {"ready": True}


def waiting(pod: Object, reason: str) -> Object:
    """Return the status of a pod whose container waits for a reason."""
    return {
        "phase": "Pending",
        "containerStatuses": [_state(c, {"waiting": {"reason": reason}}) for c in pod["spec"]["containers"]],
    }


def _state(container: Object, state: Object) -> Object:
    return {
        "name": container["name"],
        "image": container["image"],
        "imageID": "",
        "state": state,
        "ready": False,
        "restartCount": 0,
    }


class FakeApi:
    """What the cluster knows, and how it answers."""

    def __init__(self) -> None:
        self.objects: dict[str, dict[str, Object]] = {kind: {} for kind in _KINDS}
        self.kubelet: Callable[[Object], Object | None] = running
        self.refuse: defaultdict[tuple[str, str], list[tuple[int, str]]] = defaultdict(list)
        self.away = False
        self.confirms = True
        self.calls: Counter[str] = Counter()
        self.url = ""
        self._versions = itertools.count(1)
        self._past: list[tuple[int, str, Object]] = []
        self._oldest = 0
        self._changed = asyncio.Condition()
        self._work: set[asyncio.Task[None]] = set()

    @property
    def pods(self) -> dict[str, Object]:
        return self.objects["pods"]

    @property
    def claims(self) -> dict[str, Object]:
        return self.objects["persistentvolumeclaims"]

    def compact(self) -> None:
        """Forget the past."""
        self._oldest = next(self._versions)
        self._past.clear()

    async def put(self, kind: str, thing: Object, change: str = "MODIFIED") -> Object:
        """Store an object as changed now, and tell those who watch."""
        metadata = thing["metadata"]
        metadata["resourceVersion"] = str(next(self._versions))
        metadata.setdefault("uid", f"uid-{metadata['resourceVersion']}")
        metadata.setdefault("creationTimestamp", _now())
        metadata.setdefault("namespace", "hub")
        if change == "DELETED":
            self.objects[kind].pop(metadata["name"], None)
        else:
            self.objects[kind][metadata["name"]] = thing
        async with self._changed:
            self._past.append(
                (int(metadata["resourceVersion"]), change, {"kind": kind, "object": copy.deepcopy(thing)})
            )
            self._changed.notify_all()
        return thing

    async def tell(self, pod: str, reason: str, message: str) -> None:
        """Add an event of a pod."""
        event = {
            "metadata": {"name": f"{pod}.{next(self._versions):x}"},  # as client-go does
            "involvedObject": {"kind": "Pod", "name": pod},
            "reason": reason,
            "message": message,
            "type": "Warning",
            "lastTimestamp": _now(),
        }
        await self.put("events", event)

    async def set_status(self, pod: str, status: Object) -> None:
        """Change the status of a pod as its kubelet would."""
        self.pods[pod]["status"] = status
        await self.put("pods", self.pods[pod])

    async def _serve(self, request: web.Request) -> web.StreamResponse:
        kind, name = request.match_info["kind"], request.match_info.get("name", "")
        verb = {"POST": "create", "PATCH": "patch", "DELETE": "delete"}.get(request.method, "read" if name else "list")
        if verb == "list" and request.query.get("watch"):
            return await self._watch(request, kind)
        self.calls[f"{verb} {kind}"] += 1
        if self.away:
            assert request.transport is not None
            request.transport.abort()
        if self.refuse[verb, kind]:
            return _error(*self.refuse[verb, kind].pop(0))
        if verb == "list":
            items = [thing for thing in self.objects[kind].values() if _chosen(thing, request.query)]
            metadata = {"resourceVersion": str(next(self._versions))}
            return web.json_response({"kind": f"{_KINDS[kind]}List", "metadata": metadata, "items": items})
        if verb == "create":
            return await self._create(kind, await request.json())
        thing = self.objects[kind].get(name)
        if thing is None:
            return _error(404, f'{kind} "{name}" not found')
        if verb == "patch":
            _merge(thing, await request.json())
            await self.put(kind, thing)
        elif verb == "delete":
            await self._delete(kind, thing, await request.json() if request.can_read_body else {})
        return web.json_response(thing)

    async def _create(self, kind: str, thing: Object) -> web.Response:
        if thing["metadata"]["name"] in self.objects[kind]:
            return _error(409, f'{kind} "{thing["metadata"]["name"]}" already exists')
        thing.setdefault("status", {"phase": "Pending"})
        await self.put(kind, thing, "ADDED")
        if kind == "pods" and (status := self.kubelet(thing)) is not None:
            thing["spec"]["nodeName"] = "node1"
            thing["status"] = status
            await self.put(kind, thing)
        return web.json_response(thing, status=201)

    async def _delete(self, kind: str, thing: Object, options: Object) -> None:
        grace = options.get("gracePeriodSeconds")
        if kind != "pods" or grace == 0 or "nodeName" not in thing["spec"]:
            await self.put(kind, thing, "DELETED")
            return
        thing["metadata"]["deletionTimestamp"] = _now(grace or 30)
        await self.put(kind, thing)
        task = asyncio.ensure_future(self._confirm(thing))
        self._work.add(task)
        task.add_done_callback(self._work.discard)

    async def _confirm(self, pod: Object) -> None:
        await asyncio.sleep(0.05)
        if self.confirms:
            await self.put("pods", pod, "DELETED")

    async def _watch(self, request: web.Request, kind: str) -> web.StreamResponse:
        self.calls[f"watch {kind}"] += 1
        response = web.StreamResponse()
        await response.prepare(request)
        seen = int(request.query.get("resourceVersion") or 0)
        ends = asyncio.get_running_loop().time() + float(request.query.get("timeoutSeconds", 60))
        if seen < self._oldest:
            await _line(response, {"type": "ERROR", "object": {"kind": "Status", "code": 410, "reason": "Gone"}})
            return response
        with contextlib.suppress(TimeoutError, ConnectionError):
            async with asyncio.timeout_at(ends):
                while not self.away:
                    for version, change, told in [entry for entry in self._past if entry[0] > seen]:
                        seen = version
                        if told["kind"] == kind and _chosen(told["object"], request.query):
                            await _line(response, {"type": change, "object": told["object"]})
                    async with self._changed:
                        if not self._past or self._past[-1][0] <= seen:
                            await self._changed.wait()
        return response

    def application(self) -> web.Application:
        """Return what serves it."""
        app = web.Application()
        path = "/api/v1/namespaces/{namespace}/{kind}"
        app.router.add_route("*", path, self._serve)
        app.router.add_route("*", path + "/{name}", self._serve)
        return app


@asynccontextmanager
async def running_api() -> AsyncIterator[FakeApi]:
    """Serve a fake API on a free port."""
    api = FakeApi()
    runner = web.AppRunner(api.application(), shutdown_timeout=0.1, handler_cancellation=True)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    api.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    try:
        yield api
    finally:
        await runner.cleanup()


async def _line(response: web.StreamResponse, thing: Object) -> None:
    await response.write(json.dumps(thing).encode() + b"\n")


def _error(status: int, message: str) -> web.Response:
    return web.json_response({"kind": "Status", "code": status, "message": message}, status=status)


def _chosen(thing: Object, query: Any) -> bool:
    labels = thing["metadata"].get("labels") or {}
    wanted = [part.partition("=") for part in query.get("labelSelector", "").split(",") if part]
    if any(name not in labels or (equals and labels[name] != value) for name, equals, value in wanted):
        return False
    involved = thing.get("involvedObject", {})
    fields = [part.partition("=") for part in query.get("fieldSelector", "").split(",") if part]
    return all(involved.get(name.removeprefix("involvedObject.")) == value for name, _, value in fields)


def _merge(thing: Object, change: Object) -> None:
    for key, value in change.items():
        if isinstance(value, dict) and isinstance(thing.get(key), dict):
            _merge(thing[key], value)
        else:
            thing[key] = value


def _now(seconds: float = 0) -> str:
    return (datetime.now(UTC) + timedelta(seconds=seconds)).strftime("%Y-%m-%dT%H:%M:%SZ")
