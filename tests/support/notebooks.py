"""Notebooks as a person uses them: a kernel of a running server, and the notebook of the main job."""

from __future__ import annotations

import json
import secrets
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self

import nbformat
from nbformat import NotebookNode
from websocket import create_connection

from tests.support.demo import Person

TREND: Final = Path(__file__).parents[1] / "browser" / "trend.ipynb"
_PATIENCE: Final = 90


class Kernel:
    """A kernel in a person's server, started at a folder."""

    def __init__(self, person: Person, server: str = "", folder: str = "") -> None:
        self._person = person
        self._server = server
        answer = person.ask(server, "POST", "api/kernels", json={"name": "python3", "path": folder})
        assert answer.status_code == 201, answer.text
        self._id = answer.json()["id"]
        path = f"{person.server_path(server)}api/kernels/{self._id}/channels"
        address = person.site.address.replace("http", "ws", 1) + path
        self._connection = create_connection(
            address, timeout=_PATIENCE, header={"Authorization": f"token {person.token}"}
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._connection.close()
        if kind is None:
            self._person.ask(self._server, "DELETE", f"api/kernels/{self._id}")

    def execute(self, code: str) -> list[NotebookNode]:
        """Run some code; return its outputs as a notebook keeps them."""
        request = self._send(code)
        outputs = []
        while True:
            said = json.loads(self._connection.recv())
            if said.get("parent_header", {}).get("msg_id") != request:
                continue
            if said["msg_type"] in {"stream", "display_data", "execute_result", "error"}:
                outputs.append(nbformat.v4.output_from_msg(said))  # type: ignore[no-untyped-call]
            elif said["msg_type"] == "status" and said["content"]["execution_state"] == "idle":
                return outputs

    def say(self, code: str) -> str:
        """Run some code; return what it prints, and its error if it has one."""
        return "".join(_text(output) for output in self.execute(code))

    def _send(self, code: str) -> str:
        number = secrets.token_hex(8)
        header = {"msg_id": number, "msg_type": "execute_request", "username": "", "session": number, "version": "5.3"}
        content = {"code": code, "silent": False, "store_history": True, "allow_stdin": False}
        parts = {"header": header, "parent_header": {}, "metadata": {}, "content": content, "channel": "shell"}
        self._connection.send(json.dumps(parts))
        return number


def _text(output: NotebookNode) -> str:
    if output.output_type == "stream":
        return str(output.text)
    if output.output_type == "error":
        return f"{output.ename}: {output.evalue}\n"
    return str(output.data.get("text/plain", "")) + "\n"


def trend() -> NotebookNode:
    """Return the notebook of the main job: it reads the data volume, fits trend and season, and draws the curve."""
    notebook: NotebookNode = nbformat.read(TREND, as_version=4)  # type: ignore[no-untyped-call]
    return notebook


def run_all(kernel: Kernel, notebook: NotebookNode) -> NotebookNode:
    """Run all code cells; return the notebook with their outputs."""
    for cell in notebook.cells:
        if cell.cell_type == "code":
            cell.outputs = kernel.execute(cell.source)
    return notebook


def save(person: Person, server: str, path: str, notebook: NotebookNode) -> Any:
    """Save a notebook as JupyterLab does; return the answer."""
    return person.ask(
        server, "PUT", f"api/contents/{path}", json={"type": "notebook", "format": "json", "content": notebook}
    )
