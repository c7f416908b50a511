"""The idle culler of JupyterHub, with a log like the Hub's, in which its token does not stand."""

from __future__ import annotations

import os
from typing import Any

from jupyterhub_idle_culler import IdleCuller
from traitlets import default

from jupyterhub_collab import logs


class CollabIdleCuller(IdleCuller):
    """Stops servers that nobody uses.

    Where the Hub does not answer, tornado logs the call that failed with all its arguments, and the token is one of
    them. Here it is taken out of every line.
    """

    @default("logging_config")
    def _like_the_hub(self) -> dict[str, Any]:
        log_format = os.environ.get(logs.FORMAT_VARIABLE, "text")
        return logs.application_logging(log_format, "idle-culler", os.environ.get("JUPYTERHUB_API_TOKEN", ""))


if __name__ == "__main__":
    CollabIdleCuller.launch_instance()
