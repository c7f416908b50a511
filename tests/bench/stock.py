"""The peer: a stock JupyterHub on the same machine, driven in the same way."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Final

import httpx

from tests.support.demo import PASSWORD, Site

_CONFIGURATION: Final = Path(__file__).with_name("stock_config.py")


class StockSite(Site):
    """A stock Hub in a state folder of its own."""

    def start_hub(self) -> None:
        """Run it and wait until it serves."""
        self.state.mkdir()
        more = {"STOCK_STATE": str(self.state), "STOCK_PASSWORD": PASSWORD, "PORT": str(self.port)}
        self._run([sys.executable, "-m", "jupyterhub", "--config", str(_CONFIGURATION)], more)
        self.wait_until(self.serves, 120)

    def serves(self) -> bool:
        """Tell whether the login page answers."""
        with contextlib.suppress(httpx.HTTPError):
            return httpx.get(f"{self.address}/hub/login").status_code == httpx.codes.OK
        return False


def stock() -> AbstractContextManager[Site]:
    """Lend a running stock Hub, and end all that it started."""
    return _running(StockSite())


def product() -> AbstractContextManager[Site]:
    """Lend the product as an operator runs it, without the demo around it, and end all that it started."""
    return _running(Site())


@contextmanager
def _running(made: Site) -> Iterator[Site]:
    try:
        made.start_hub()
        yield made
        made.stop()
    finally:
        made.clean()
