"""Starting the demo's Hub, waiting for it, and ending all that it started."""

from __future__ import annotations

import contextlib
import fcntl
import os
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from jupyterhub_collab.settings import FILE_VARIABLE
from jupyterhub_collab.state import STATE_VARIABLE, StateFolder

from .descendants import adopt_orphans, bury_orphans, end_children
from .errors import DemoError
from .preparation import ACCOUNTS, prepare

LOG: Final = "hub.log"
CHECKOUT: Final = Path(__file__).parents[2]
PASSWORD_VARIABLE: Final = "DEMO_PASSWORD"  # noqa: S105 - the variable's name
_PATIENCE: Final = 180.0
_GRACE: Final = 45.0  # a Hub waits up to 30 s for a service of its own
_LOOK: Final = 0.3
_LAST_LINES: Final = 15
# Asked before, the proxy answers for a Hub that is not there yet, and fills the log with that
_READY: Final = "JupyterHub is now running at"
_HIGHEST_PORT: Final = 65535

WELCOME: Final = """
JupyterHub Collab is ready ({seconds:.0f} s):  {address}

  accounts   {accounts}
  password   {password}   (the same for all)

Try this, with a private window for each account:
  lead       make the project “Atmospheric CO2”, visibility internal; attach noaa-co2; invite editor
  editor     accept under “Needs you”, open the server, read /data/noaa-co2/mlo-weekly.csv
  outsider   find the project in the directory and ask to join
  lead       remove editor while that server runs, and watch it end

Everything is in {state}, the Hub's log too (hub.log). Ctrl-C ends all that runs.
"""


def run(state: StateFolder, port: int) -> None:
    """Run the demo until a signal asks for its end.

    Raises
    ------
    DemoError
        It can't start, or its Hub ended by itself; the message says why.
    """
    started = time.monotonic()
    check_port(port)
    with _only_one(state.prepare()), _end_asked_for() as end:
        password = prepare(state, os.environ.pop(PASSWORD_VARIABLE, ""))
        adopt_orphans()
        hub = _start_hub(state, port)
        try:
            address = f"http://127.0.0.1:{port}/"
            if _wait_for_login(hub, address, end, state):
                seconds = time.monotonic() - started
                _say(_welcome(address, password, state, seconds))
                _wait_for_end(hub, end, state)
        finally:
            _end(hub)


def check_port(port: int) -> None:
    """Check that the demo may listen on a port of the loopback interface.

    Raises
    ------
    DemoError
        Something else listens there, or it is no port.
    """
    if not 0 < port <= _HIGHEST_PORT:
        raise DemoError(f"{port} is no port. Choose one from 1024 to {_HIGHEST_PORT}: PORT=8001 make demo")
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError as error:
            advice = "End what uses it, or choose another one: PORT=8001 make demo"
            raise DemoError(f"Port {port} can't be used ({error.strerror}). {advice}") from error


@contextlib.contextmanager
def _only_one(state: StateFolder) -> Iterator[None]:
    """Hold the state folder's lock.

    Raises
    ------
    DemoError
        Another demo holds it.
    """
    with (state / "lock").open("w", encoding="ascii") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            raise DemoError(
                f"A demo with {state.path} runs already. End it with Ctrl-C, or use its address."
            ) from error
        yield


@contextlib.contextmanager
def _end_asked_for() -> Iterator[threading.Event]:
    """Give an event that is set when a signal asks for the end; Ctrl-C, again and again, does no more than that."""
    end = threading.Event()
    signals = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    before = {number: signal.signal(number, lambda *_: end.set()) for number in signals}
    try:
        yield end
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def configuration() -> Path:
    """Return the configuration file: the checkout's, or the copy in the installed package."""
    in_checkout = CHECKOUT / "jupyterhub_config.py"
    return in_checkout if in_checkout.exists() else Path(__file__).with_name("jupyterhub_config.py")


def _start_hub(state: StateFolder, port: int) -> subprocess.Popen[bytes]:
    """Start the Hub in a session of its own, so that Ctrl-C reaches it through us only; it ends when we are killed."""
    log = state / LOG
    if log.exists():
        log.replace(state / "hub.old.log")
    command = [
        *([setpriv, "--pdeathsig", "TERM", "--"] if (setpriv := shutil.which("setpriv")) else []),
        *(sys.executable, "-m", "jupyterhub", "--config", str(configuration())),
        "--JupyterHub.authenticator_class=collab-demo",
        f"--DemoAuthenticator.accounts_file={state / 'accounts.json'}",
        "--JupyterHub.cleanup_servers=True",
    ]
    places = {STATE_VARIABLE: str(state.path), FILE_VARIABLE: str(state.settings), "PORT": str(port)}
    with os.fdopen(os.open(log, os.O_CREAT | os.O_WRONLY | os.O_APPEND, 0o600), "wb") as output:
        return subprocess.Popen(
            command,
            cwd=state.path,
            env=os.environ | places,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )


def _wait_for_login(hub: subprocess.Popen[bytes], address: str, end: threading.Event, state: StateFolder) -> bool:
    """Wait until the login page answers; return False where the end was asked for before.

    Raises
    ------
    DemoError
        The Hub ended, or takes too long.
    """
    give_up = time.monotonic() + _PATIENCE
    while not end.wait(_LOOK):
        if hub.poll() is not None:
            raise DemoError(f"The Hub ended while it was starting.\n{_last_lines(state)}")
        if _READY in _log(state) and _answers(f"{address}hub/login"):
            return True
        if time.monotonic() > give_up:
            raise DemoError(f"The login page does not answer after {_PATIENCE:.0f} s.\n{_last_lines(state)}")
    return False


def _answers(address: str) -> bool:
    try:
        with urllib.request.urlopen(address, timeout=5) as answer:  # noqa: S310 - http on loopback
            return bool(answer.status == 200)  # noqa: PLR2004 - OK
    except (urllib.error.URLError, TimeoutError, OSError):
        return False


def _wait_for_end(hub: subprocess.Popen[bytes], end: threading.Event, state: StateFolder) -> None:
    """Wait until the end is asked for.

    Raises
    ------
    DemoError
        The Hub ended by itself.
    """
    while not end.wait(_LOOK):
        if hub.poll() is not None:
            raise DemoError(f"The Hub ended.\n{_last_lines(state)}")
        bury_orphans(hub.pid)


def _end(hub: subprocess.Popen[bytes]) -> None:
    """End the Hub, which ends its servers, and then whatever is left."""
    if hub.poll() is None:
        _say("Ending the Hub and all servers …")
        hub.terminate()
        with contextlib.suppress(subprocess.TimeoutExpired):
            hub.wait(_GRACE)
    end_children(grace=5)


def _last_lines(state: StateFolder) -> str:
    lines = _log(state).splitlines()[-_LAST_LINES:]
    return "\n".join([f"The end of {state / LOG}:", *lines])


def _log(state: StateFolder) -> str:
    return (state / LOG).read_text(encoding="utf-8", errors="replace")


def _welcome(address: str, password: str, state: StateFolder, seconds: float) -> str:
    accounts = "  ".join(ACCOUNTS)
    return WELCOME.format(
        address=address, accounts=accounts, password=password, state=state.path, seconds=seconds
    ).strip("\n")


def _say(text: str) -> None:
    print(text, flush=True)  # noqa: T201 - the terminal is where the demo speaks
