"""The projects service as a process."""

from __future__ import annotations

import hashlib
from typing import Any
from urllib.parse import urlsplit

from jupyterhub.services.auth import HubOAuth, HubOAuthCallbackHandler
from tornado.routing import URLSpec
from tornado.web import Application

from jupyterhub_collab import __version__
from jupyterhub_collab.factory import Factory
from jupyterhub_collab_services.base.application import HealthHandler, MetricsHandler, Service
from jupyterhub_collab_services.base.handlers import CollabHandler
from jupyterhub_collab_services.base.metrics import count_request
from jupyterhub_collab_services.base.openapi import openapi
from jupyterhub_collab_services.base.rate import PerMinute
from jupyterhub_collab_services.base.routes import UnknownPathHandler

from .api import PREFIX, api
from .pages import NotFoundPage, pages
from .servers import HubServers


def cookie_secret(api_token: str) -> bytes:
    """Return the key of this service's cookies: as stable as its token, so that a restart logs nobody out."""
    return hashlib.blake2b(api_token.encode(), person=b"service-cookies").digest()


class OpenApiHandler(CollabHandler):
    """The OpenAPI document."""

    route = "/openapi.json"

    async def prepare(self) -> None:
        """Ask nobody who it is: the document tells no secret."""

    def get(self) -> None:
        """Write the document."""
        self.finish(document(self.settings["prefix"]))


def document(prefix: str) -> dict[str, Any]:
    """Return the OpenAPI document of the projects service."""
    return openapi(api, title="JupyterHub Collab: projects", version=__version__, server=f"{prefix}{PREFIX}")


def make_application(factory: Factory, hub_auth: HubOAuth, **settings: Any) -> Application:
    """Return the web application: pages, JSON API, and what the machinery asks for."""
    prefix = hub_auth.base_url
    routes: list[Any] = [
        URLSpec(f"{prefix}oauth_callback", HubOAuthCallbackHandler),
        URLSpec(f"{prefix}healthz", HealthHandler),
        URLSpec(f"{prefix}metrics", MetricsHandler),
        URLSpec(f"{prefix}openapi.json", OpenApiHandler),
        *api.handlers(prefix, PREFIX),
        URLSpec(f"{prefix}{PREFIX}/.*", UnknownPathHandler),
        *pages(prefix),
    ]
    return Application(
        routes,
        default_handler_class=NotFoundPage,
        factory=factory,
        hub_servers=HubServers(hub_auth.api_url),
        people_limit=PerMinute(factory.settings.people.searches_per_minute),
        prefix=prefix,
        service_name=ProjectsService.short_name,
        cookie_secret=cookie_secret(hub_auth.api_token),
        xsrf_cookies=True,
        log_function=count_request,
        server_origins=_server_origins(hub_auth.hub_host),
        **({"public_origin": ""} | settings),
    )


def _server_origins(hub_host: str) -> str:
    """Return where forms may lead besides: to people's servers, which may each have an origin below the Hub's.

    Browsers hold the answer to a form to the same rule as its address.
    """
    address = urlsplit(hub_host)
    return f" {address.scheme}://*.{address.netloc}" if address.netloc else ""


class ProjectsService(Service):
    """The projects service."""

    name = "jupyterhub-collab-projects"
    short_name = "projects"
    description = "Pages and JSON API in which people run their projects."

    def make_application(self, factory: Factory, hub_auth: HubOAuth) -> Application:
        """Return the web application."""
        return make_application(factory, hub_auth, public_origin=self.public_origin)


def main() -> None:
    """Run the projects service."""
    ProjectsService.launch_instance()


if __name__ == "__main__":
    main()
