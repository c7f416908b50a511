"""Servers on Kubernetes."""

from __future__ import annotations

import copy
from dataclasses import asdict
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final

from kubespawner import KubeSpawner
from traitlets import Unicode

from . import core
from .builders import pods
from .enforcement import Enforcement
from .planned import PlannedSpawner

if TYPE_CHECKING:
    from collections.abc import Mapping

    from jupyterhub_collab.servers.models import ServerPlan


_MERGED: Final = (
    "extra_labels",
    "extra_resource_limits",
    "node_selector",
    "supplemental_gids",
    "volume_mounts",
    "volumes",
)


class CollabKubeSpawner(PlannedSpawner, KubeSpawner):
    """Starts each server in a pod that mounts what the plan grants.

    KubeSpawner applies group overrides and user options before ``start()`` and profiles inside it. Here the core is
    asked first, profiles are applied as usual, and what the plan says is set when the pod's manifest is made, after all
    of them: a profile may choose an image where the plan names none, but never a volume, a group or a size.

    It rests on: ``get_pod_manifest`` being the last word on the pod; the dict form of ``volumes`` and
    ``volume_mounts``; ``start``, ``stop`` and ``poll`` as JupyterHub documents them.
    """

    home_path = Unicode(
        "/home/jovyan",
        config=True,
        help="""Where the home is in the images of the environments.""",
    )

    _plan: ServerPlan | None = None
    _configured: Mapping[str, Any] = MappingProxyType({})

    def start(self) -> Any:
        """Start the server with the plan that the core grants now; see `PlannedSpawner.granted`."""
        return self._start_planned()

    async def stop(self, now: bool = False) -> None:  # noqa: FBT001, FBT002 - the signature is JupyterHub's
        """Stop the server; when this returns its pod is gone."""
        await super().stop(now=now)
        await self.report_end()

    async def poll(self) -> Any:
        """Return none while the pod runs, else a number or a description; never before enforcement has looked once."""
        await Enforcement.first_look()
        status = await super().poll()
        if status is not None:
            await self.report_end()
        return status

    async def get_pod_manifest(self) -> Any:
        """Return the pod with what the plan grants, whatever profiles and options asked for."""
        if self._plan is not None:
            self._follow(self._plan)
        return await super().get_pod_manifest()

    async def _start_planned(self) -> Any:
        self._plan = await self.granted()
        # Copied, since KubeSpawner merges a profile's dicts into these
        self._configured = {name: copy.deepcopy(getattr(self, name)) for name in _MERGED}
        try:
            return await super().start()
        except BaseException:
            await self.report_end()
            raise

    def _follow(self, plan: ServerPlan) -> None:
        """Set the traits that the plan decides; what the operator's configuration adds beside them stays."""
        parts = asdict(pods.build(plan, home=self.home_path, shared_claim=core.settings().storage.shared_claim))
        if parts["image"] is None:
            del parts["image"]
        for name in _MERGED:
            parts[name] = pods.merged(self._configured.get(name), parts[name])
        parts["environment"] = {**getattr(self, "environment", {}), "JUPYTERHUB_ROOT_DIR": self.home_path}
        for name, value in parts.items():
            setattr(self, name, value)
