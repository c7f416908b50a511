"""Data volumes attached to projects."""

from __future__ import annotations

from http import HTTPStatus

from jupyterhub_collab.access.models import Permission
from jupyterhub_collab.volumes.models import DataAttachment, Mode
from jupyterhub_collab_services.base.routes import Call

from .table import Body, Items, api, items_of


class Attach(Body):
    """How to attach a data volume."""

    mode: Mode = Mode.READ_ONLY


@api("GET", "/projects/{slug}/data", needs=Permission.READ_MEMBERS, returns=items_of(DataAttachment))
async def project_data(call: Call, slug: str) -> Items[DataAttachment]:
    """Return the data volumes that are attached to a project."""
    return Items(items=await call.factory.data.attached(call.who, slug))


@api("PUT", "/projects/{slug}/data/{name}", needs=Permission.MANAGE_DATA, body=Attach, returns=DataAttachment)
async def attach_data(call: Call, slug: str, name: str) -> DataAttachment:
    """Attach a data volume."""
    return await call.factory.data.attach(call.who, slug, name, call.body.mode)


@api("DELETE", "/projects/{slug}/data/{name}", needs=Permission.MANAGE_DATA, status=HTTPStatus.NO_CONTENT)
async def detach_data(call: Call, slug: str, name: str) -> None:
    """Detach a data volume; servers that mount it are stopped."""
    await call.factory.data.detach(call.who, slug, name)
