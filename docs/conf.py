"""How Sphinx builds the manual; `make docs` runs it."""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent / "_ext"))

from jupyterhub_collab import __version__

project = "JupyterHub Collab"
author = "JupyterHub Collab contributors"
copyright = f"2026, {author}"
version = release = __version__

extensions = ["collab_manual", "jupyterhub_sphinx_theme", "myst_parser", "sphinx_copybutton", "sphinx_design"]
exclude_patterns = ["_build"]
nitpicky = True

myst_enable_extensions = ["attrs_inline", "colon_fence", "deflist"]
myst_heading_anchors = 3

html_theme = "jupyterhub_sphinx_theme"
html_title = "JupyterHub Collab"
html_static_path = ["_static"]
html_css_files = ["manual.css"]
# The theme's own default is fetched from another site by every reader
html_favicon = "_static/favicon.svg"
html_theme_options = {"icon_links": [], "navbar_align": "left", "show_prev_next": True}
# Cards for social networks: nothing here asks for them
ogp_social_cards = {"enable": False}
copybutton_exclude = ".linenos, .gp, .go"
