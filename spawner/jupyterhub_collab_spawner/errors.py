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


class VolumeNotReadyError(PlanRefusedError):
    """The cluster has not provided a volume in time."""

    code = "volume-not-ready"
    status = 503
    title = "A folder is not ready"

    def __init__(self, what: str, seconds: float) -> None:
        super().__init__(
            f"The cluster has not provided {what} within {seconds:.0f} seconds. Try again in some minutes; if it stays"
            " so, tell the operator.",
            what=what,
        )


class VolumeGoingError(PlanRefusedError):
    """A volume of this name is being removed."""

    code = "volume-going"
    status = 409
    title = "An old folder of this name is still being removed"

    def __init__(self, volume: str) -> None:
        super().__init__("Try again in a minute.", volume=volume)


class VolumeAttachError(PlanRefusedError):
    """The server's node could not attach or mount a volume."""

    code = "volume-attach"
    status = 503
    title = "A folder could not be attached"

    def __init__(self, volume: str = "") -> None:
        which = f"“{volume}”" if volume else "One of the server's folders"
        super().__init__(
            f"{which} could not be attached to the machine on which the server was to run. Try once more; if it stays"
            " so, tell the operator.",
            volume=volume,
        )


class ImageError(PlanRefusedError):
    """The container image can't be had."""

    code = "image-pull"
    status = 503
    title = "The environment can't be fetched"

    def __init__(self, image: str) -> None:
        super().__init__(
            f"The cluster can't get the image “{image}”. Choose another environment in the project's settings, or tell"
            " the operator.",
            image=image,
        )


class TaskImageError(PlanRefusedError):
    """The container image of the pods that work on volumes can't be had."""

    code = "task-image"
    status = 503
    title = "No folder can be prepared"

    def __init__(self, image: str) -> None:
        super().__init__(
            f"The cluster can't get the image “{image}”, which prepares them. Tell the operator.", image=image
        )


class UnschedulableError(PlanRefusedError):
    """No machine of the cluster has room for the server."""

    code = "unschedulable"
    status = 503
    title = "The cluster has no room for this server"

    def __init__(self, lacking: str) -> None:
        super().__init__(
            f"No machine has {lacking} for it. Choose a smaller size, stop a server that you do not need, or try again"
            " later.",
            lacking=lacking,
        )


class QuotaError(PlanRefusedError):
    """The namespace's quota is used up."""

    code = "quota-exceeded"
    status = 503
    title = "The cluster's quota is used up"

    def __init__(self, resource: str, used: str = "", limit: str = "") -> None:
        figures = f" ({used} of {limit} are in use)" if used and limit else ""
        super().__init__(
            f"All servers together may not have more {resource}{figures}. Stop a server that you do not need, or ask"
            " the operator for more.",
            resource=resource,
        )


class ClusterAwayError(PlanRefusedError):
    """The cluster's API does not answer, or answers that it has too much to do."""

    code = "cluster-unavailable"
    status = 503
    title = "The cluster does not answer"

    def __init__(self) -> None:
        super().__init__("No server can be started just now. Try again in a minute; what runs goes on.")


class ClusterRefusedError(PlanRefusedError):
    """The cluster does not take the pod or claim as it is."""

    code = "cluster-refused"
    status = 500
    title = "The cluster refuses this server"

    def __init__(self) -> None:
        super().__init__("Tell the operator: the reason stands in the Hub's log.")


class NodeLostError(PlanRefusedError):
    """The machine of the cluster on which the server was starting has gone."""

    code = "node-lost"
    status = 503
    title = "The machine on which the server was starting does not answer"

    def __init__(self) -> None:
        super().__init__("Try once more: another machine will be chosen.")


class NodeRefusedError(PlanRefusedError):
    """The machine of the cluster ended the server for its own sake."""

    code = "node-refused"
    status = 503
    title = "The machine on which the server was starting had no room left"

    def __init__(self) -> None:
        super().__init__("Try once more. If it stays so, choose a smaller size or tell the operator.")


class OutOfMemoryError(PlanRefusedError):
    """The server needed more memory than its size has before it answered."""

    code = "out-of-memory"
    status = 500
    title = "The server ran out of memory while it was starting"

    def __init__(self, memory: str) -> None:
        super().__init__(f"Its size has {memory}. Choose a larger one, or tell the operator.", memory=memory)


class TooSlowError(PlanRefusedError):
    """The server did not answer in time, and nothing says why."""

    code = "start-timeout"
    status = 504
    title = "The server took too long to start"

    def __init__(self, seconds: float) -> None:
        super().__init__(f"It was not running after {seconds:.0f} seconds. Try once more, or tell the operator.")


class SandboxUnavailableError(Exception):
    """The machine can't keep servers apart; the message names the fix."""
