"""An identity provider on loopback: OpenID Connect and CAS, with knobs for what it says and whether it works."""

from __future__ import annotations

import base64
import hashlib
import secrets
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlencode
from xml.sax.saxutils import escape

from aiohttp import web


@dataclass
class Provider:
    """What the provider says; `asked` counts the questions for userinfo."""

    url: str = ""
    userinfo: dict[str, Any] = field(default_factory=lambda: {"preferred_username": "ada", "name": "Ada Lovelace"})
    attributes: list[tuple[str, str]] = field(default_factory=list)
    expired: bool = False
    """Refuse every token, new ones too."""
    stale: bool = False
    """Refuse the token until it is refreshed."""
    asked: int = 0
    challenges: dict[str, str] = field(default_factory=dict)

    async def authorize(self, request: web.Request) -> web.Response:
        code = secrets.token_hex(8)
        self.challenges[code] = request.query["code_challenge"]
        back = urlencode({"code": code, "state": request.query["state"]})
        raise web.HTTPFound(f"{request.query['redirect_uri']}?{back}")

    async def token(self, request: web.Request) -> web.Response:
        form = await request.post()
        if form["grant_type"] == "authorization_code":
            digest = hashlib.sha256(str(form["code_verifier"]).encode()).digest()
            if base64.urlsafe_b64encode(digest).decode().rstrip("=") != self.challenges.pop(str(form["code"]), ""):
                raise web.HTTPBadRequest
        elif self.expired:
            raise web.HTTPBadRequest
        self.stale = False
        return web.json_response({"access_token": "made-up", "refresh_token": "made-up-too", "token_type": "Bearer"})

    async def info(self, _request: web.Request) -> web.Response:
        self.asked += 1
        if self.expired or self.stale:
            raise web.HTTPUnauthorized
        return web.json_response(self.userinfo)

    async def login(self, request: web.Request) -> web.Response:
        raise web.HTTPFound(f"{request.query['service']}?ticket=ST-1-good")

    async def validate(self, request: web.Request) -> web.Response:
        if request.query["ticket"] != "ST-1-good":
            answer = '<cas:authenticationFailure code="INVALID_TICKET">no</cas:authenticationFailure>'
        else:
            said = "".join(f"<cas:{name}>{escape(value)}</cas:{name}>" for name, value in self.attributes)
            user = self.userinfo["preferred_username"]
            attributes = f"<cas:attributes>{said}</cas:attributes>"
            answer = f"<cas:authenticationSuccess><cas:user>{user}</cas:user>{attributes}</cas:authenticationSuccess>"
        body = f'<cas:serviceResponse xmlns:cas="http://www.yale.edu/tp/cas">{answer}</cas:serviceResponse>'
        return web.Response(text=body, content_type="text/xml")


@asynccontextmanager
async def serving() -> AsyncIterator[Provider]:
    """Serve a provider on a free port."""
    provider = Provider()
    app = web.Application()
    app.router.add_get("/authorize", provider.authorize)
    app.router.add_post("/token", provider.token)
    app.router.add_get("/userinfo", provider.info)
    app.router.add_get("/cas/login", provider.login)
    app.router.add_get("/cas/serviceValidate", provider.validate)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    provider.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    try:
        yield provider
    finally:
        await runner.cleanup()
