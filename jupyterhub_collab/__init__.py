"""The core of JupyterHub Collab: what exists and who may do what.

Nothing here knows a web framework or Kubernetes; only ``authenticator`` knows JupyterHub.
"""

__version__ = "0.1.0.dev0"
