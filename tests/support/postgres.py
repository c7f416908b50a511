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
    """A server, and the databases that tests make in it."""

    def __init__(self, folder: Path, settings: Mapping[str, str]) -> None:
        self.folder = folder
        self.settings = settings
        self.port = int(settings.get("port", "5432"))
        self.process: subprocess.Popen[bytes] | None = None

    def url(self, database: str) -> str:
        """Return the address of a database, as the settings take it."""
        return f"postgresql+psycopg://collab@/{database}?host={self.folder}&port={self.port}"

    def connect(self, database: str = "postgres") -> psycopg.Connection:
        """Return a connection that commits every statement."""
        return psycopg.connect(host=str(self.folder), port=self.port, user="collab", dbname=database, autocommit=True)

    def make(self, clients: str) -> None:
        """Make the files of an empty server, for the socket and where wanted for a range of addresses."""
        account, data = _account(), self.folder / "data"
        os.chown(self.folder, account.pw_uid, account.pw_gid)
        make = [str(_programs() / "initdb"), "--pgdata", str(data), "--username", "collab", "--auth", "trust"]
        command = _as_account([*make, "--no-sync", "--encoding", "UTF8", "--locale", "C.UTF-8"])
        subprocess.run(command, check=True, cwd=self.folder, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
        if clients:
            with (data / "pg_hba.conf").open("a", encoding="ascii") as rules:
                rules.write(f"host all all {clients} trust\n")

    def start(self) -> None:
        """Start the server, and wait until it answers."""
        options = [part for name, value in self.settings.items() for part in ("-c", f"{name}={value}")]
        run = [str(_programs() / "postgres"), "-D", str(self.folder / "data"), "-k", str(self.folder), *options]
        with (self.folder / "log").open("ab") as log:
            self.process = subprocess.Popen(
                _as_account(run), cwd=self.folder, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=log
            )
        self.wait(self.process)

    def stop(self) -> None:
        """End the server and all that use it, if it runs."""
        if self.process is not None:
            self.process.send_signal(signal.SIGINT)  # "fast": ends sessions and then itself
            try:
                self.process.wait(_PATIENCE)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
            self.process = None

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


@contextmanager
def running_cluster(*, clients: str = "", **settings: str) -> Iterator[PostgresCluster]:
    """Run a PostgreSQL until the end of the block, with some of its settings as wanted.

    It listens on a Unix socket; for ``clients``, a range of addresses, also where ``listen_addresses`` says.
    """
    folder = Path(tempfile.mkdtemp(prefix="collab-pg-"))
    cluster = PostgresCluster(folder, _OPTIONS | settings)
    try:
        cluster.make(clients)
        cluster.start()
        yield cluster
    finally:
        cluster.stop()
        shutil.rmtree(folder)
