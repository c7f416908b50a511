"""Servers on one machine, each in a bubblewrap sandbox of its own."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from jupyterhub.httpclient import fetch
from jupyterhub.spawner import Spawner, SpawnException
from jupyterhub.utils import url_path_join
from traitlets import Enum, Float, Int, List, Unicode, default

from . import cgroups, core, folders, host, launching, logs, processes, singleuser, unsandboxed
from .builders import bubblewrap
from .enforcement import Enforcement
from .errors import (
    DiedAtStartError,
    MissingEnvironmentError,
    MissingVolumeError,
    NoNetworkError,
    NoSandboxError,
    SandboxUnavailableError,
    TakenAwayError,
)
from .housekeeping import Folders, Housekeeping
from .planned import PlannedSpawner, refusal
from .records import Record, ServerFolder, default_folder, prepare_folder
from .strays import KILL_PATIENCE, RecordedStrays

if TYPE_CHECKING:
    import subprocess

    from jupyterhub_collab.servers.models import ServerPlan

    from .launching import Descriptors
    from .processes import Init
    from .singleuser import Place

_LAUNCHER: Final = Path(__file__).with_name("launch.py")
_TOLD_OF_LOG: Final = 4000  # bytes


class CollabSandboxSpawner(PlannedSpawner, Spawner):
    """Starts each server in a sandbox that shows what the plan grants and nothing else.

    JupyterHub's own local spawner starts a process with the person's account of the machine. Here persons need no
    account: all servers run as one unprivileged account, and namespaces keep them apart. The server listens on a Unix
    socket that the Hub has made, waits for the Hub's word before it runs, and outlives the Hub: the next Hub knows it
    by its init (`processes`), from its database or from a record beside the socket (`records`).

    It rests on: ``start()`` may return an ``http+unix`` address, to which the Hub adds ``:80``; ``get_env``,
    ``get_args``, ``Spawner.hub_connect_url``; ``User.stop`` polls before and clears the state after; and on the calls
    that `Enforcement` names.
    """

    isolation = Enum(
        ("sandbox", "none"),
        default_value="sandbox",
        config=True,
        help="""What keeps servers apart: `sandbox` (bubblewrap) or `none`.

        With `none` every server can read and change the files of every other. It is there for trying things on a
        machine that has no bubblewrap, must be written by hand, and is shown on every page.
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
        help="""The folder for the servers' logs, for operators. Empty: `server-logs` in the folder of the volumes.""",
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
        help="""Absolute paths of folders that every server sees at the same path, read-only: `/opt/software`.""",
    )
    module = Unicode(
        "jupyterhub.singleuser",
        config=True,
        help="""The Python module that is the server. It takes the place of `Spawner.cmd`, which is not used.""",
    )

    housekeeping_interval = Float(
        300.0,
        min=1,
        config=True,
        help="""Seconds between two rounds that measure project folders and remove those of deleted projects.""",
    )

    init: Init | None = None
    _process: subprocess.Popen[bytes] | None = None
    _control_groups: tuple[str, ...] = ()
    _taken_away = False
    _halted = False

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        with contextlib.suppress(RuntimeError):  # no loop runs: a tool only wants a spawner's configuration
            Housekeeping.begin(asyncio.get_running_loop(), Folders(self.storage), self.housekeeping_interval)

    @default("poll_interval")
    def _soon(self) -> int:
        return 5  # a look at /proc costs nothing, and a page should not show for long what has ended

    @default("env_keep")
    def _only_language(self) -> list[str]:
        return ["LANG", "LC_ALL"]

    @property
    def storage(self) -> Path:
        """The folder that holds the volumes."""
        return core.settings().storage.root.resolve()

    @property
    def runtime(self) -> Path:
        """The folder for sockets and records."""
        return Path(self.runtime_dir) if self.runtime_dir else default_folder(self.storage)

    @property
    def folder(self) -> ServerFolder:
        """The folder of this server in it."""
        return ServerFolder(self.runtime, self.user.name, self.name)

    @property
    def log_path(self) -> Path:
        """Where the server's output goes."""
        return Path(self.log_dir or self.storage / "server-logs") / f"{self.folder.path.name}.log"

    async def start(self) -> str:
        """Start the server with the plan that the core grants now; return its address once it answers.

        Raises
        ------
        SpawnException
            The plan is refused, this machine can't follow it, or the server ended before it answered.
        """
        self._taken_away = self._halted = False
        await self.strays().end(self.user.name, self.name)
        plan = await self.granted()
        try:
            await self._launch(plan)
            await self._answering()
        except SandboxUnavailableError as error:
            self.log.error("%s can't start: %s", self._log_name, error)  # noqa: TRY400 - the sentence says it all
            await self.stop(now=True)
            raise refusal(NoSandboxError()) from None
        except BaseException:
            await self.stop(now=True)
            raise
        return singleuser.socket_url(self.folder.socket_path)

    async def stop(self, now: bool = False) -> None:  # noqa: FBT001, FBT002 - the signature is JupyterHub's
        """Stop the server; when this returns its sandbox's init is gone.

        Raises
        ------
        RuntimeError
            It is still there after a kill.
        """
        self._halted = True
        init = self.init
        if init is not None:
            if not now:
                processes.ask_to_end(init, inside=self.isolation == "sandbox")
                await processes.ended(init, self.stop_grace)
            processes.send(init, signal.SIGKILL)
            if not await processes.ended(init, KILL_PATIENCE):
                msg = f"The sandbox of {self._log_name} outlived a kill of process {init.pid}"
                raise RuntimeError(msg)
        await self._put_away()

    async def poll(self) -> int | None:
        """Return none while the server runs, else a number; never before enforcement has looked once."""
        await Enforcement.first_look()
        if self.init is None:
            await self.strays().end(self.user.name, self.name)
            Enforcement.reckon_soon()  # a Hub that was killed may have left a grant
            return 0
        if processes.alive(self.init):
            self._bound_log()
            return None
        await self._put_away()
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

    async def take_away(self) -> None:
        """End the server at once because it holds more than is allowed now."""
        self._taken_away = True
        await self.stop(now=True)

    def strays(self) -> RecordedStrays:
        """Return how sandboxes are found that no spawner stands for."""
        return RecordedStrays(self.runtime)

    async def _launch(self, plan: ServerPlan) -> None:
        """Start the sandbox, put it on record, and only then let the server run."""
        python = host.python_of(plan.environment.python)
        if python is None:
            raise refusal(MissingEnvironmentError(plan.environment_name))
        account = self._prepare(plan)
        place = self._place(plan, python)
        self.folder.prepare(place.home)
        command = self._command(plan, place, account)
        sandboxed = self.isolation == "sandbox"
        try:
            async with launching.waiting(command, self.folder.listen(), self.log_path, sandboxed=sandboxed) as waiting:
                self.init, self._process = waiting.init, waiting.process
                if self._halted:  # before there was a process to stop
                    raise self._died()
                await self._confine(plan, waiting.init)
                self._write_record(waiting.init)
                await waiting.let_run(self._environment(plan, place))
        except (ProcessLookupError, BrokenPipeError):
            raise self._died() from None

    def _prepare(self, plan: ServerPlan) -> bubblewrap.Account | None:
        """Make the folders that the server shows; return the account that owns them."""
        prepare_folder(self.runtime)
        if plan.environment.network == "none" and singleuser.hub_socket(self.hub.url) is None:
            raise refusal(NoNetworkError(plan.environment_name))
        account = host.unprivileged_account(self.account)
        try:
            folders.prepare(plan.mounts, self.storage, account)
        except MissingVolumeError as error:
            raise refusal(error) from None
        if self.isolation == "none":
            unsandboxed.refuse_root()
            unsandboxed.link(plan.mounts, self.storage)
        else:
            home = Path(bubblewrap.source(plan.mounts[0], self.storage))
            folders.clear_mount_points(home, bubblewrap.mount_points(plan.mounts))
        return account

    def _place(self, plan: ServerPlan, python: Path) -> Place:
        if self.isolation == "none":
            home = bubblewrap.source(plan.mounts[0], self.storage)
            return singleuser.Place(home=home, python=python, runtime=f"/tmp/jupyter-{self.folder.path.name}")  # noqa: S108
        home = bubblewrap.home_path(plan.person, host.environment_folders(python))
        return singleuser.Place(home=home, python=python, runtime="/tmp/jupyter")  # noqa: S108 - in the sandbox

    def _command(self, plan: ServerPlan, place: Place, account: bubblewrap.Account | None) -> Any:
        """Return the function from the inherited descriptors to the command line."""
        shown = singleuser.first_environment(place, os.environ.get("LANG", "C.UTF-8"))
        tail = [self.module, *singleuser.arguments(plan), *self.get_args()]
        setpriv = host.program("setpriv") if account else ""

        def bare(given: Descriptors) -> list[str]:
            program = [str(place.python), "-s", str(_LAUNCHER), str(given.word), str(given.socket), *tail]
            return unsandboxed.command(program, shown)

        if self.isolation == "none":
            return bare
        facts = self._facts(place, account, setpriv)

        def enclosed(given: Descriptors) -> list[str]:
            program = [str(place.python), "-s", bubblewrap.LAUNCHER, str(given.word), str(given.socket), *tail]
            return bubblewrap.command(plan, facts, program=program, environment=shown, info=given.info)

        return enclosed

    def _facts(self, place: Place, account: bubblewrap.Account | None, setpriv: str) -> bubblewrap.HostFacts:
        hub = singleuser.hub_socket(self.hub.url)
        return bubblewrap.HostFacts(
            bwrap=host.program("bwrap"),
            setpriv=setpriv,
            drop_to=account,
            system=host.system_folders(),
            configuration=host.system_configuration(),
            environment=host.environment_folders(place.python),
            extra=tuple(self.extra_read_only),
            launcher=str(_LAUNCHER),
            own_etc=str(self.folder.etc),
            hub_directory=str(hub.parent) if hub else None,
            home=place.home,
            storage=self.storage,
        )

    async def _confine(self, plan: ServerPlan, init: Init) -> None:
        """Put the sandbox into control groups.

        Its program waits, so nothing of it runs outside them; but it must be there to be put in: one that the init
        starts while both are moved would stay outside.
        """
        groups = cgroups.find(self.runtime.name)
        self._control_groups = groups.make(self.folder.path.name, plan.resource_class)
        if self._control_groups:
            inside = await processes.first_children(init) if self.isolation == "sandbox" else []
            cgroups.add(self._control_groups, init.pid, *inside)

    def _write_record(self, init: Init) -> None:
        record = Record(person=self.user.name, server_name=self.name, init=init, control_groups=self._control_groups)
        self.folder.write(record)

    def _environment(self, plan: ServerPlan, place: Place) -> dict[str, str]:
        self.mem_limit, self.cpu_limit = int(plan.resource_class.memory), float(plan.resource_class.cpu)
        if self.isolation == "sandbox":
            self.hub_connect_url = singleuser.hub_url_inside(self.hub.url)
        from_hub = {key: str(value) for key, value in self.get_env().items()}
        return singleuser.environment(plan, place, self.server.base_url, from_hub)

    async def _answering(self) -> None:
        """Wait until the server answers; refuse where it ends before."""
        if self.init is None:
            raise self._died()
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
        url = url_path_join(singleuser.socket_url(self.folder.socket_path), self.server.base_url, "api")
        response = await fetch(url, raise_for_status=False, allow_redirects=False)
        response.release()

    def _died(self) -> SpawnException:
        if self._taken_away:
            return refusal(TakenAwayError())
        tail = ""
        with contextlib.suppress(OSError):
            tail = logs.end_of(self.log_path, _TOLD_OF_LOG).decode(errors="replace")
        self.log.error("%s ended while starting. The end of its log %s:\n%s", self._log_name, self.log_path, tail)
        return refusal(DiedAtStartError())

    async def _put_away(self) -> None:
        """Put everything away of a server that is gone."""
        if self._process is not None:
            await asyncio.to_thread(self._process.wait)
            self._process = None
        await cgroups.remove(self._control_groups)
        self.folder.remove()
        self.init, self._control_groups = None, ()
        await self.report_end()

    def _bound_log(self) -> None:
        with contextlib.suppress(OSError):
            logs.bound(self.log_path, self.log_bytes)
