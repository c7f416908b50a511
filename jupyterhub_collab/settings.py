"""What the Hub and its services must agree on: one validated model, read from a TOML file and the environment.

Options of the spawners, the authenticator and the services themselves are traits, in ``jupyterhub_config.py``.
"""

from __future__ import annotations

import difflib
import os
import tomllib
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import (
    BaseModel,
    ByteSize,
    ConfigDict,
    Field,
    SecretStr,
    ValidationError,
    field_validator,
    model_validator,
)
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict
from pydantic_settings.exceptions import SettingsError as UnreadableVariableError

from .access.models import SiteRight, Visibility
from .errors import SettingsError

FILE_VARIABLE = "JUPYTERHUB_COLLAB_SETTINGS"
ENV_PREFIX = "JUPYTERHUB_COLLAB__"

Name = Annotated[str, Field(pattern=r"^[a-z][a-z0-9-]{0,62}$", description="Lower-case letters, digits and hyphens.")]


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)


class Holders(_Section):
    """Who holds a site-wide right."""

    names: frozenset[str] = frozenset()
    """Account names."""
    groups: frozenset[str] = frozenset()
    """Identity groups; everyone in one of them holds the right."""

    def include(self, name: str, groups: frozenset[str]) -> bool:
        """Tell whether this person holds the right."""
        return name in self.names or bool(groups & self.groups)


class Creators(Holders):
    """Who may create projects."""

    everyone: bool = True
    """Every person; `names` and `groups` then add nothing."""

    def include(self, name: str, groups: frozenset[str]) -> bool:
        """Tell whether this person may create projects."""
        return self.everyone or super().include(name, groups)


class Rights(_Section):
    """Site-wide rights."""

    operator: Holders = Holders()
    """Operators see all projects and persons, and put projects in order. They have no way into files."""
    organiser: Holders = Holders()
    """Organisers make workshops."""
    moderator: Holders = Holders()
    """Moderators review what is published to everyone."""
    create_projects: Creators = Creators()
    """Who may create projects."""

    def of(self, name: str, groups: frozenset[str]) -> frozenset[SiteRight]:
        """Return the rights of a person."""
        held = {
            SiteRight.OPERATOR: self.operator,
            SiteRight.ORGANISER: self.organiser,
            SiteRight.MODERATOR: self.moderator,
            SiteRight.CREATE_PROJECTS: self.create_projects,
        }
        return frozenset(right for right, holders in held.items() if holders.include(name, groups))


class Allowed(_Section):
    """Who may use an entry of the catalogue. Without any of these lines: everyone."""

    projects: frozenset[str] = frozenset()
    """Slugs of projects that may use it."""
    groups: frozenset[str] = frozenset()
    """Identity groups whose persons may use it."""
    names: frozenset[str] = frozenset()
    """Persons who may use it."""

    @property
    def everyone(self) -> bool:
        """Whether nobody is named, so that everyone may."""
        return not (self.projects or self.groups or self.names)

    def include(self, *, name: str, groups: frozenset[str], project: str | None) -> bool:
        """Tell whether this person, in this project if any, may use the entry."""
        return self.everyone or project in self.projects or name in self.names or bool(groups & self.groups)


class CatalogueEntry(_Section):
    """What every entry of the catalogue has."""

    title: str = Field(default="", max_length=120)
    """What people see; the entry's name where it is missing."""
    description: str = Field(default="", max_length=300)
    """One line for the page."""
    allowed: Allowed = Allowed()
    """Who may use it."""


class DataVolume(CatalogueEntry):
    """A curated data volume that leads may attach to a project."""

    source: str
    """One machine: the absolute path of a folder. Kubernetes: the name of a claim."""
    path: str = Field(default="", pattern=r"^(/data/[A-Za-z0-9][A-Za-z0-9._-]*)?$")
    """Where servers see it; `/data/<name>` where it is missing."""
    writable_by_leads: bool = False
    """Whether a lead may attach it read-write. Almost always no."""


class Environment(CatalogueEntry):
    """What a server runs."""

    python: str = ""
    """One machine: the absolute path of a Python environment (a folder with `bin/`). Empty: the Hub's own."""
    image: str = ""
    """Kubernetes: the container image."""
    network: Literal["open", "none"] = "open"
    """`open`: the host's network. `none`: a network of its own with nothing in it."""


class ResourceClass(CatalogueEntry):
    """A named size."""

    cpu: float = Field(default=1, gt=0, le=1024)
    """CPU cores."""
    memory: ByteSize = Field(default=ByteSize(2 * 1024**3), ge=64 * 1024**2)
    """Memory, such as `2GiB`."""
    gpu: int = Field(default=0, ge=0, le=64)
    """GPUs (Kubernetes)."""
    gpu_resource: str = "nvidia.com/gpu"
    """The name by which the cluster knows them."""
    node_selector: dict[str, str] = {}
    """Labels that a node must have (Kubernetes)."""


class Limits(_Section):
    """Limits that hold for everyone."""

    servers_per_person: int = Field(default=3, ge=1)
    """Servers that one person may run at the same time."""
    servers_per_project: int = Field(default=100, ge=1)
    """Project servers that the members of one project may run at the same time."""
    cpu_per_person: float | None = Field(default=None, gt=0)
    """CPU cores that the running servers of one person may have together. Without it there is no such limit."""
    memory_per_person: ByteSize | None = Field(default=None, ge=64 * 1024**2)
    """Memory that the running servers of one person may have together."""
    cpu_per_project: float | None = Field(default=None, gt=0)
    """CPU cores that the running servers of one project may have together; workspace servers do not count."""
    memory_per_project: ByteSize | None = Field(default=None, ge=64 * 1024**2)
    """Memory that the running servers of one project may have together; workspace servers do not count."""
    projects_per_person: int = Field(default=50, ge=1)
    """Projects that one person may have created and not deleted."""
    idle_minutes: int = Field(default=120, ge=5)
    """A server that nobody used for so long is stopped."""
    undo_days: int = Field(default=30, ge=0)
    """Days in which a deleted project can be restored; then its files and rows go."""
    invitation_days: int = Field(default=90, ge=1)
    """The most days for which an invitation may be valid; one by name lasts 30 days, or so many where that is less."""
    invitation_uses: int = Field(default=1000, ge=1)
    """The most uses that an invitation link may have."""
    readme_bytes: int = Field(default=100_000, ge=1000)
    """The longest README, in bytes."""


class People(_Section):
    """What people may see and do to each other."""

    search: Literal["prefix", "exact"] = "prefix"
    """`prefix` finds persons by the first three characters of a name; `exact` only by the whole account name."""
    searches_per_minute: int = Field(default=60, ge=1)
    """How often one person may search."""
    consent: bool = True
    """Adding a person by name is an invitation that they accept. With `false` they are a member at once."""
    group_loss_limit: int = Field(default=20, ge=1)
    """One group may lose at most so many persons within an hour by logins and refreshes; more pauses and alerts the
    operator."""
    default_visibility: Visibility = Visibility.PRIVATE
    """What the form for a new project proposes."""


class Storage(_Section):
    """Where volumes are."""

    root: Path = Path("/srv/jupyterhub-collab")
    """One machine: the folder under which homes and project folders lie, one folder each."""
    shared_claim: str = ""
    """Kubernetes: the one claim whose sub-paths are the volumes. Empty: a claim for each volume."""
    storage_class: str = ""
    """Kubernetes: the storage class of the claims that are made. Empty: the cluster's default."""
    access_mode: Literal["ReadWriteMany", "ReadWriteOnce"] = "ReadWriteMany"
    """Kubernetes: how the claims that are made can be mounted. With `ReadWriteOnce` all servers run on one node."""
    node: str = ""
    """Kubernetes, with `ReadWriteOnce`: the host name of the one node on which servers run."""
    home_size: ByteSize = Field(default=ByteSize(10 * 1024**3), gt=0)
    """Kubernetes: the size of the claim of a home."""
    project_size: ByteSize = Field(default=ByteSize(10 * 1024**3), gt=0)
    """Kubernetes: the size of the claim of a project, unless an operator gave the project more."""
    scratch_days: int = Field(default=0, ge=0)
    """Every person gets scratch space at `~/scratch`, where a file that was not changed for so many days is deleted.
    0: there is no scratch space."""
    scratch_size: ByteSize = Field(default=ByteSize(50 * 1024**3), gt=0)
    """Kubernetes: the size of the claim of a person's scratch space."""
    public: bool = False
    """Whether every server shows one folder for the whole site at `~/public`, which everyone with an account reads."""
    public_editors: frozenset[str] = frozenset()
    """Slugs of the projects whose editors and leads write in it."""

    @model_validator(mode="after")
    def _one_node(self) -> Self:
        if self.access_mode == "ReadWriteOnce" and not self.node:
            msg = "ReadWriteOnce claims work on one node only: name it in storage.node, or use ReadWriteMany"
            raise ValueError(msg)
        return self


class Site(_Section):
    """The site itself."""

    name: str = "JupyterHub"
    """What the browser's title bar says."""
    operator_contact: str = ""
    """A mail address or web address by which people reach the operator; shown where they need one."""
    log_format: Literal["text", "json"] = "text"
    """What Hub and services write into their logs: lines of text, or a JSON object a line for what collects logs."""


class Database(_Section):
    """The core's own database, never the Hub's."""

    url: SecretStr = SecretStr("sqlite+aiosqlite:////srv/jupyterhub-collab/collab.sqlite")
    """`sqlite+aiosqlite:///<path>` or `postgresql+psycopg://user:password@host/name`."""
    pool_size: int = Field(default=5, ge=1)
    """Connections that each process keeps open (PostgreSQL)."""

    @field_validator("url")
    @classmethod
    def _driver(cls, url: SecretStr) -> SecretStr:
        if not url.get_secret_value().startswith(("sqlite+aiosqlite:///", "postgresql+psycopg://")):
            msg = "use sqlite+aiosqlite:///<path> or postgresql+psycopg://…"
            raise ValueError(msg)
        return url


class Settings(BaseSettings):
    """The settings that the Hub and its services share."""

    model_config = SettingsConfigDict(
        extra="forbid",
        frozen=True,
        env_prefix=ENV_PREFIX,
        env_nested_delimiter="__",
        use_attribute_docstrings=True,
    )

    site: Site = Site()
    """The site itself."""
    database: Database = Database()
    """The core's database."""
    storage: Storage = Storage()
    """Where volumes are."""
    rights: Rights = Rights()
    """Site-wide rights."""
    people: People = People()
    """What people may see and do to each other."""
    limits: Limits = Limits()
    """Limits that hold for everyone."""
    data: dict[Name, DataVolume] = {}
    """Curated data volumes, by name."""
    environments: dict[Name, Environment] = {"default": Environment(title="Default")}
    """Environments, by name. The first is what a new project gets."""
    resource_classes: dict[Name, ResourceClass] = {"small": ResourceClass(title="Small")}
    """Resource classes, by name. The first is what a new project gets."""

    @model_validator(mode="after")
    def _not_empty(self) -> Self:
        if not self.environments or not self.resource_classes:
            msg = "declare at least one environment and one resource class"
            raise ValueError(msg)
        for kind, entries in (("environments", self.environments), ("resource_classes", self.resource_classes)):
            if not any(entry.allowed.everyone for entry in entries.values()):
                msg = f"at least one of {kind} must be for everyone, or nobody could start a server"
                raise ValueError(msg)
        paths = [volume.path or f"/data/{name}" for name, volume in self.data.items()]
        if len(set(paths)) < len(paths):
            msg = "two data volumes have the same path"
            raise ValueError(msg)
        return self

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],  # noqa: ARG003 - the signature is the library's
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,  # noqa: ARG003
        file_secret_settings: PydanticBaseSettingsSource,  # noqa: ARG003
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Let the environment win over the file."""
        return env_settings, init_settings


def _nearest(location: tuple[int | str, ...]) -> str:
    """Return the sentence that names the valid key nearest to an unknown one."""
    model: Any = Settings
    for part in location[:-1]:
        field = getattr(model, "model_fields", {}).get(str(part))
        if field is None:
            continue  # the name of an entry in a table of entries
        model = field.annotation
        if getattr(model, "__args__", None):
            model = model.__args__[-1]
    known = list(getattr(model, "model_fields", {}))
    close = difflib.get_close_matches(str(location[-1]), known, n=1, cutoff=0.5)
    return f"Did you mean “{close[0]}”?" if close else f"Known here: {', '.join(known)}."


def _explain(error: ValidationError, source: str) -> str:
    lines = []
    for item in error.errors(include_url=False, include_input=False):
        where = ".".join(str(part) for part in item["loc"]) or "the settings"
        hint = _nearest(item["loc"]) if item["type"] == "extra_forbidden" else item["msg"]
        what = "is not a setting." if item["type"] == "extra_forbidden" else "can't be used:"
        lines.append(f"  {where} {what} {hint}")
    return f"The settings in {source} can't be used.\n" + "\n".join(lines)


def _check_variables() -> None:
    """Refuse variables whose section does not exist; the library looks only for those that it knows.

    Raises
    ------
    SettingsError
    """
    for variable in os.environ:
        if variable.upper().startswith(ENV_PREFIX):
            section = variable[len(ENV_PREFIX) :].split("__", 1)[0].lower()
            if section not in Settings.model_fields:
                msg = f"The variable {variable} is not a setting. {_nearest((section,))}"
                raise SettingsError(msg)


def load_settings(path: Path | str | None = None) -> Settings:
    """Read the settings from a TOML file and the environment.

    The file is `path`, else what ``JUPYTERHUB_COLLAB_SETTINGS`` names, else there is none. A variable such as
    ``JUPYTERHUB_COLLAB__DATABASE__URL`` wins over the file.

    Raises
    ------
    SettingsError
        The file is missing, is no TOML, or a key or value is wrong; the message names it and never shows a value.
    """
    name = str(path or os.environ.get(FILE_VARIABLE, ""))
    content: dict[str, Any] = {}
    if name:
        try:
            content = tomllib.loads(Path(name).read_text(encoding="utf-8"))
        except OSError as error:
            msg = f"The settings file {name} can't be read ({error.strerror}). Set {FILE_VARIABLE} to the right path."
            raise SettingsError(msg) from error
        except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
            msg = f"The settings file {name} is not TOML: {error}."
            raise SettingsError(msg) from error
    _check_variables()
    try:
        return Settings(**content)
    except UnreadableVariableError as error:
        # Not as its cause: that one quotes the value
        msg = f"A variable {ENV_PREFIX}… can't be used: {error}. Write a section as JSON, or one variable a setting."
        raise SettingsError(msg) from None
    except ValidationError as error:
        raise SettingsError(_explain(error, name or "the environment")) from None
