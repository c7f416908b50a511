"""What the API of the projects service is made of: its table of routes and the shapes that its parts share."""

from __future__ import annotations

from http import HTTPStatus
from typing import Generic, TypeVar
from urllib.parse import urlencode

from pydantic import BaseModel, ConfigDict, Field, create_model

from jupyterhub_collab.access.models import Role
from jupyterhub_collab.errors import LoginRequiredError
from jupyterhub_collab.projects.models import Project
from jupyterhub_collab_services.base.routes import Answer, Call, Routes

PREFIX = "api/v1"
PERSON = "an account"
ANYONE = "nothing"

api = Routes()
T = TypeVar("T")


class Items(BaseModel, Generic[T]):
    """Some items of a list, and the address of the next ones."""

    items: list[T]
    next: str | None = None


class Body(BaseModel):
    """What a request may hold: the fields that are named, and no others."""

    model_config = ConfigDict(extra="forbid")


class Cursor(Body):
    """Where a page of a list begins."""

    cursor: str = Field(default="", max_length=500)


class EventCursor(Body):
    """Where a page of events begins."""

    cursor: int | None = Field(default=None, ge=1, lt=2**63)


class RoleBody(Body):
    """A role to give."""

    role: Role


def items_of(model: type[BaseModel]) -> type[BaseModel]:
    """Return the model of a list, with a name that reads well in the OpenAPI document."""
    return create_model(f"{model.__name__}List", __base__=Items[model])  # type: ignore[valid-type]


def me_of(call: Call) -> str:
    """Return who asks.

    Raises
    ------
    LoginRequiredError
    """
    if call.who is None:
        raise LoginRequiredError
    return call.who


def token_of(call: Call) -> str:
    """Return the token with which the person came.

    Raises
    ------
    LoginRequiredError
    """
    if call.token is None:
        raise LoginRequiredError
    return call.token


def address(call: Call, path: str = "", **query: str | int | None) -> str:
    """Return an absolute path of the API."""
    prefix = call.handler.settings["prefix"]
    wanted = {key: value for key, value in query.items() if value not in (None, "")}
    return f"{prefix}{PREFIX}{path}" + (f"?{urlencode(wanted)}" if wanted else "")


def project_answer(project: Project, status: HTTPStatus = HTTPStatus.OK, **headers: str) -> Answer:
    """Return the answer with a project and its version as ETag."""
    return Answer(body=project, status=status, headers={"ETag": project.etag, **headers})
