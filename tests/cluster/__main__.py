"""``python -m tests.cluster VERB``: a real Kubernetes on this machine, for tests and for trying things out."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from . import binaries
from .cluster import STATE, Cluster
from .errors import ClusterError


def main() -> None:
    """Do what the command line says."""
    arguments = _parser().parse_args()
    try:
        _do(arguments)
    except ClusterError as error:
        sys.exit(str(error))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m tests.cluster", description=__doc__)
    parser.add_argument("--state", type=Path, default=STATE, help="the folder of the cluster (%(default)s)")
    verbs = parser.add_subparsers(dest="verb", required=True)
    build = verbs.add_parser("build", help="build the programs that are not in the cache")
    build.add_argument("families", nargs="*", default=binaries.FAMILIES, help="%(default)s")
    up = verbs.add_parser("up", help="bring the cluster up")
    up.add_argument("--control-plane", action="store_true", help="without a real node; KWOK plays two")
    verbs.add_parser("down", help="take the cluster down and remove all that it kept")
    load = verbs.add_parser("load", help="give the node the images of an archive")
    load.add_argument("archive", type=Path)
    verbs.add_parser("kubeconfig", help="print where the credentials lie")
    return parser


def _do(arguments: argparse.Namespace) -> None:
    match arguments.verb:
        case "build":
            binaries.build(arguments.families)
        case "up":
            Cluster(arguments.state, full=not arguments.control_plane).up()
        case "down":
            if arguments.state.exists():
                Cluster.found(arguments.state).down()
        case "load":
            Cluster.found(arguments.state).load(arguments.archive)
        case "kubeconfig":
            print(Cluster.found(arguments.state).kubeconfig)  # noqa: T201 - what it is for


if __name__ == "__main__":
    main()
