"""The Hub services of JupyterHub Collab; each is a process, an OAuth client and a Hub role of its own."""
