"""Settings of every Python kernel in this image."""

c = get_config()  # noqa: F821 - IPython gives it to this file

# Two servers of one person share a home, often over NFS, where SQLite's locks block. The history stays with the server.
c.HistoryManager.hist_file = "/tmp/ipython-history.sqlite"  # noqa: S108 - the pod's own
