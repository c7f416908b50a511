"""The API server as plain JSON: what the controllers of the tests need of it."""

from __future__ import annotations

import base64
import json
import logging
import ssl
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Final

import httpx

Thing = dict[str, Any]
Changed = Callable[[dict[str, Thing], list[Thing]], None]  # all by key, and those that are new or other than before
_GONE: Final = 410
_LOOK: Final = 300
_BREATH: Final = 0.3
_log: Final = logging.getLogger(__name__)


class Api:
    """A client by a kubeconfig of the cluster script."""

    def __init__(self, kubeconfig: Path) -> None:
        content = json.loads(kubeconfig.read_text(encoding="utf-8"))
        cluster, user = content["clusters"][0]["cluster"], content["users"][0]["user"]
        context = ssl.create_default_context(cadata=_text(cluster["certificate-authority-data"]))
        with tempfile.NamedTemporaryFile("w", encoding="ascii") as pair:
            pair.write(_text(user["client-certificate-data"]) + _text(user["client-key-data"]))
            pair.flush()
            context.load_cert_chain(pair.name)
        self.http = httpx.Client(base_url=cluster["server"], verify=context, timeout=30, trust_env=False)

    def get(self, path: str) -> Thing:
        """Return an object, or a list of them."""
        return self._asked("GET", path)

    def create(self, path: str, thing: Thing) -> None:
        """Make an object, unless it is there."""
        answer = self.http.post(path, json=thing)
        if answer.status_code != httpx.codes.CONFLICT:
            answer.raise_for_status()

    def patch(self, path: str, change: Thing) -> Thing:
        """Change an object by a merge patch."""
        return self._asked("PATCH", path, json=change, headers={"Content-Type": "application/merge-patch+json"})

    def delete(self, path: str) -> None:
        """Delete an object, unless it is gone."""
        answer = self.http.delete(path)
        if answer.status_code != httpx.codes.NOT_FOUND:
            answer.raise_for_status()

    def ready(self) -> bool:
        """Tell whether the API server says that it is ready."""
        try:
            return self.http.get("/readyz", timeout=2).is_success
        except httpx.TransportError:
            return False

    def follow(self, path: str, changed: Changed) -> None:
        """Keep what a list shows, and tell of each change, for ever: from the start again where the thread is lost."""
        while True:
            try:
                self._follow(path, changed)
            except httpx.HTTPError as error:
                _log.warning("%s: %s", path, error)
                time.sleep(_BREATH)

    def _follow(self, path: str, changed: Changed) -> None:
        listed = self.get(path)
        things = {_key(item): item for item in listed["items"]}
        changed(things, list(things.values()))
        for event in self._events(path, listed["metadata"]["resourceVersion"]):
            thing = event["object"]
            if event["type"] == "ERROR":
                return
            if event["type"] == "DELETED":
                things.pop(_key(thing), None)
                changed(things, [])
            else:
                things[_key(thing)] = thing
                changed(things, [thing])

    def _events(self, path: str, version: str) -> Iterator[Thing]:
        query = {"watch": "1", "resourceVersion": version, "timeoutSeconds": str(_LOOK)}
        with self.http.stream("GET", path, params=query, timeout=_LOOK + 30) as answer:
            if answer.status_code != _GONE:
                answer.raise_for_status()
                yield from map(json.loads, answer.iter_lines())

    def _asked(self, method: str, path: str, **options: Any) -> Thing:
        answer = self.http.request(method, path, **options)
        answer.raise_for_status()
        return dict(answer.json())


def _key(thing: Thing) -> str:
    return "/".join((thing["metadata"].get("namespace", ""), thing["metadata"]["name"]))


def _text(data: str) -> str:
    return base64.b64decode(data).decode("ascii")
