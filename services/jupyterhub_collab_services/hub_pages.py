"""The Hub's own pages in the same house: what ``jupyterhub_config.py`` gives to JupyterHub's template options."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

from jupyterhub.utils import subdomain_hook_idna

from jupyterhub_collab import logs
from jupyterhub_collab.settings import Settings

from .base.marks import hue, initials

_SERVICES: Final = frozenset({"projects"})
TEMPLATE_PATHS: Final = [str(Path(__file__).parent / "hub_templates")]


def face(user: Any) -> dict[str, str | int]:
    """Return letters and hue of whoever is logged in, the same as on the pages of the services."""
    name = user.name if user else ""
    return {"initials": initials(name), "hue": hue(name)}


def request_id(_user: Any) -> str:
    """Return the name of the request that a page answers, for the page of an error."""
    return logs.request_id()


def subdomain(name: str, domain: str, kind: str) -> str:
    """Return the domain of a person's servers, or of a service, where `JupyterHub.subdomain_host` is set.

    The projects service stays on the Hub's own domain, of which its pages are a part; everyone else's code runs
    elsewhere, as with JupyterHub's default.
    """
    ours = kind == "service" and name in _SERVICES
    return domain if ours else str(subdomain_hook_idna(name, domain, kind))


def template_vars(settings: Settings, *, isolation: str = "sandbox") -> dict[str, Any]:
    """Return what our templates of the Hub's pages show besides what the Hub gives them."""
    return {
        "collab_site": settings.site.name,
        "collab_contact": settings.site.operator_contact,
        "collab_isolation": isolation,
        # JupyterHub calls these with the user of each page
        "collab_face": face,
        "collab_request": request_id,
    }
