"""The Hub's own pages in the same house: what ``jupyterhub_config.py`` gives to JupyterHub's template options."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

from jupyterhub_collab.settings import Settings

from .base.marks import hue, initials

TEMPLATE_PATHS: Final = [str(Path(__file__).parent / "hub_templates")]


def face(user: Any) -> dict[str, str | int]:
    """Return letters and hue of whoever is logged in, the same as on the pages of the services."""
    name = user.name if user else ""
    return {"initials": initials(name), "hue": hue(name)}


def template_vars(settings: Settings, *, isolation: str = "sandbox") -> dict[str, Any]:
    """Return what our templates of the Hub's pages show besides what the Hub gives them."""
    return {
        "collab_site": settings.site.name,
        "collab_contact": settings.site.operator_contact,
        "collab_isolation": isolation,
        "collab_face": face,  # JupyterHub calls it with the user of each page
    }
