"""What both spawners share: a server starts only with a plan from the core, and the plan is asked for at each start."""

from __future__ import annotations

import functools
import gc
import html
from typing import TYPE_CHECKING, Any, Final

from jupyterhub.spawner import SpawnException
from traitlets import Float
from traitlets.config import Configurable

from jupyterhub_collab.errors import CollabError, PlanRefusedError

from . import core, metrics
from .enforcement import Enforcement
from .errors import NoCoreError
from .strays import Strays, UnknownStrays

if TYPE_CHECKING:
    from jupyterhub.spawner import Spawner as _Half

    from jupyterhub_collab.servers.models import Grant, ServerPlan
else:
    _Half = Configurable  # JupyterHub refuses a Spawner class that does not start anything itself

_COLLECTED_EVERY: Final = 50_000  # new objects; a start makes some thousand


class Refusal(SpawnException):
    """A start that is refused.

    The Hub shows the sentence of a `SpawnException` where it answers the request for the start. On the page of a start
    that has failed, and in its progress, it looks for these names instead.
    """

    @property
    def jupyterhub_message(self) -> str:
        """The sentence as text."""
        return str(self.message)

    @property
    def jupyterhub_html_message(self) -> str:
        """The sentence as HTML."""
        return str(self.message_html)


def refusal(error: CollabError) -> Refusal:
    """Return what the Hub shows of an error: its sentence on the spawn page and in the API, its code in the metrics."""
    metrics.REFUSALS.labels(error.code).inc()
    code = f' <span class="meta">Code <code>{html.escape(error.code)}</code></span>'
    return Refusal(
        f"{error.title}. {error.detail}",
        reason=error.code,
        message_html=f"<strong>{html.escape(error.title)}.</strong> {html.escape(error.detail)}{code}",
        status_code=error.status,
    )


@functools.cache
def _settle() -> None:
    """Have the garbage collector leave alone what the Hub has loaded by its first start, and come more seldom.

    It stays as long as the Hub runs. To look through it again and again is a tenth of the Hub's work with starts, while
    every request waits.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(_COLLECTED_EVERY, *gc.get_threshold()[1:])


class PlannedSpawner(_Half):
    """The half of a spawner that makes its servers hold what the core grants; it stands before a `Spawner` class.

    The plan is computed inside ``start()``: group overrides, user options and profiles come before that, so none of
    them can widen it. It follows from the server's present name, which its owner may have changed.
    """

    interval = Float(
        0.5,
        config=True,
        help="""Seconds between two looks for servers that hold more than is allowed now.

        Each look is one query for all servers. Someone who is removed from a project loses its files within this time
        and the time that stopping takes.
        """,
    )

    grant_id: int | None = None

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        Enforcement.watch(self)

    async def granted(self) -> ServerPlan:
        """Ask the core for the plan of this start; what it grants is on record from then on.

        Raises
        ------
        SpawnException
            The plan is refused; the sentence says what to do.
        """
        _settle()
        try:
            grant = await self._ask()
        except PlanRefusedError as error:
            raise refusal(error) from None
        except Exception as error:
            self.log.exception("The core can't say what %s may have", self._log_name)
            raise refusal(NoCoreError()) from error
        self.grant_id = grant.id
        return grant.plan

    async def _ask(self) -> Grant:
        running = frozenset(name for name, other in self.user.spawners.items() if other is not self and other.active)
        options = {str(key): value for key, value in (self.user_options or {}).items()}
        return await core.servers().grant(self.user.name, self.name, running=running, options=options)

    async def take_away(self) -> None:
        """End the server at once, whatever its state, because it holds more than is allowed now."""
        await self.stop(now=True)

    def strays(self) -> Strays:
        """Return how servers are found that no spawner stands for."""
        return UnknownStrays()

    async def report_end(self) -> None:
        """Tell the core that the server is gone; where that fails now, enforcement does it later."""
        grant, self.grant_id = self.grant_id, None
        if grant is None:
            return
        try:
            await core.servers().ended(self.user.name, self.name, grant=grant)
        except Exception:
            Enforcement.reckon_soon()
            self.log.exception("The core could not be told that %s has ended; trying again later", self._log_name)

    def get_state(self) -> dict[str, Any]:
        """Return what the Hub keeps of this server in its database."""
        state: dict[str, Any] = super().get_state()
        return state | ({"grant": self.grant_id} if self.grant_id is not None else {})

    def load_state(self, state: dict[str, Any]) -> None:
        """Take up what the Hub kept."""
        super().load_state(state)
        self.grant_id = state.get("grant")

    def clear_state(self) -> None:
        """Forget what was kept; the Hub calls this before each start."""
        super().clear_state()
        self.grant_id = None
