"""The Hub's own pages in the same house: what ``jupyterhub_config.py`` gives to JupyterHub's template options."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from jupyterhub_collab.settings import Settings

TEMPLATE_PATHS: Final = [str(Path(__file__).parent / "hub_templates")]


def template_vars(settings: Settings, *, isolation: str = "sandbox") -> dict[str, Any]:
    """Return what our templates of the Hub's pages show besides what the Hub gives them."""
    return {
        "collab_site": settings.site.name,
        "collab_contact": settings.site.operator_contact,
        "collab_isolation": isolation,
    }
