"""A service as a process: its options, its start and its end."""

from __future__ import annotations

import asyncio
import logging
import os
import signal
from typing import Final, cast
from urllib.parse import unquote, urlsplit

from jupyterhub.httpclient import JupyterHubHTTPClient
from jupyterhub.services.auth import HubOAuth
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession
from tornado.httpserver import HTTPServer
from tornado.netutil import bind_sockets, bind_unix_socket
from tornado.web import Application
from traitlets import Bool, Unicode, default
from traitlets.config import Application as TraitsApplication

from jupyterhub_collab import logs
from jupyterhub_collab.access.models import SiteRight
from jupyterhub_collab.errors import ForbiddenError, LoginRequiredError, SettingsError
from jupyterhub_collab.factory import Factory
from jupyterhub_collab.migrations import upgrade
from jupyterhub_collab.settings import Settings, load_settings

from .body_limit import DRAINED, LimitedServer
from .handlers import CollabHandler
from .lifecycle import end_with_parent
from .tracing import name_requests

log = logging.getLogger(__name__)

_BELIEVED_SECONDS: Final = 1  # 0 would mean for ever
_READ_METRICS: Final = "read:metrics"  # what the Hub asks of whoever reads its own


class HealthHandler(CollabHandler):
    """Tells whether the service and its database answer."""

    route = "/healthz"

    async def prepare(self) -> None:
        """Ask nobody who it is."""

    async def get(self) -> None:
        """Look at the database."""

        async def look(session: AsyncSession) -> None:
            await session.execute(text("SELECT 1"))

        await self.factory.database.read(look)
        self.finish({"status": "ok"})


class MetricsHandler(CollabHandler):
    """Prometheus metrics: send a Hub token of an operator, or one with the scope `read:metrics`."""

    route = "/metrics"

    @property
    def hub_scopes(self) -> set[str]:
        """The scopes of which one opens this address."""
        return {*self.hub_auth.access_scopes, _READ_METRICS}

    async def get(self) -> None:
        """Write the metrics.

        Raises
        ------
        LoginRequiredError, ForbiddenError
        """
        if self.current_user is None:
            raise LoginRequiredError
        if not await self._may():
            msg = f"Metrics are for operators, and for tokens with the scope “{_READ_METRICS}”."
            raise ForbiddenError(msg)
        self.set_header("Content-Type", CONTENT_TYPE_LATEST)
        self.finish(generate_latest())

    async def _may(self) -> bool:
        if _READ_METRICS in self.current_user["scopes"]:
            return True
        return self.who is not None and SiteRight.OPERATOR in await self.factory.people.rights(self.who)


class Service(TraitsApplication):
    """A Hub service. JupyterHub starts it and passes its address and token in the environment."""

    name = "jupyterhub-collab-service"
    short_name = ""
    """What metrics and log call it."""
    aliases = {"settings": "Service.settings_file", "url": "Service.url"}  # noqa: RUF012 - traitlets' own way

    settings_file = Unicode(
        help="The TOML file that the Hub and its services share; else JUPYTERHUB_COLLAB_SETTINGS names it."
    ).tag(config=True)
    url = Unicode(
        help="Where to listen: http://<address>:<port> or http+unix://<quoted path of a socket>. JupyterHub says it."
    ).tag(config=True)
    end_with_hub = Bool(
        default_value=True,
        help="End when the process that started this one ends. Set to False where something else starts it.",
    ).tag(config=True)
    public_origin = Unicode(
        help="Scheme and host of links that people send to each other; else what the Hub's public_url says, or where"
        " that is not set, the address that the browser used."
    ).tag(config=True)

    @default("public_origin")
    def _as_the_hub_says(self) -> str:
        told = os.environ.get("JUPYTERHUB_PUBLIC_URL") or os.environ.get("JUPYTERHUB_PUBLIC_HUB_URL", "")
        address = urlsplit(told)
        return f"{address.scheme}://{address.netloc}" if address.netloc else ""

    @default("log_level")
    def _every_request(self) -> int:
        return logging.INFO

    def make_application(self, factory: Factory, hub_auth: HubOAuth) -> Application:
        """Return the web application."""
        raise NotImplementedError

    def hub_auth(self) -> HubOAuth:
        """Return what asks the Hub who somebody is; its word is believed for a second, not for JupyterHub's 300."""
        return HubOAuth.instance(parent=self, cache_max_age=_BELIEVED_SECONDS)

    def start(self) -> None:
        """Run until a signal ends it."""
        if self.end_with_hub:
            end_with_parent(os.getppid())
        try:
            settings = load_settings(self.settings_file or None)
        except SettingsError as error:
            self.exit(f"{error}")
        logs.configure(settings, self.short_name, cast("int", self.log_level))
        asyncio.run(self._run(settings))

    async def _run(self, settings: Settings) -> None:
        factory = Factory.open(settings)
        await upgrade(factory.database)
        JupyterHubHTTPClient.instance(session_options={"trace_configs": [name_requests()]})
        server = LimitedServer(self.make_application(factory, self.hub_auth()), max_body_size=DRAINED, xheaders=True)
        self._listen(server)
        ended = asyncio.Event()
        for number in (signal.SIGINT, signal.SIGTERM):
            asyncio.get_running_loop().add_signal_handler(number, ended.set)
        await ended.wait()
        server.stop()
        await server.close_all_connections()
        await factory.close()

    def _listen(self, server: HTTPServer) -> None:
        url = urlsplit(self.url or os.environ["JUPYTERHUB_SERVICE_URL"])
        if url.scheme == "http+unix":
            server.add_socket(bind_unix_socket(unquote(url.netloc), mode=0o600))
        else:
            server.add_sockets(bind_sockets(url.port or 80, url.hostname))
        log.info("listening")
