"""Servers on one machine, each in a bubblewrap sandbox of its own."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import quote, unquote, urlparse

from jupyterhub.httpclient import fetch
from jupyterhub.spawner import Spawner
from jupyterhub.utils import url_path_join
from traitlets import Float, Int, List, Unicode, default
from traitlets import Enum as EnumTrait

from . import cgroups, core, folders, host, processes
from .builders import bubblewrap
from .enforcement import Enforcement
from .errors import DiedAtStartError, MissingEnvironmentError, NoNetworkError, TakenAwayError
from .planned import PlannedSpawner, refusal
from .records import Record, ServerFolder, account_name, all_records, default_folder, prepare_folder

if TYPE_CHECKING:
    import socket

    from jupyterhub_collab.servers.models import ServerPlan

    from .processes import Init

_LAUNCHER: Final = Path(__file__).with_name("launch.py")
_SERVER_SOCKET: Final = "/run/server.sock"  # a name for jupyter_server; the socket itself comes from the Hub
_KILL_PATIENCE: Final = 10.0
_KEPT_VARIABLES: Final = ("LANG", "LC_ALL")


class CollabSandboxSpawner(PlannedSpawner, Spawner):
    """Starts each server in a sandbox that shows what the plan grants and nothing else.

    JupyterHub's own local spawner starts a process with the person's account of the machine. Here persons need no
    account: all servers run as one unprivileged account, and namespaces keep them apart. The server listens on a Unix
    socket that the Hub has made, waits for the Hub's word before it runs, and outlives the Hub: the next Hub knows it by
    its init (`processes`), from its database or from a record beside the socket (`records`).

    It rests on: ``start()`` may return an ``http+unix`` address; ``get_env``, ``get_args``, ``Spawner.hub_connect_url``;
    ``User.stop`` polls before and clears the state after.
    """

    isolation = EnumTrait(
        ("sandbox", "none"),
        default_value="sandbox",
        config=True,
        help="""What keeps servers apart: `sandbox` (bubblewrap) or `none`.

        With `none` every server can read every file of every other. It is there for trying things on a machine that has
        no bubblewrap, must be written by hand, and is shown on every page.
        """,
    )
    account = Unicode(
        "",
        config=True,
        help="""The account of this machine that servers run as where the Hub runs as root.

        Empty: `jupyterhub-collab` if there is one, else `nobody`. It owns the files in all volumes. A Hub that is not
        root runs servers as its own account.
        """,
    )
    runtime_dir = Unicode(
        "",
        config=True,
        help="""The folder for sockets and for the records of running servers; short and in lower case.

        Empty: below `/run` for root, below `$XDG_RUNTIME_DIR` or `/tmp` else, with a name that follows from the folder
        of the volumes.
        """,
    )
    log_dir = Unicode(
        "",
        config=True,
        help="""The folder for the servers' logs, for the operator. Empty: `server-logs` in the folder of the volumes.""",
    )
    log_bytes = Int(
        5_000_000,
        min=10_000,
        config=True,
        help="""Bytes after which a server's log is begun anew; one older part is kept.""",
    )
    stop_grace = Float(
        5.0,
        min=0,
        config=True,
        help="""Seconds in which a server may end by itself when its person stops it; then it is killed.""",
    )
    extra_read_only = List(
        Unicode(),
        config=True,
        help="""Absolute paths of folders that every server sees at the same path, read-only, such as `/opt/software`.""",
    )
    module = Unicode(
        "jupyterhub.singleuser",
        config=True,
        help="""The Python module that is the server. It takes the place of `Spawner.cmd`, which is not used.""",
    )

    init: Init | None = None
    _process: subprocess.Popen[bytes] | None = None
    _control_groups: tuple[str, ...] = ()
    _stopped_by_enforcement = False

    @default("env_keep")
    def _only_language(self) -> list[str]:
        return list(_KEPT_VARIABLES)

    @property
    def storage(self) -> Path:
        """The folder that holds the volumes."""
        return core.settings().storage.root

    @property
    def runtime(self) -> Path:
        """The folder for sockets and records."""
        return Path(self.runtime_dir) if self.runtime_dir else default_folder(self.storage)

    @property
    def folder(self) -> ServerFolder:
        """This server's folder in it."""
        return ServerFolder(self.runtime, self.user.name, self.name)

    @property
    def log_path(self) -> Path:
        """Where the server's output goes."""
        return Path(self.log_dir or self.storage / "server-logs") / f"{self.folder.path.name}.log"

    # What JupyterHub calls

    async def start(self) -> str:
        """Start the server with the plan that the core grants now; return its address once it answers.

        Raises
        ------
        SpawnException
            The plan is refused, or the server ended before it answered.
        """
        self._stopped_by_enforcement = False
        await self._end_left_over()
        plan = await self.granted()
        try:
            await self._launch(plan)
            await self._answering()
        except BaseException:
            await self.stop(now=True)
            raise
        return self._address

    async def stop(self, now: bool = False) -> None:  # noqa: FBT001, FBT002 - the signature is JupyterHub's
        """Stop the server; when this returns its sandbox's init is gone.

        Raises
        ------
        RuntimeError
            It is still there after a kill.
        """
        if self.init is not None and not now:
            processes.ask_to_end(self.init)
            await processes.ended(self.init, self.stop_grace)
        if self.init is not None:
            processes.send(self.init, signal.SIGKILL)
            if not await processes.ended(self.init, _KILL_PATIENCE):
                msg = f"The sandbox of {self._log_name} outlived a kill of process {self.init.pid}"
                raise RuntimeError(msg)
        await self._forget()

    async def poll(self) -> int | None:
        """Return nothing while the server runs, else a number; before the first answer, enforcement has looked once."""
        await Enforcement.first_look()
        if self.init is None:
            await self._end_left_over()
            return 0
        if processes.alive(self.init):
            self._bound_log()
            return None
        await self._forget()
        return 1

    def get_state(self) -> dict[str, Any]:
        """Return what the Hub keeps of this server in its database."""
        state = super().get_state()
        if self.init is not None:
            state |= {"init": self.init.as_dict(), "control_groups": list(self._control_groups)}
        return state

    def load_state(self, state: dict[str, Any]) -> None:
        """Take up what the Hub kept."""
        super().load_state(state)
        self.init = processes.Init.from_dict(state.get("init"))
        self._control_groups = tuple(state.get("control_groups", ()))

    def clear_state(self) -> None:
        """Forget what was kept."""
        super().clear_state()
        self.init = None
        self._control_groups = ()

    def get_env(self) -> dict[str, str]:
        """Return the server's environment: what JupyterHub sets, and nothing of the Hub's own but the language."""
        self.hub_connect_url = self._hub_url()
        return {key: str(value) for key, value in super().get_env().items()}

    # What enforcement calls

    async def take_away(self) -> None:
        """End the server at once because it holds more than is allowed now."""
        self._stopped_by_enforcement = True
        await self.stop(now=True)

    async def end_stray(self, person: str, server_name: str) -> bool:
        """End a sandbox that is on record but that no spawner stands for."""
        folder = ServerFolder(self.runtime, person, server_name)
        record = folder.read()
        if record is not None and not await self._ended(record):
            return False
        folder.remove()
        return True

    async def end_strays(self, claimed: set[tuple[str, str]]) -> None:
        """End all sandboxes on record that no spawner stands for."""
        for record in all_records(self.runtime):
            if (record.person, record.server_name) not in claimed:
                await self.end_stray(record.person, record.server_name)

    # Starting

    async def _launch(self, plan: ServerPlan) -> None:
        """Start the sandbox, put it on record, and only then let the server run."""
        python = host.python_of(plan.environment.python)
        if python is None:
            raise refusal(MissingEnvironmentError(plan.environment_name))
        if plan.environment.network == "none" and self._hub_directory() is None:
            raise refusal(NoNetworkError(plan.environment_name))
        self.mem_limit, self.cpu_limit = int(plan.resource_class.memory), float(plan.resource_class.cpu)
        facts = self._prepare(plan, python)
        with contextlib.ExitStack() as stack:
            listening = stack.enter_context(self.folder.listen())
            word = await self._start_process(plan, python, facts, listening)
        with word:
            self._confine(plan)
            self.folder.write(
                Record(
                    person=self.user.name,
                    server_name=self.name,
                    init=self.init,
                    control_groups=self._control_groups,
                )
            )
            environment = self._environment(plan, python, facts.home)
            await asyncio.to_thread(word.write, json.dumps(environment).encode() + b"\n")

    def _prepare(self, plan: ServerPlan, python: Path) -> bubblewrap.HostFacts:
        """Make the folders that the sandbox shows; return the facts that its command follows from."""
        prepare_folder(self.runtime)
        account = host.unprivileged_account(self.account)
        folders.prepare(plan.mounts, self.storage, account)
        folders.clear_mount_points(Path(bubblewrap.source(plan.mounts[0], self.storage)), bubblewrap.mount_points(plan.mounts))
        environment = host.environment_folders(python)
        home = bubblewrap.home_path(plan.person, environment)
        self.folder.prepare(home)
        return bubblewrap.HostFacts(
            bwrap=host.program("bwrap"),
            setpriv=host.program("setpriv") if account else "",
            drop_to=account,
            system=host.system_folders(),
            configuration=host.system_configuration(),
            environment=environment,
            extra=tuple(self.extra_read_only),
            launcher=str(_LAUNCHER),
            own_etc=str(self.folder.etc),
            hub_directory=self._hub_directory(),
            home=home,
            storage=self.storage,
        )

    async def _start_process(
        self, plan: ServerPlan, python: Path, facts: bubblewrap.HostFacts, listening: socket.socket
    ) -> Any:
        """Start bubblewrap and learn the sandbox's init; return the pipe for the word that lets the server run."""
        word_read, word_write = os.pipe()
        info_read, info_write = os.pipe()
        word = os.fdopen(word_write, "wb")
        try:
            program = [
                str(python),
                bubblewrap.LAUNCHER,
                str(word_read),
                str(listening.fileno()),
                self.module,
                *self._arguments(plan),
            ]
            shown = {"HOME": facts.home, "LANG": os.environ.get("LANG", "C.UTF-8"), "PATH": self._path(python)}
            command = bubblewrap.command(plan, facts, program=program, environment=shown, info=info_write)
            self._process = self._run(command, (word_read, info_write, listening.fileno()))
        except BaseException:
            word.close()
            os.close(info_read)
            raise
        finally:
            os.close(word_read)
            os.close(info_write)
        pid = await processes.read_child_pid(info_read)
        try:
            self.init = processes.identify(pid) if pid is not None else None
        except ProcessLookupError:
            self.init = None
        if self.init is None:
            word.close()
            raise self._died()
        return word

    def _run(self, command: list[str], descriptors: tuple[int, ...]) -> subprocess.Popen[bytes]:
        self.log_path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        with self.log_path.open("ab") as log:
            log.truncate(0)
            return subprocess.Popen(  # noqa: S603 - the command is built here, from paths and names that are checked
                command,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env={"PATH": os.defpath},
                cwd="/",
                pass_fds=descriptors,
                start_new_session=True,
            )

    def _confine(self, plan: ServerPlan) -> None:
        """Put the sandbox into control groups; its program waits, so nothing of it runs outside them."""
        assert self.init is not None  # noqa: S101 - for the type checker
        groups = cgroups.find(self.runtime.name)
        self._control_groups = groups.make(self.folder.path.name, plan.resource_class)
        for pid in (self.init.pid, *processes.children(self.init.pid)):
            cgroups.add(self._control_groups, pid)

    async def _answering(self) -> None:
        """Wait until the server answers; refuse where it ends before."""
        assert self.init is not None  # noqa: S101 - for the type checker
        answer = asyncio.ensure_future(self._first_answer())
        end = asyncio.ensure_future(processes.ended(self.init))
        try:
            await asyncio.wait({answer, end}, return_when=asyncio.FIRST_COMPLETED)
            if end.done() or answer.exception() is not None:
                raise self._died()
        finally:
            answer.cancel()
            end.cancel()

    async def _first_answer(self) -> None:
        """Ask the server for its version: the socket listens already, so the answer comes when the server is ready."""
        url = url_path_join(self._address, self.server.base_url, "api")
        response = await fetch(url, raise_for_status=False, allow_redirects=False)
        response.release()

    def _died(self) -> Exception:
        if self._stopped_by_enforcement:
            return refusal(TakenAwayError())
        self.log.error("%s ended while it was starting. The end of its log %s:\n%s", self._log_name, self.log_path, self._tail())
        return refusal(DiedAtStartError())

    def _tail(self) -> str:
        with contextlib.suppress(OSError):
            return self.log_path.read_bytes()[-4000:].decode(errors="replace")
        return ""

    # Addresses, arguments, environment

    @property
    def _address(self) -> str:
        return f"http+unix://{quote(str(self.folder.socket_path), safe='')}"

    def _hub_directory(self) -> str | None:
        address = urlparse(self.hub.url)
        return str(Path(unquote(address.netloc)).parent) if address.scheme == "http+unix" else None

    def _hub_url(self) -> str | None:
        """Return the Hub's address as the server sees it; none where it is what the Hub says itself."""
        address = urlparse(self.hub.url)
        if address.scheme != "http+unix":
            return None
        seen = f"{bubblewrap.HUB_DIRECTORY}/{Path(unquote(address.netloc)).name}"
        return f"http+unix://{quote(seen, safe='')}"

    def _arguments(self, plan: ServerPlan) -> list[str]:
        own = [f"--ServerApp.sock={_SERVER_SOCKET}", "--KernelManager.transport=ipc"]
        opens = plan.working_directory.removeprefix("~").strip("/")
        return [*own, *([f"--FileContentsManager.preferred_dir={opens}"] if opens else []), *self.get_args()]

    def _environment(self, plan: ServerPlan, python: Path, home: str) -> dict[str, str]:
        opens = plan.working_directory.removeprefix("~").strip("/")
        mine = {
            "HOME": home,
            "JUPYTERHUB_ROOT_DIR": home,
            "JUPYTERHUB_SERVICE_URL": f"http+unix://{quote(_SERVER_SOCKET, safe='')}{self.server.base_url}",
            "JUPYTER_RUNTIME_DIR": "/tmp/jupyter",  # noqa: S108 - in the sandbox, and short: sockets of kernels lie there
            "PATH": self._path(python),
            "SHELL": "/bin/bash",
            "USER": "jupyter",
        }
        proposed = {"JUPYTERHUB_DEFAULT_URL": f"/lab/tree/{quote(opens)}" if opens else "/lab"}
        return proposed | self.get_env() | mine

    def _path(self, python: Path) -> str:
        return f"{python.parent}:/usr/local/bin:/usr/bin:/bin"

    # Ending

    async def _end_left_over(self) -> None:
        """End what an earlier Hub started under this name and could not put into its database."""
        await self.end_stray(self.user.name, self.name)

    async def _ended(self, record: Record) -> bool:
        processes.send(record.init, signal.SIGKILL)
        gone = await processes.ended(record.init, _KILL_PATIENCE)
        if gone:
            cgroups.remove(record.control_groups)
        return gone

    async def _forget(self) -> None:
        """Put everything of a server away that is gone."""
        if self._process is not None:
            await asyncio.to_thread(self._process.wait)
            self._process = None
        cgroups.remove(self._control_groups)
        self.folder.remove()
        self.init, self._control_groups = None, ()
        await self.report_end()

    def _bound_log(self) -> None:
        with contextlib.suppress(OSError):
            if self.log_path.stat().st_size > self.log_bytes:
                kept = self.log_path.read_bytes()[-self.log_bytes :]
                self.log_path.with_suffix(".old.log").write_bytes(kept)
                os.truncate(self.log_path, 0)
