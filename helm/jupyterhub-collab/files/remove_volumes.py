"""Remove, after `helm uninstall`, the pods of users and all volumes of the release. Runs only where it is asked for."""
# ruff: noqa: INP001 - a script that the chart gives to a Job

import os

from kubernetes import client, config

SERVERS = "app.kubernetes.io/component=singleuser-server,app.kubernetes.io/instance=" + os.environ["RELEASE"]
VOLUMES = "app.kubernetes.io/managed-by=jupyterhub-collab"

config.load_incluster_config()
api, namespace = client.CoreV1Api(), os.environ["NAMESPACE"]
for selector in (SERVERS, VOLUMES):
    for pod in api.list_namespaced_pod(namespace, label_selector=selector).items:
        api.delete_namespaced_pod(pod.metadata.name, namespace)
found = api.list_namespaced_persistent_volume_claim(namespace, label_selector=VOLUMES).items
claims = [claim.metadata.name for claim in found] + [name for name in [os.environ["DATABASE_CLAIM"]] if name]
for name in claims:
    api.delete_namespaced_persistent_volume_claim(name, namespace)
print(f"Removed {len(claims)} volumes.")  # noqa: T201 - the Job's log
