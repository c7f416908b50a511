"""Errors that only a web request can have."""

from __future__ import annotations

from http import HTTPStatus

from jupyterhub_collab.errors import CollabError


class XsrfError(CollabError):
    """A request with cookies that did not come from a page of ours."""

    code = "xsrf"
    status = HTTPStatus.FORBIDDEN
    title = "This did not come from a page of this Hub"

    def __init__(self) -> None:
        super().__init__(
            "Reload the page and do it again. Programs send a Hub token instead of cookies.", field="_xsrf"
        )


class MethodNotAllowedError(CollabError):
    """The address exists, but not for this method."""

    code = "method-not-allowed"
    status = HTTPStatus.METHOD_NOT_ALLOWED
    title = "This address can't do that"

    def __init__(self, allowed: list[str]) -> None:
        super().__init__(f"Use one of: {', '.join(allowed)}.", allowed=allowed)
        self.allowed = allowed


class NotJsonError(CollabError):
    """A body that is no JSON object."""

    code = "not-json"
    title = "The body is not JSON"

    def __init__(self, why: str) -> None:
        super().__init__(f"{why} Send one JSON object with Content-Type application/json.", field="body")


class BodyTooLargeError(CollabError):
    """A body larger than any request of ours needs."""

    code = "body-too-large"
    status = HTTPStatus.REQUEST_ENTITY_TOO_LARGE
    title = "This is too much at once"

    def __init__(self, limit: int) -> None:
        super().__init__(f"A request may have {limit:,} bytes. Files belong into the project folder.", field="body")


class TokenScopeError(CollabError):
    """The Hub does not let the asker's token start or stop servers."""

    code = "token-scope"
    status = HTTPStatus.FORBIDDEN
    title = "This token may not do that"

    def __init__(self, scope: str) -> None:
        super().__init__(
            f"It needs the Hub scope “{scope}”. Make a token with it on the Hub's Tokens page.", scope=scope
        )


class HubAwayError(CollabError):
    """The Hub does not answer."""

    code = "hub-away"
    status = HTTPStatus.SERVICE_UNAVAILABLE
    title = "The Hub does not answer"

    def __init__(self) -> None:
        super().__init__("Your servers go on running. Try again in a minute; if it stays so, tell the operator.")


class HubRefusedError(CollabError):
    """The Hub answered a request about a server with an error of its own."""

    code = "hub-refused"
    status = HTTPStatus.CONFLICT
    title = "The Hub could not do this"


class UnexpectedError(CollabError):
    """A fault of ours. The log has the rest."""

    code = "unexpected"
    status = HTTPStatus.INTERNAL_SERVER_ERROR
    title = "Something went wrong here"

    def __init__(self, request_id: str) -> None:
        super().__init__(
            f"It was logged. Try again; if it stays so, tell the operator this number: {request_id}.",
            request_id=request_id,
        )
