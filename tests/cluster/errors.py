"""What goes wrong with a cluster of the tests."""

from __future__ import annotations


class ClusterError(Exception):
    """A sentence for whoever runs the tests."""
