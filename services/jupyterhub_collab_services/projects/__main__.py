"""``python -m jupyterhub_collab_services.projects`` runs the projects service."""

from .application import main

main()
