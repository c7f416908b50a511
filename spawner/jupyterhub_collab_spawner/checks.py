"""Which promises hold on this machine. `doctor`, the operator's page and `jupyterhub_config.py` ask here."""

from __future__ import annotations

import os
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from . import cgroups, host, unsandboxed
from .errors import SandboxUnavailableError

if TYPE_CHECKING:
    from .builders.bubblewrap import Account

_SECONDS: Final = 10
_SAID: Final = {"pids": "process"}
_OLDEST_NODE: Final = 20
_SANDBOX: Final = (
    *("--unshare-user", "--unshare-pid", "--unshare-ipc", "--unshare-uts", "--unshare-net", "--disable-userns"),
    *("--bind", "/", "/", "--proc", "/proc", "--dev", "/dev", "--new-session", "--"),
)
_APPARMOR: Final = (
    "AppArmor restricts user namespaces: give /usr/bin/bwrap a profile with the rule “userns,”"
    " (https://ubuntu.com/blog/ubuntu-23-10-restricted-unprivileged-user-namespaces)"
)
_CLONE: Final = "The kernel forbids user namespaces: run sysctl -w kernel.unprivileged_userns_clone=1"
_NONE_LEFT: Final = "The kernel allows no user namespace: run sysctl -w user.max_user_namespaces=15000"
# Where it is said that user namespaces are forbidden, by which value, and how they are allowed
_CAUSES: Final = (
    ("/proc/sys/kernel/apparmor_restrict_unprivileged_userns", "1", _APPARMOR),
    ("/proc/sys/kernel/unprivileged_userns_clone", "0", _CLONE),
    ("/proc/sys/user/max_user_namespaces", "0", _NONE_LEFT),
)


@dataclass(frozen=True, kw_only=True, slots=True)
class Check:
    """One promise: whether it holds here, and the sentence that says so or names the fix."""

    name: str
    ok: bool
    sentence: str


def sandbox(account: str = "", isolation: str = "sandbox") -> Check:
    """Check by starting one that servers can be kept apart."""
    if isolation == "none":
        return Check(
            name="sandbox", ok=False, sentence="Off by configuration: every server can read every other's files."
        )
    try:
        _try_sandbox(host.unprivileged_account(account))
    except SandboxUnavailableError as error:
        return Check(name="sandbox", ok=False, sentence=str(error))
    return Check(name="sandbox", ok=True, sentence="Each server runs in a bubblewrap sandbox of its own.")


def require_sandbox(account: str = "", isolation: str = "sandbox") -> None:
    """Refuse to go on where servers can't be kept apart, unless that is what the configuration says.

    Raises
    ------
    SandboxUnavailableError
        With the fix.
    """
    if isolation == "none":
        unsandboxed.refuse_root()
    else:
        _try_sandbox(host.unprivileged_account(account))


def memory_limit() -> Check:
    """Check whether the memory of a server is limited."""
    return _limit("memory")


def cpu_limit() -> Check:
    """Check whether the CPU time of a server is limited."""
    return _limit("cpu")


def process_limit() -> Check:
    """Check whether the number of processes of a server is limited."""
    return _limit("pids")


def proxy() -> Check:
    """Check that the proxy of JupyterHub can run."""
    if shutil.which("configurable-http-proxy") is None:
        fix = "configurable-http-proxy is not on the PATH. Install it with: npm install configurable-http-proxy"
        return Check(name="proxy", ok=False, sentence=fix)
    version = _node_version()
    if version < _OLDEST_NODE:
        fix = f"The proxy needs node {_OLDEST_NODE} or newer; found {version or 'none'}. Install a newer node."
        return Check(name="proxy", ok=False, sentence=fix)
    return Check(name="proxy", ok=True, sentence=f"The proxy runs on node {version}.")


def all_checks(account: str = "", isolation: str = "sandbox") -> list[Check]:
    """Return all checks of this package."""
    return [sandbox(account, isolation), memory_limit(), cpu_limit(), process_limit(), proxy()]


def _try_sandbox(account: Account | None) -> None:
    command = [host.program("bwrap"), *_SANDBOX, host.program("true")]
    if account is not None:
        drop = [host.program("setpriv"), f"--reuid={account.uid}", f"--regid={account.gid}", "--clear-groups", "--"]
        command = [*drop, *command]
    try:
        tried = subprocess.run(command, capture_output=True, text=True, timeout=_SECONDS, check=False)
    except subprocess.TimeoutExpired:
        raise SandboxUnavailableError(f"bubblewrap did not answer within {_SECONDS} seconds.") from None
    if tried.returncode != 0:
        said = tried.stderr.strip().splitlines()[:1] or ["it gave no reason"]
        raise SandboxUnavailableError(f"bubblewrap can't make a sandbox here ({said[0]}). {_cause()}.")


def _cause() -> str:
    for path, value, sentence in _CAUSES:
        try:
            if Path(path).read_text(encoding="ascii").strip() == value:
                return sentence
        except OSError:
            continue
    return (
        "Inside a container, allow it user namespaces and an unmasked /proc; with an old bubblewrap, take 0.8 or newer"
    )


def _limit(controller: str) -> Check:
    name = f"{_SAID.get(controller, controller)} limit"
    found = cgroups.find(f"jupyterhub-collab-check-{os.getpid()}")
    try:
        if controller in found.enforced:
            return Check(name=name, ok=True, sentence="Enforced by control groups.")
    finally:
        found.remove()
    fix = "Not enforced: the Hub may not make control groups here. Run it as root, or as a service with Delegate=yes."
    return Check(name=name, ok=False, sentence=fix)


def _node_version() -> int:
    node = shutil.which("node")
    if node is None:
        return 0
    try:
        said = subprocess.run([node, "--version"], capture_output=True, text=True, timeout=_SECONDS, check=False).stdout
        return int(said.strip().lstrip("v").split(".")[0])
    except (subprocess.TimeoutExpired, ValueError):
        return 0
