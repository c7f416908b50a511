"""A server plan as the arguments of bubblewrap.

Two bubblewraps, one in the other. The *outer* one lays out the file system that the server may see, under names that
no user can change; it is the only one that works with the Hub's rights, and it starts nothing but the inner one, as the
account. The *inner* one takes that file system as it is, adds namespaces, and hangs the folders that belong under the
home into it. A mount point in a home is a place where its owner can plant a link at any moment; by then every mount is
read-only or not as it should be, and the worst that a link does is to spoil its owner's own server.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Final

from jupyterhub_collab import names
from jupyterhub_collab.volumes.models import Mode

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from jupyterhub_collab.servers.models import ServerPlan
    from jupyterhub_collab.volumes.models import Mount

LAUNCHER: Final = "/run/collab/launch/launch.py"
HUB_DIRECTORY: Final = "/run/collab/hub"
_STAGE: Final = PurePosixPath("/run/stage")
_PLAIN_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._@+-]{0,63}\Z")
USER_ID: Final = "1000"

# Of /etc only what programs need to run, to find names and to trust certificates; never passwd, shadow or private keys
SYSTEM_CONFIGURATION: Final = (
    "/etc/alternatives",
    "/etc/bash.bashrc",
    "/etc/ca-certificates",
    "/etc/crypto-policies",
    "/etc/fonts",
    "/etc/gai.conf",
    "/etc/host.conf",
    "/etc/hosts",
    "/etc/inputrc",
    "/etc/ld.so.cache",
    "/etc/ld.so.conf",
    "/etc/ld.so.conf.d",
    "/etc/locale.alias",
    "/etc/localtime",
    "/etc/magic",
    "/etc/mime.types",
    "/etc/pki/ca-trust",
    "/etc/pki/tls/certs",
    "/etc/profile",
    "/etc/profile.d",
    "/etc/protocols",
    "/etc/resolv.conf",
    "/etc/services",
    "/etc/ssl/certs",
    "/etc/ssl/openssl.cnf",
    "/etc/terminfo",
    "/etc/texmf",
    "/etc/timezone",
)
_SYSTEM_LINKS: Final = ("bin", "lib", "lib32", "lib64", "libx32", "sbin")


@dataclass(frozen=True, kw_only=True, slots=True)
class Account:
    """Whose rights the server's processes have on the host."""

    uid: int
    gid: int


@dataclass(frozen=True, kw_only=True, slots=True)
class HostFacts:
    """What the arguments depend on beside the plan; gathered by `jupyterhub_collab_spawner.host`."""

    bwrap: str
    """Absolute path of bubblewrap."""
    drop_to: Account | None
    """The account to become, where the Hub runs as root; none where the Hub has an ordinary account already."""
    setpriv: str
    """Absolute path of setpriv; needed only by a Hub that runs as root."""
    system: Mapping[str, str | None]
    """`/bin` and its like: the target of a link, or none where it is a folder of its own."""
    configuration: tuple[str, ...]
    """What there is of `SYSTEM_CONFIGURATION`."""
    environment: tuple[str, ...]
    """Folders of the Python environment and of the interpreters it points to."""
    extra: tuple[str, ...]
    """Folders that the operator shows to every server, read-only."""
    launcher: str
    """The script that the server begins with."""
    own_etc: str
    """Folder with the files for `/etc` that are made for this server."""
    hub_directory: str | None
    """Folder of the Hub's Unix socket; none where the Hub listens on TCP."""
    home: str
    """Where the server sees its person's home."""
    storage: Path
    """Folder that holds the volumes."""


def home_path(person: str, occupied: Iterable[str] = ()) -> str:
    """Return where a person's home is in their servers; not above a folder that must be seen at its own path."""
    plain = f"/home/{person}"
    if _PLAIN_NAME.match(person) and not any(f"{path}/".startswith(f"{plain}/") for path in occupied):
        return plain
    # No plain name begins with "_", so this keeps the escaped ones apart
    return f"/home/_{names.home_volume(person).removeprefix('home-')}"


def inside(path: str, home: str) -> str:
    """Return a path of the plan as the server sees it."""
    return home + path[1:] if path == "~" or path.startswith("~/") else path


def source(mount: Mount, storage: Path) -> str:
    """Return the folder on the host that a mount shows."""
    return mount.source or str(storage / mount.volume)


def mount_points(mounts: Iterable[Mount]) -> tuple[str, ...]:
    """Return the names in the home under which volumes are mounted, such as ``projects``."""
    found = {PurePosixPath(mount.path).parts[1] for mount in mounts if mount.path.startswith("~/")}
    return tuple(sorted(found))


def command(
    plan: ServerPlan, host: HostFacts, *, program: list[str], environment: Mapping[str, str], info: int
) -> list[str]:
    """Return the whole command line; the inner bubblewrap writes about itself to the descriptor `info`."""
    outer = [host.bwrap, *_identity(host), *layout(plan, host), "--"]
    return [*outer, *_drop(host), host.bwrap, *enclosure(plan, host, environment, info), "--", *program]


def layout(plan: ServerPlan, host: HostFacts) -> list[str]:
    """Return the arguments that lay out the file system, for the outer bubblewrap."""
    return [
        *_system(host),
        *("--perms", "1777", "--tmpfs", "/tmp"),  # noqa: S108 - a folder in the sandbox
        *_read_only(host.configuration),
        *_own_files(host.own_etc),
        *_read_only(dict.fromkeys((*host.environment, *host.extra))),
        *_at(LAUNCHER, host.launcher),
        *(_at(HUB_DIRECTORY, host.hub_directory) if host.hub_directory else ()),
        *("--perms", "0755", "--dir", str(_STAGE)),
        *(part for mount in plan.mounts for part in _mount(mount, host)),
        *("--bind", "/proc", "/proc", "--dev-bind", "/dev", "/dev"),
    ]


def enclosure(plan: ServerPlan, host: HostFacts, environment: Mapping[str, str], info: int) -> list[str]:
    """Return the arguments that close the sandbox, for the inner bubblewrap."""
    return [
        *("--unshare-user", "--uid", USER_ID, "--gid", USER_ID, "--disable-userns"),
        *("--unshare-pid", "--unshare-ipc", "--unshare-uts", "--unshare-cgroup-try", "--hostname", "jupyter"),
        *(("--unshare-net",) if plan.environment.network == "none" else ()),
        *("--new-session", "--info-fd", str(info)),
        *("--bind", "/", "/", "--proc", "/proc", "--dev", "/dev"),
        *(part for name in mount_points(plan.mounts) for part in _hang(name, plan.mounts, host.home)),
        *("--tmpfs", str(_STAGE), "--remount-ro", str(_STAGE), "--remount-ro", "/"),
        *("--clearenv", *(part for item in environment.items() for part in ("--setenv", *item))),
        *("--chdir", host.home),
    ]


def _identity(host: HostFacts) -> tuple[str, ...]:
    return () if host.drop_to else ("--unshare-user",)


def _drop(host: HostFacts) -> tuple[str, ...]:
    if host.drop_to is None:
        return ()
    return (host.setpriv, f"--reuid={host.drop_to.uid}", f"--regid={host.drop_to.gid}", "--clear-groups", "--")


def _system(host: HostFacts) -> list[str]:
    arguments = ["--perms", "0755", "--dir", "/etc", "--ro-bind", "/usr", "/usr"]
    for name in _SYSTEM_LINKS:
        path = f"/{name}"
        if path in host.system:
            target = host.system[path]
            arguments += ["--symlink", target, path] if target else ["--ro-bind", path, path]
    return arguments


def _read_only(paths: Iterable[str]) -> list[str]:
    return [part for path in paths for part in _at(path, path)]


def _at(path: str, shown: str) -> list[str]:
    return [*_parents(path), "--ro-bind", shown, path]


def _own_files(folder: str) -> list[str]:
    files = ("passwd", "group", "nsswitch.conf", "jupyter/labconfig/page_config.json")
    return [part for name in files for part in _at(f"/etc/{name}", f"{folder}/{name}")]


def _parents(path: str) -> list[str]:
    """Make the folders above a path readable for the account; bubblewrap makes them for their owner only."""
    above = [str(parent) for parent in reversed(PurePosixPath(path).parents)][1:]
    return [part for parent in above for part in ("--perms", "0755", "--dir", parent) if not _is_system(parent)]


def _is_system(path: str) -> bool:
    return path in {"/usr", "/proc", "/dev"} or path.startswith(("/usr/", "/proc/", "/dev/"))


def _mount(mount: Mount, host: HostFacts) -> list[str]:
    bind = "--bind" if mount.mode is Mode.READ_WRITE else "--ro-bind"
    staged = mount.path.startswith("~/")
    path = str(_STAGE / mount.path[2:]) if staged else inside(mount.path, host.home)
    return [*_parents(path), bind, source(mount, host.storage), path]


def _hang(name: str, mounts: Iterable[Mount], home: str) -> tuple[str, ...]:
    """Hang a name of the stage into the home; a folder of volumes takes nothing else, a volume is as it was mounted."""
    path = f"{home}/{name}"
    is_volume = any(mount.path == f"~/{name}" for mount in mounts)
    return ("--bind", str(_STAGE / name), path, *(() if is_volume else ("--remount-ro", path)))
