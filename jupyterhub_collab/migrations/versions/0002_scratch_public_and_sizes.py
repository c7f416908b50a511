"""Sizes of what runs, sizes of volumes, the public area, and persons who are gone."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

_GRANTS = sa.table(
    "granted_plans",
    sa.column("plan", sa.JSON),
    sa.column("cpu", sa.Float),
    sa.column("memory", sa.BigInteger),
    sa.column("ended_at", sa.DateTime),
)
_MOUNTS = sa.table("granted_mounts", sa.column("kind", sa.String), sa.column("data", sa.String))


def upgrade() -> None:
    """Apply."""
    with op.batch_alter_table("projects", schema=None) as batch_op:
        batch_op.add_column(sa.Column("volume_size", sa.BigInteger(), nullable=True))
        batch_op.create_index(
            "ix_projects_closed",
            ["slug"],
            unique=False,
            postgresql_include=["deleted_at", "state"],
            postgresql_where=sa.text("deleted_at IS NOT NULL OR state = 'archived'"),
            sqlite_where=sa.text("deleted_at IS NOT NULL OR state = 'archived'"),
        )
    with op.batch_alter_table("persons", schema=None) as batch_op:
        batch_op.add_column(sa.Column("gone_at", sa.DateTime(timezone=True), nullable=True))
        batch_op.add_column(sa.Column("holder", sa.Integer(), nullable=False, server_default="1"))
    with op.batch_alter_table("granted_plans", schema=None) as batch_op:
        batch_op.add_column(sa.Column("cpu", sa.Float(), nullable=False, server_default="0"))
        batch_op.add_column(sa.Column("memory", sa.BigInteger(), nullable=False, server_default="0"))
    with op.batch_alter_table("granted_mounts", schema=None) as batch_op:
        batch_op.add_column(sa.Column("kind", sa.String(length=20), nullable=False, server_default="project"))
    _fill()


def _fill() -> None:
    """Note of the servers that run through the upgrade what enforcement reads of them from now on."""
    size = _GRANTS.c.plan["resource_class"]
    running = _GRANTS.c.ended_at.is_(None)
    memory = sa.cast(size["memory"].as_string(), sa.BigInteger)  # PostgreSQL's integer ends at 2 GiB
    op.execute(sa.update(_GRANTS).where(running).values(cpu=size["cpu"].as_float(), memory=memory))
    op.execute(sa.update(_MOUNTS).where(_MOUNTS.c.data.is_not(None)).values(kind="data"))
