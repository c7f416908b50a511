"""What of the catalogue someone may use."""

from __future__ import annotations

from typing import TypeVar

from jupyterhub_collab.errors import InvalidInputError, NotAllowedHereError
from jupyterhub_collab.settings import CatalogueEntry, DataVolume, Environment, ResourceClass, Settings
from jupyterhub_collab.volumes.models import DataAttachment, Mode

C = TypeVar("C", bound=CatalogueEntry)


def _usable(entries: dict[str, C], name: str, groups: frozenset[str], project: str | None) -> dict[str, C]:
    return {k: e for k, e in entries.items() if e.allowed.include(name=name, groups=groups, project=project)}


def _check(entries: dict[str, C], usable: dict[str, C], wanted: str, field: str, what: str) -> C:
    if wanted not in entries:
        msg = f"There is no {what} “{wanted}”. Choose one of: {', '.join(usable) or 'none'}."
        raise InvalidInputError(msg, field=field)
    if wanted not in usable:
        msg = f"The {what} “{wanted}” is for groups or projects that the operator names. Ask them, or choose another."
        raise NotAllowedHereError(msg, field=field)
    return entries[wanted]


class Catalogue:
    """The catalogue of the settings. It knows no database: a person comes with their groups."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings

    def environments(self, name: str, groups: frozenset[str], project: str | None) -> dict[str, Environment]:
        """Return the environments that a person may use in a project (or in none)."""
        return _usable(self._settings.environments, name, groups, project)

    def resource_classes(self, name: str, groups: frozenset[str], project: str | None) -> dict[str, ResourceClass]:
        """Return the resource classes that a person may use in a project (or in none)."""
        return _usable(self._settings.resource_classes, name, groups, project)

    def data(self, name: str, groups: frozenset[str], project: str | None) -> dict[str, DataVolume]:
        """Return the data volumes that a person may attach to a project."""
        return _usable(self._settings.data, name, groups, project)

    def default_environment(self, name: str, groups: frozenset[str]) -> str:
        """Return the name of the first environment that a person may use; the settings hold one for everyone."""
        return next(iter(self.environments(name, groups, None)))

    def default_resource_class(self, name: str, groups: frozenset[str]) -> str:
        """Return the name of the first resource class that a person may use; the settings hold one for everyone."""
        return next(iter(self.resource_classes(name, groups, None)))

    def check_environment(
        self, wanted: str | None, name: str, groups: frozenset[str], project: str | None
    ) -> Environment:
        """Return an environment that a person may use in a project.

        Raises
        ------
        InvalidInputError, NotAllowedHereError
            There is none of this name, or it is not for them.
        """
        usable = self.environments(name, groups, project)
        return _check(self._settings.environments, usable, wanted or "", "environment", "environment")

    def check_resource_class(
        self, wanted: str | None, name: str, groups: frozenset[str], project: str | None
    ) -> ResourceClass:
        """Return a resource class that a person may use in a project; raises as `check_environment`."""
        usable = self.resource_classes(name, groups, project)
        return _check(self._settings.resource_classes, usable, wanted or "", "resource_class", "size")

    def check_data(self, wanted: str, name: str, groups: frozenset[str], project: str) -> DataVolume:
        """Return a data volume that a person may attach to a project; raises as `check_environment`."""
        return _check(self._settings.data, self.data(name, groups, project), wanted, "name", "data volume")

    @property
    def offers_data(self) -> bool:
        """Whether there is any data volume that a project can attach."""
        return bool(self._settings.data)

    def describe(self, attachments: list[DataAttachment]) -> list[DataAttachment]:
        """Return attachments with the path, mode, title and description that the settings give them now."""
        described = []
        for attachment in attachments:
            volume = self._settings.data.get(attachment.name)
            if volume is None:
                described.append(attachment)
                continue
            words = {"title": volume.title or attachment.name, "description": volume.description}
            path = volume.path or f"/data/{attachment.name}"
            mode = attachment.mode if volume.writable_by_leads else Mode.READ_ONLY
            described.append(attachment.model_copy(update={**words, "path": path, "mode": mode}))
        return described

    def source(self, name: str) -> str:
        """Return the folder or claim of a data volume that the settings hold."""
        return self._settings.data[name].source
