"""Settings of every server in this image; what the Hub passes on the command line or in the environment goes first."""

c = get_config()  # noqa: F821 - Jupyter gives it to this file

# A wastebasket would have to be on the same volume as the file: each project is a volume of its own.
c.FileContentsManager.delete_to_trash = False

# Kernels and terminals that nobody has used for half a day and nobody looks at give their memory back. Whole servers
# are stopped by the Hub, by the time in its settings.
c.MappingKernelManager.cull_idle_timeout = 12 * 60 * 60
c.MappingKernelManager.cull_interval = 10 * 60
c.TerminalManager.cull_inactive_timeout = 12 * 60 * 60

# Nothing here asks other sites for news, updates or extensions.
c.LabApp.news_url = None
c.LabApp.check_for_updates_class = "jupyterlab.handlers.announcements.NeverCheckForUpdate"
c.LabApp.extension_manager = "readonly"
