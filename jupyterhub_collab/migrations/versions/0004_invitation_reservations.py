"""Uses of invitation links that a sign-up holds."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Apply."""
    op.create_table(
        "invitation_reservations",
        sa.Column("invitation", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("name", sa.String(255).with_variant(sa.String(255, collation="C"), "postgresql"), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["invitation"],
            ["invitations.id"],
            name=op.f("fk_invitation_reservations_invitation"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("invitation", "name", name=op.f("pk_invitation_reservations")),
    )
    with op.batch_alter_table("invitation_reservations", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_invitation_reservations_name"), ["name"], unique=False)
