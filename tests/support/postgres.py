"""A PostgreSQL of the tests' own: made when the first test asks for it, gone when the run ends, however it ends.

It listens on a Unix socket in a folder of its own, forgets to flush to the disk, and runs under an account that is not
root, since PostgreSQL refuses to be run by root.
"""

from __future__ import annotations

import contextlib
import os
import pwd
import secrets
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import psycopg
from psycopg import sql

ACCOUNTS: Final = ("postgres", "nobody")
_OPTIONS: Final = {
    "fsync": "off",
    "synchronous_commit": "off",
    "full_page_writes": "off",
    "shared_buffers": "64MB",
    "max_connections": "100",
    "listen_addresses": "",
    "deadlock_timeout": "100ms",
    "log_min_messages": "fatal",
}
_PATIENCE: Final = 20


def _programs() -> Path:
    """Return the folder of PostgreSQL's server programs, the newest where there are several."""
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"), key=lambda path: int(path.parts[-3]))
    if found:
        return found[-1].parent
    there = shutil.which("initdb")
    if there is None:
        msg = "PostgreSQL's initdb is missing. Install the package postgresql."
        raise RuntimeError(msg)
    return Path(there).resolve().parent


def _account() -> pwd.struct_passwd:
    if os.geteuid() != 0:
        return pwd.getpwuid(os.geteuid())
    for name in ACCOUNTS:
        with contextlib.suppress(KeyError):
            return pwd.getpwnam(name)
    msg = f"None of the accounts {', '.join(ACCOUNTS)} exists, and root may not run PostgreSQL."
    raise RuntimeError(msg)


def _as_account(command: list[str]) -> list[str]:
    """Return a command run as the account, which ends when this process does."""
    account = _account()
    prefix = ["setpriv", "--pdeathsig", "INT"]
    if os.geteuid() == 0:
        prefix += ["--reuid", str(account.pw_uid), "--regid", str(account.pw_gid), "--clear-groups"]
    return [*prefix, *command]


class PostgresCluster:
    """A running server, and the databases that tests make in it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def url(self, database: str) -> str:
        """Return the address of a database, as the settings take it."""
        return f"postgresql+psycopg://collab@/{database}?host={self.folder}"

    def connect(self, database: str = "postgres") -> psycopg.Connection:
        """Return a connection that commits every statement."""
        return psycopg.connect(host=str(self.folder), user="collab", dbname=database, autocommit=True)

    def create(self) -> str:
        """Make an empty database; return its name."""
        name = f"test_{secrets.token_hex(6)}"
        with self.connect() as connection:
            connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
        return name

    def drop(self, database: str) -> None:
        """Remove a database, whoever is still connected."""
        with self.connect() as connection:
            connection.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(database)))

    @contextmanager
    def database(self) -> Iterator[str]:
        """Lend the address of an empty database."""
        name = self.create()
        try:
            yield self.url(name)
        finally:
            self.drop(name)

    def wait(self, process: subprocess.Popen[bytes]) -> None:
        """Return when the server answers.

        Raises
        ------
        RuntimeError
            It ended, or does not answer in time; with its log.
        """
        end = time.monotonic() + _PATIENCE
        while process.poll() is None and time.monotonic() < end:
            with contextlib.suppress(psycopg.OperationalError):
                self.connect().close()
                return
            time.sleep(0.05)
        msg = f"PostgreSQL did not start:\n{(self.folder / 'log').read_text(encoding='utf-8')}"
        raise RuntimeError(msg)


def _start(folder: Path, settings: Mapping[str, str], clients: str) -> subprocess.Popen[bytes]:
    programs, data = _programs(), folder / "data"
    account = _account()
    os.chown(folder, account.pw_uid, account.pw_gid)
    quiet = {"cwd": folder, "stdin": subprocess.DEVNULL, "stdout": subprocess.DEVNULL}
    make = [str(programs / "initdb"), "--pgdata", str(data), "--username", "collab", "--auth", "trust", "--no-sync"]
    subprocess.run(_as_account([*make, "--encoding", "UTF8", "--locale", "C.UTF-8"]), check=True, **quiet)  # type: ignore[call-overload]
    if clients:
        with (data / "pg_hba.conf").open("a", encoding="ascii") as rules:
            rules.write(f"host all all {clients} trust\n")
    options = [part for name, value in settings.items() for part in ("-c", f"{name}={value}")]
    run = [str(programs / "postgres"), "-D", str(data), "-k", str(folder), *options]
    with (folder / "log").open("wb") as log:
        return subprocess.Popen(_as_account(run), stderr=log, **quiet)  # type: ignore[call-overload, no-any-return]


@contextmanager
def running_cluster(*, clients: str = "", **settings: str) -> Iterator[PostgresCluster]:
    """Run a PostgreSQL until the end of the block, with some of its settings as wanted.

    It listens on a Unix socket; for ``clients``, a range of addresses, also where ``listen_addresses`` says.
    """
    folder = Path(tempfile.mkdtemp(prefix="collab-pg-"))
    process = None
    try:
        process = _start(folder, _OPTIONS | settings, clients)
        cluster = PostgresCluster(folder)
        cluster.wait(process)
        yield cluster
    finally:
        if process is not None:
            process.send_signal(signal.SIGINT)  # "fast": ends sessions and then itself
            try:
                process.wait(_PATIENCE)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        shutil.rmtree(folder)
