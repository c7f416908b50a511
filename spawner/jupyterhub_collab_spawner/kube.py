"""Servers on Kubernetes."""

from __future__ import annotations

import asyncio
import contextlib
import copy
import secrets
import time
from dataclasses import fields
from http import HTTPStatus
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, ClassVar, Final
from urllib.parse import urlsplit

from jupyterhub.spawner import SpawnException
from kubernetes_asyncio.client.rest import ApiException
from kubespawner import KubeSpawner
from traitlets import Bool, Float, Integer, TraitError, Unicode, default, validate

from jupyterhub_collab.errors import CollabError

from . import core, kube_failures, kube_reflectors, kube_strays, singleuser
from .builders import claims, pods
from .enforcement import Enforcement
from .errors import ClusterAwayError, DiedAtStartError, TakenAwayError, TooSlowError, VolumeNotReadyError
from .housekeeping import Housekeeping
from .kube_api import GRACE, UNREACHABLE, Cluster, message, passes
from .kube_strays import PodStrays
from .kube_volumes import ClaimVolumes
from .planned import PlannedSpawner, refusal

if TYPE_CHECKING:
    from collections.abc import Mapping

    from jupyterhub_collab.errors import PlanRefusedError
    from jupyterhub_collab.servers.models import ServerPlan


_MERGED: Final = (
    "extra_labels",
    "extra_resource_limits",
    "node_selector",
    "supplemental_gids",
    "volume_mounts",
    "volumes",
)
_PROCESS: Final = secrets.token_hex(4)  # this Hub's process, on the pods of its tasks
_LOOK: Final = 1.0  # seconds between two looks for what keeps a pod from starting
_WAIT: Final = 0.1
_LONGEST_WAIT: Final = 0.5
_PATIENCE_WITH_STOP: Final = 5.0  # where a start has failed because the cluster does not answer
_PLACES: Final = frozenset({"dns_name", "namespace"})  # in what KubeSpawner keeps of a server
_MARGIN: Final = 5.0  # seconds before the Hub's own deadline, whose sentence says nothing


class CollabKubeSpawner(PlannedSpawner, KubeSpawner):
    """Starts each server in a pod that mounts what the plan grants.

    KubeSpawner applies group overrides and user options before ``start()`` and profiles inside it. Here the core is
    asked first, profiles are applied as usual, and what the plan says is set when the pod's manifest is made, after all
    of them: a profile may choose an image where the plan names none, but never a volume, a group or a size.

    KubeSpawner makes a claim for a server and waits in silence for its pod. Here claims belong to persons and projects
    and are made by `ClaimVolumes`; while the pod starts, `kube_failures` reads what the cluster says of it. A stop is
    over when the node has confirmed the end, not when the cluster was told.

    It rests on: ``get_pod_manifest`` being the last word on the pod; the dict form of ``volumes`` and
    ``volume_mounts``; ``start``, ``stop`` and ``poll`` as JupyterHub documents them; and on these undocumented parts of
    KubeSpawner 7.1: ``_start`` calls ``_make_create_pod_request`` until it returns true, ``_start_reflector`` keeps one
    reflector for a kind and namespace in ``reflectors``, all templates go through ``_expand_user_properties``.
    """

    home_path = Unicode(
        "/home/jovyan",
        config=True,
        help="""Where the home is in the images of the environments.""",
    )
    task_image = Unicode(
        "",
        config=True,
        help="""The image of the short pods that prepare, measure, clean and remove volumes.

        It needs `sh`, `find`, `du` and what goes with them. Empty: the image of the first environment in the settings,
        which the nodes have anyway.
        """,
    )
    volume_timeout = Integer(
        120,
        min=5,
        config=True,
        help="""Seconds in which the cluster has to provide a new volume; then the start is refused.""",
    )
    lost_node_patience = Float(
        60.0,
        min=1,
        config=True,
        help="""Seconds in which a node has to confirm the end of a pod.

        Then the node is taken for lost and the cluster forgets the pod, so that its person can start again; the log
        names the node. If the machine runs on, cut off from the cluster, so may the pod: restart or fence it.
        """,
    )
    delete_home = Bool(
        default_value=False,
        config=True,
        help="""Whether a person's home and scratch space are deleted when an administrator deletes the Hub's user.

        Off: the claims stay, and the operator deletes them by hand.
        """,
    )
    housekeeping_interval = Float(
        1800.0,
        min=1,
        config=True,
        help="""Seconds between two rounds that measure and grow project volumes, clean scratch space and remove what
        deleted projects leave. Measuring takes a short pod for each project that was active since the last round.
        """,
    )

    _volumes_of: ClassVar[dict[tuple[Any, str], ClaimVolumes]] = {}

    _plan: ServerPlan | None = None
    _configured: Mapping[str, Any] = MappingProxyType({})
    _own_volumes: tuple[str, ...] = ()
    _taken_away = False

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self._halted = asyncio.Event()
        with contextlib.suppress(RuntimeError):  # no loop runs: a tool only wants a spawner's configuration
            Housekeeping.begin(asyncio.get_running_loop(), self.claim_volumes, self.housekeeping_interval)

    @default("uid")
    def _account(self) -> int:
        return claims.UID

    @default("gid")
    def _first_group(self) -> int:
        return pods.USERS_GROUP

    @default("container_security_context")
    def _no_capabilities(self) -> dict[str, Any]:
        return {"capabilities": {"drop": ["ALL"]}}

    @default("pod_security_context")
    def _restricted(self) -> dict[str, Any]:
        return {"runAsNonRoot": True, "seccompProfile": {"type": "RuntimeDefault"}}

    @default("start_timeout")
    def _time_for_large_images(self) -> int:
        return 300

    @validate("enable_user_namespaces")
    def _one_namespace(self, proposal: Any) -> bool:
        if proposal["value"]:
            raise TraitError("A claim can't be mounted from another namespace: leave enable_user_namespaces off.")
        return False

    @property
    def cluster(self) -> Cluster:
        """The namespace of this server."""
        return self._cluster(self.k8s_api_request_retry_timeout)

    def _cluster(self, patience: float) -> Cluster:
        return Cluster(self.api, self.namespace, request_seconds=3 * self.k8s_api_request_timeout, patience=patience)

    @property
    def claim_volumes(self) -> ClaimVolumes:
        """The volumes of this server's namespace; one object for all servers."""
        key = (self.api, self.namespace)
        if key not in self._volumes_of:
            storage = core.settings().storage
            self._volumes_of[key] = ClaimVolumes(
                self.cluster, self._claims, storage, self._task_look(), seconds=self.volume_timeout
            )
        return self._volumes_of[key]

    def _task_look(self) -> claims.TaskLook:
        settings = core.settings()
        images = [environment.image for environment in settings.environments.values() if environment.image]
        return claims.TaskLook(
            image=self.task_image or next(iter(images), self.image),
            image_pull_policy=self.image_pull_policy,
            image_pull_secrets=tuple(self.image_pull_secrets),
            node_selector={**self.node_selector, **pods.node_of(settings.storage)},
            tolerations=tuple(self._sorted_dict_values(self.tolerations)),
            process=_PROCESS,
        )

    async def _claims(self) -> dict[str, dict[str, Any]]:
        """Return our claims as the cluster last told."""
        ours = kube_reflectors.ClaimReflector
        reflector = await self._start_reflector(kind=ours.kind, reflector_class=ours, omit_namespace=False)
        found: dict[str, dict[str, Any]] = reflector.resources
        return found

    def start(self) -> Any:
        """Start the server with the plan that the core grants now; see `PlannedSpawner.granted`."""
        return self._start_planned()

    async def _start_planned(self) -> str:
        ends = time.monotonic() + max(self.start_timeout - _MARGIN, self.start_timeout / 2)
        self._halted, self._taken_away = asyncio.Event(), False
        self._plan = await self.granted()
        # Copied, since KubeSpawner merges a profile's dicts into these
        self._configured = {name: copy.deepcopy(getattr(self, name)) for name in _MERGED}
        try:
            await self._provide(self._plan, ends)
            return await self._until_it_answers(ends)
        except Exception as error:
            await self._give_up()
            raise self._as_refusal(error) from error
        except BaseException:
            await self._give_up()
            raise

    async def _provide(self, plan: ServerPlan, ends: float) -> None:
        """See to it that all volumes are there."""
        volumes = claims.needed(plan, core.settings().storage)
        self._own_volumes = tuple(volume.name for volume in volumes if volume.person is not None)
        try:
            async with asyncio.timeout(ends - time.monotonic()):
                await self.claim_volumes.ensure(volumes)
        except TimeoutError:
            late = await self.claim_volumes.missing(volumes) or volumes
            raise VolumeNotReadyError(late[0].title, self.start_timeout) from None

    async def _until_it_answers(self, ends: float) -> str:
        """Start the pod and wait until the server in it listens, or until something says that it never will."""
        starting = asyncio.ensure_future(self._listening())
        trouble = asyncio.ensure_future(self._trouble(ends))
        try:
            await asyncio.wait({starting, trouble}, return_when=asyncio.FIRST_COMPLETED)
            if starting.done():
                return starting.result()
            raise trouble.result()
        finally:
            starting.cancel()
            trouble.cancel()

    async def _listening(self) -> str:
        """Return the server's address once it listens there: a container runs before its server does."""
        url = str(await super().start())
        address = urlsplit(url)
        while True:
            with contextlib.suppress(OSError):
                _, writer = await asyncio.open_connection(address.hostname, address.port)
                writer.close()
                return url
            await asyncio.sleep(_WAIT)

    async def _trouble(self, ends: float) -> PlanRefusedError:
        """Return why the server does not start, once that is sure or the time is over."""
        known, since = "", time.monotonic()
        while True:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(_LOOK):
                    await self._halted.wait()
                return TakenAwayError() if self._taken_away else DiedAtStartError()
            found, now = kube_failures.find(self._pod, self._own_events), time.monotonic()
            code = found.error.code if found else ""
            if code != known:
                known, since = code, now
            if now > ends or (found and found.patience is not None and now - since >= found.patience):
                told = kube_failures.told(self._pod, self.events)
                self.log.error("%s does not start. The cluster says:\n%s", self._log_name, told)
                return found.error if found else TooSlowError(self.start_timeout)

    def _as_refusal(self, error: Exception) -> Any:
        """Return an error as the sentence that the Hub shows."""
        if isinstance(error, SpawnException):
            return error
        if isinstance(error, CollabError):
            return refusal(error)
        if passes(error):
            self.log.error("The cluster's API does not answer: %r", error)
            return refusal(ClusterAwayError())
        if isinstance(error, ApiException):
            self.log.error("The cluster refuses %s: %s", self._log_name, message(error))
            return refusal(kube_failures.refused(error))
        return error

    async def _give_up(self) -> None:
        """Leave nothing behind of a start that failed."""
        try:
            await self._end_pod(self._cluster(_PATIENCE_WITH_STOP))
        except Exception:
            self.grant_id = None  # stays open: whoever counts grants ends the pod and closes it
            Enforcement.reckon_soon()
            self.log.exception("The pod of %s could not be removed; trying again later", self._log_name)
        await self.report_end()

    async def _make_create_pod_request(self, pod: Any, request_timeout: float) -> bool:  # noqa: ARG002 - KubeSpawner's
        """Create the pod and wait until it runs.

        KubeSpawner's own would write its environment, with secrets, to the log where that fails.
        """
        try:
            await self.cluster.create_pod(pod)
        except ApiException as error:
            if error.status != HTTPStatus.CONFLICT:
                raise
            self.log.info("Ending an older pod %s", self.pod_name)
            await self._end_pod(self.cluster)
            return False
        if not (self.internal_ssl or self.services_enabled or self.after_pod_created_hook):  # those come first
            await self._until_it_runs()
        return True

    async def _until_it_runs(self) -> None:
        """Wait until the cluster tells that the pod runs; KubeSpawner would ask at random intervals."""
        while not self.is_pod_running(self._pod):
            await self.pod_reflector.news(self._key)

    async def stop(self, now: bool = False) -> None:  # noqa: FBT001, FBT002 - the signature is JupyterHub's
        """Stop the server; when this returns its pod is gone."""
        self._halted.set()
        await self._end_pod(self.cluster, GRACE if now else max(GRACE, self.delete_grace_period))
        await self.report_end()

    async def _end_pod(self, cluster: Cluster, grace: int = GRACE) -> None:
        """End the pod and wait until its node has confirmed that; a node that does not is taken for lost."""
        await self._start_watching_pods()
        watched = self._key in self.pod_reflector.pods
        if await cluster.delete_pod(self.pod_name, grace):
            ends = time.monotonic() + grace + self.lost_node_patience
            if not await self._gone(cluster, ends, watched=watched):
                pod = await cluster.read_pod(self.pod_name)
                if pod is not None:
                    await kube_strays.forget(cluster, pod)
        self.pod_reflector.pods.pop(self._key, None)

    async def _gone(self, cluster: Cluster, ends: float, *, watched: bool) -> bool:
        """Wait for the end of the pod: the cluster tells it, unless the pod was too new to be watched."""
        wait = _WAIT
        while time.monotonic() < ends:
            if self._key not in self.pod_reflector.pods and (watched or await cluster.read_pod(self.pod_name) is None):
                return True
            await asyncio.sleep(wait)
            wait = min(2 * wait, _LONGEST_WAIT)
        return False

    async def poll(self) -> Any:
        """Return none while the pod runs, else a number or a description; never before enforcement has looked once.

        A cluster that does not answer has ended nothing: then the server is taken to run.
        """
        await Enforcement.first_look()
        try:
            status = await self._status()
        except (ApiException, ClusterAwayError, *UNREACHABLE) as error:
            self.log.warning("Whether %s runs is not known: %r", self._log_name, error)
            return None
        if status is not None:
            await self.report_end()
        return status

    async def _status(self) -> Any:
        status = await super().poll()
        pod = self._pod
        if pod is None:
            return status
        if kube_strays.overdue(pod, self.lost_node_patience):
            await kube_strays.forget(self.cluster, pod)
            self.pod_reflector.pods.pop(self._key, None)
            return 1
        if status is None and self.grant_id is None and self.pending != "spawn":
            self.log.warning("Ending the pod of %s, which no grant allows", self._log_name)
            status = 1
        if status is not None:
            await self._end_pod(self.cluster)  # also one that failed before it had a container
        return status

    async def take_away(self) -> None:
        """End the server at once because it holds more than is allowed now."""
        self._taken_away = True
        await self.stop(now=True)

    def strays(self) -> PodStrays:
        """Return how pods are found that no spawner stands for."""
        return PodStrays(self.cluster, _PROCESS, self.lost_node_patience)

    async def delete_forever(self) -> None:
        """Delete what only this person had, if the operator wants that; projects keep theirs."""
        if self.delete_home and not self.name:
            for volume in self._own_volumes:
                self.log.warning("Deleting the volume %s of %s", volume, self.user.name)
                await self.claim_volumes.remove(volume)

    def get_state(self) -> dict[str, Any]:
        """Return what the Hub keeps of this server in its database."""
        return super().get_state() | {"own_volumes": list(self._own_volumes)}

    def load_state(self, state: dict[str, Any]) -> None:
        """Take up what the Hub kept, but not where: a Hub that was restored elsewhere has another namespace."""
        super().load_state({key: value for key, value in state.items() if key not in _PLACES})
        self._own_volumes = tuple(state.get("own_volumes", ()))

    @property
    def events(self) -> list[dict[str, Any]]:
        """The events of this server's pod since its last start, in order."""
        found = sorted(self._own_events(), key=lambda event: event["lastTimestamp"] or event["eventTime"])
        last = [number for number, event in enumerate(found) if event["metadata"]["uid"] == self._last_event]
        return found[last[-1] + 1 :] if last and self._last_event else found

    def _own_events(self) -> list[dict[str, Any]]:
        """Return the events of this server's pods: by their names, since thousands start at once."""
        reflector = self.event_reflector
        ours = f"{self._key}."  # all parts of a cluster name an event after its object
        return [event for key, event in reflector.resources.items() if key.startswith(ours)] if reflector else []

    @property
    def _key(self) -> str:
        return f"{self.namespace}/{self.pod_name}"

    @property
    def _pod(self) -> dict[str, Any] | None:
        pod: dict[str, Any] | None = self.pod_reflector.pods.get(self._key) if self.pod_reflector else None
        return pod

    async def _start_reflector(self, kind: str, reflector_class: Any, replace: bool = False, **options: Any) -> Any:  # noqa: FBT001, FBT002 - KubeSpawner's
        """Start what watches the cluster, again where it has given up: KubeSpawner would believe its old news."""
        current = self.reflectors.get(self._get_reflector_key(kind))
        if current is not None and current.first_load_future.done() and not replace and not _has_ended(current):
            return current
        replace = replace or (current is not None and _has_ended(current))
        # Shielded: a start that is given up here would leave it half begun for all others
        ours = kube_reflectors.OURS.get(reflector_class, reflector_class)
        return await asyncio.shield(super()._start_reflector(kind, ours, replace, **options))

    def _expand_user_properties(self, template: str, slug_scheme: str | None = None) -> str:
        """Expand a template; most strings are none, and each costs KubeSpawner a dozen names."""
        if "{" not in template and "}" not in template:
            return template
        return str(super()._expand_user_properties(template, slug_scheme))

    def get_args(self) -> list[str]:
        """Return the server's arguments; an image's own command takes none."""
        args = list(super().get_args())
        return args + singleuser.folder_arguments(self._plan) if self.cmd and self._plan else args

    def get_env(self) -> dict[str, Any]:
        """Return the server's environment; JupyterLab opens in the folder of the plan."""
        environment: dict[str, Any] = super().get_env()
        if self._plan and self.default_url in {"", "/lab"}:
            environment["JUPYTERHUB_DEFAULT_URL"] = singleuser.first_page(self._plan)
        return environment

    async def get_pod_manifest(self) -> Any:
        """Return the pod with what the plan grants, whatever profiles and options asked for."""
        if self._plan is not None:
            self._follow(self._plan)
        return await super().get_pod_manifest()

    def _follow(self, plan: ServerPlan) -> None:
        """Set the traits that the plan decides; what the operator's configuration adds beside them stays."""
        built = pods.build(plan, home=self.home_path, storage=core.settings().storage)
        parts = {part.name: getattr(built, part.name) for part in fields(built)}  # `asdict` would copy each mount
        if parts["image"] is None:
            del parts["image"]
        for name in _MERGED:
            parts[name] = pods.merged(self._configured.get(name), parts[name])
        parts["environment"] = {**getattr(self, "environment", {}), "JUPYTERHUB_ROOT_DIR": self.home_path}
        for name, value in parts.items():
            setattr(self, name, value)


def _has_ended(reflector: Any) -> bool:
    """Tell whether a reflector watches no more, or has never begun to."""
    if reflector.watch_task is not None:
        return bool(reflector.watch_task.done())
    return bool(reflector.first_load_future.done() and reflector.first_load_future.exception())
