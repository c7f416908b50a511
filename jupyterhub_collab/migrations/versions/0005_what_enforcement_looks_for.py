"""Indexes of the little that enforcement looks for: persons who were removed, mounts of the public area."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Apply."""
    for name, table, column, where in (
        ("ix_persons_removed", "persons", "name", "(gone_at IS NOT NULL OR holder > 1)"),
        ("ix_granted_mounts_public", "granted_mounts", "grant_id", "kind = 'public'"),
    ):
        op.create_index(name, table, [column], postgresql_where=sa.text(where), sqlite_where=sa.text(where))
