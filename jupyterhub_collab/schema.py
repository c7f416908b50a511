"""All tables in one place, for migrations and for tests."""

from __future__ import annotations

from .audit import schema as audit
from .people import schema as people
from .projects import schema as projects
from .servers import schema as servers
from .tables import Table
from .volumes import schema as volumes

metadata = Table.metadata

__all__ = ["audit", "metadata", "people", "projects", "servers", "volumes"]
