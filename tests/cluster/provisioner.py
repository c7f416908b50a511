"""Volumes for the claims of the class ``shared``: folders of this machine.

A folder is what a file system fresh from its maker is: root's, 0755. On the full tier its volume is a *local* one, to
which the kubelet applies a pod's fsGroup as it does for a CSI driver (group, setgid, group-writable). Growing a claim
grows what its volume says; deleting it deletes the folder.
"""

from __future__ import annotations

import argparse
import shutil
import threading
from pathlib import Path
from typing import Final

from .api import Api, Thing
from .layout import NODE

CLASS: Final = "shared"
PROVISIONER: Final = "tests.jupyterhub-collab/folders"
CLAIMS: Final = "/api/v1/persistentvolumeclaims"
VOLUMES: Final = "/api/v1/persistentvolumes"


class Provisioner:
    """Makes, grows and removes volumes."""

    def __init__(self, api: Api, folder: Path, *, on_node: bool) -> None:
        self._api = api
        self._folder = folder
        self._on_node = on_node

    def claims_changed(self, _: dict[str, Thing], changed: list[Thing]) -> None:
        """Give each claim its volume, and each larger claim a larger one."""
        for claim in changed:
            if claim["spec"].get("storageClassName") == CLASS and "deletionTimestamp" not in claim["metadata"]:
                self._look_at(claim)

    def volumes_changed(self, _: dict[str, Thing], changed: list[Thing]) -> None:
        """Remove the volumes whose claim is gone."""
        for volume in changed:
            ours = volume["metadata"].get("annotations", {}).get("pv.kubernetes.io/provisioned-by") == PROVISIONER
            released = volume["status"].get("phase") == "Released"
            if ours and released and volume["spec"]["persistentVolumeReclaimPolicy"] == "Delete":
                shutil.rmtree(self._folder / volume["metadata"]["name"], ignore_errors=True)
                self._api.delete(f"{VOLUMES}/{volume['metadata']['name']}")

    def _look_at(self, claim: Thing) -> None:
        phase, wanted = claim["status"].get("phase"), claim["spec"]["resources"]["requests"]["storage"]
        if phase == "Pending" and not claim["spec"].get("volumeName"):
            path = self._folder / _name(claim)
            path.mkdir(mode=0o755, parents=True, exist_ok=True)
            self._api.create(VOLUMES, volume_for(claim, path, on_node=self._on_node))
        elif phase == "Bound" and claim["status"]["capacity"]["storage"] != wanted:
            self._grow(claim, wanted)

    def _grow(self, claim: Thing, size: str) -> None:
        self._api.patch(f"{VOLUMES}/{claim['spec']['volumeName']}", {"spec": {"capacity": {"storage": size}}})
        metadata = claim["metadata"]
        path = f"/api/v1/namespaces/{metadata['namespace']}/persistentvolumeclaims/{metadata['name']}/status"
        self._api.patch(path, {"status": {"capacity": {"storage": size}}})


def volume_for(claim: Thing, folder: Path, *, on_node: bool) -> Thing:
    """Return the volume that a claim gets."""
    metadata = claim["metadata"]
    reference = {"apiVersion": "v1", "kind": "PersistentVolumeClaim", "uid": metadata["uid"]}
    spec: Thing = {
        "accessModes": claim["spec"]["accessModes"],
        "capacity": {"storage": claim["spec"]["resources"]["requests"]["storage"]},
        "claimRef": reference | {"namespace": metadata["namespace"], "name": metadata["name"]},
        "persistentVolumeReclaimPolicy": "Delete",
        "storageClassName": CLASS,
    }
    annotations = {"pv.kubernetes.io/provisioned-by": PROVISIONER}
    return {
        "apiVersion": "v1",
        "kind": "PersistentVolume",
        "metadata": {"name": _name(claim), "annotations": annotations},
        "spec": spec | (_local(folder) if on_node else {"hostPath": {"path": str(folder)}}),
    }


def _local(folder: Path) -> Thing:
    here = {"key": "kubernetes.io/hostname", "operator": "In", "values": [NODE]}
    terms = {"nodeSelectorTerms": [{"matchExpressions": [here]}]}
    return {"local": {"path": str(folder)}, "nodeAffinity": {"required": terms}}


def _name(claim: Thing) -> str:
    return f"pvc-{claim['metadata']['uid']}"


def main() -> None:
    """Serve claims until killed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("kubeconfig", type=Path)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--node")
    arguments = parser.parse_args()
    provisioner = Provisioner(Api(arguments.kubeconfig), arguments.folder, on_node=bool(arguments.node))
    volumes = Api(arguments.kubeconfig)
    threading.Thread(target=volumes.follow, args=(VOLUMES, provisioner.volumes_changed), daemon=True).start()
    Api(arguments.kubeconfig).follow(CLAIMS, provisioner.claims_changed)


if __name__ == "__main__":
    main()
