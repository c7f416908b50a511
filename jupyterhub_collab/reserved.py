"""Short names that no project may have, because they are addresses of a server or of ours.

A named server called like a route of the person's default server hides that route (``/user/x/lab``). The list holds the
first path segments of jupyter_server, JupyterLab and their extensions in the notebook image, and of the projects
service; a test asks the installed packages for theirs and fails where one is missing here.
"""

from typing import Final

RESERVED_SLUGS: Final = frozenset(
    """
    activity api audit catalogue consoles custom data directory doc edit explore federation files full healthz help
    home hub invitations jobs join kernelspecs lab lab-dev login logo logout lsp mathjax me members metrics
    my-servers nbconvert nbextensions needs-you new notebooks oauth oauth-callback openapi operator operators people
    project projects proxy public readme reports retro security server servers services settings share shared
    shutdown spawn static terminals token tree user users view voila workshop workshops workspace workspaces
    """.split()
)
