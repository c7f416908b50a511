"""Why the demo does not start."""

from __future__ import annotations


class DemoError(Exception):
    """The demo can't run as asked; the message says why and what to do."""
