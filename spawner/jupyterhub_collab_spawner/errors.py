"""Why a server that its plan allows does not start all the same."""

from __future__ import annotations

from jupyterhub_collab.errors import PlanRefusedError


class MissingVolumeError(PlanRefusedError):
    """A volume of the plan is not on this machine."""

    code = "volume-missing"
    status = 503
    title = "A folder is missing"

    def __init__(self, volume: str) -> None:
        super().__init__(f"“{volume}” is declared but is not there. Ask the operator to put it back.", volume=volume)


class MissingEnvironmentError(PlanRefusedError):
    """The Python environment of the plan is not on this machine."""

    code = "environment-missing"
    status = 503
    title = "The environment is missing"

    def __init__(self, environment: str) -> None:
        super().__init__(
            f"The environment “{environment}” has no Python. Choose another one in the project's settings, or ask the"
            " operator to put it back.",
            environment=environment,
        )


class NoNetworkError(PlanRefusedError):
    """An environment without network on a Hub that is reached by TCP only."""

    code = "network-none-unavailable"
    status = 503
    title = "This environment can't run here"

    def __init__(self, environment: str) -> None:
        super().__init__(
            f"The environment “{environment}” has no network, and this Hub is reached by network only. Choose another"
            " environment, or ask the operator to let the Hub listen on a Unix socket.",
            environment=environment,
        )


class DiedAtStartError(PlanRefusedError):
    """The server's process ended before it answered."""

    code = "server-died"
    status = 500
    title = "The server ended while it was starting"

    def __init__(self) -> None:
        super().__init__("Try once more. If it ends again, tell the operator: the reason stands in the server's log.")


class TakenAwayError(PlanRefusedError):
    """What the plan gave was taken away while the server was starting."""

    code = "access-changed"
    status = 409
    title = "Your access changed while the server was starting"

    def __init__(self) -> None:
        super().__init__("Start it again to get what you have now.")


class NoCoreError(PlanRefusedError):
    """The core's database does not answer, so nobody knows what the server may see."""

    code = "core-unavailable"
    status = 503
    title = "Projects can't be read just now"

    def __init__(self) -> None:
        super().__init__("No server starts without knowing what it may show. Try again in a minute.")


class NoSandboxError(PlanRefusedError):
    """The machine can't keep servers apart as it is."""

    code = "no-sandbox"
    status = 503
    title = "Servers can't be kept apart just now"

    def __init__(self) -> None:
        super().__init__("So none is started. Tell the operator: the Hub's log names the fix.")


class SandboxUnavailableError(Exception):
    """The machine can't keep servers apart; the message names the fix."""
