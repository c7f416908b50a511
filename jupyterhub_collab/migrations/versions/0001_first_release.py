"""First release."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def key(length: int) -> sa.String:
    """Return the type of a text that compares by its bytes."""
    return sa.String(length).with_variant(sa.String(length, collation="C"), "postgresql")


def upgrade() -> None:  # noqa: PLR0915 - one statement for each table
    """Apply."""
    op.create_table(
        "audit_events",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=True, nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("actor", key(255), nullable=False),
        sa.Column("action", key(40), nullable=False),
        sa.Column("target", key(300), nullable=False),
        sa.Column("project", key(30), nullable=True),
        sa.Column("detail", sa.JSON(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_audit_events")),
    )
    with op.batch_alter_table("audit_events", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_audit_events_action_id"), ["action", "id"], unique=False)
        batch_op.create_index(batch_op.f("ix_audit_events_actor_id"), ["actor", "id"], unique=False)
        batch_op.create_index(batch_op.f("ix_audit_events_project_id"), ["project", "id"], unique=False)
        batch_op.create_index(batch_op.f("ix_audit_events_target_id"), ["target", "id"], unique=False)

    op.create_table(
        "group_losses",
        sa.Column("group_name", key(255), nullable=False),
        sa.Column("person", key(255), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("group_name", "person", name=op.f("pk_group_losses")),
    )
    op.create_table(
        "group_pauses",
        sa.Column("group_name", key(255), nullable=False),
        sa.Column("since", sa.DateTime(timezone=True), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("meant_at", sa.DateTime(timezone=True), nullable=True),
        sa.PrimaryKeyConstraint("group_name", name=op.f("pk_group_pauses")),
    )
    op.create_table(
        "persons",
        sa.Column("name", key(255), nullable=False),
        sa.Column("display_name", sa.String(length=255), nullable=False),
        sa.Column("search_name", key(255), nullable=False),
        sa.Column("search_display_name", key(255), nullable=False),
        sa.Column("kind", sa.String(length=20), nullable=False),
        sa.Column("first_seen", sa.DateTime(timezone=True), nullable=False),
        sa.Column("last_seen", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_persons")),
    )
    with op.batch_alter_table("persons", schema=None) as batch_op:
        batch_op.create_index(
            batch_op.f("ix_persons_search_display_name_name"), ["search_display_name", "name"], unique=False
        )
        batch_op.create_index(batch_op.f("ix_persons_search_name_name"), ["search_name", "name"], unique=False)

    op.create_table(
        "slugs",
        sa.Column("slug", key(30), nullable=False),
        sa.Column("given", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("slug", name=op.f("pk_slugs")),
    )
    op.create_table(
        "granted_plans",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=True, nullable=False),
        sa.Column("person", key(255), nullable=False),
        sa.Column("server_name", key(30), nullable=False),
        sa.Column("project", key(30), nullable=True),
        sa.Column("environment", sa.String(length=63), nullable=False),
        sa.Column("resource_class", sa.String(length=63), nullable=False),
        sa.Column("plan", sa.JSON(), nullable=False),
        sa.Column("granted_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("ended_at", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(["person"], ["persons.name"], name=op.f("fk_granted_plans_person"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_granted_plans")),
    )
    with op.batch_alter_table("granted_plans", schema=None) as batch_op:
        batch_op.create_index(
            "ix_granted_plans_open_project",
            ["project"],
            unique=False,
            postgresql_where=sa.text("ended_at IS NULL"),
            sqlite_where=sa.text("ended_at IS NULL"),
        )
        batch_op.create_index(batch_op.f("ix_granted_plans_person_id"), ["person", "id"], unique=False)
        batch_op.create_index(
            batch_op.f("ix_granted_plans_project_person_id"), ["project", "person", "id"], unique=False
        )
        batch_op.create_index(
            "uq_granted_plans_open",
            ["person", "server_name"],
            unique=True,
            postgresql_where=sa.text("ended_at IS NULL"),
            sqlite_where=sa.text("ended_at IS NULL"),
        )

    op.create_table(
        "person_groups",
        sa.Column("group_name", key(255), nullable=False),
        sa.Column("person", key(255), nullable=False),
        sa.ForeignKeyConstraint(["person"], ["persons.name"], name=op.f("fk_person_groups_person"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("group_name", "person", name=op.f("pk_person_groups")),
    )
    with op.batch_alter_table("person_groups", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_person_groups_person_group_name"), ["person", "group_name"], unique=False)

    op.create_table(
        "projects",
        sa.Column("slug", key(30), nullable=False),
        sa.Column("title", sa.String(length=120), nullable=False),
        sa.Column("description", sa.String(length=300), nullable=False),
        sa.Column("readme", sa.Text(), nullable=False),
        sa.Column("visibility", sa.String(length=20), nullable=False),
        sa.Column("state", sa.String(length=20), nullable=False),
        sa.Column("environment", sa.String(length=63), nullable=False),
        sa.Column("resource_class", sa.String(length=63), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("created_by", key(255), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("last_activity", sa.DateTime(timezone=True), nullable=False),
        sa.Column("deleted_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("deleted_by", sa.String(length=255), nullable=True),
        sa.Column("size", sa.BigInteger(), nullable=True),
        sa.ForeignKeyConstraint(["created_by"], ["persons.name"], name=op.f("fk_projects_created_by")),
        sa.ForeignKeyConstraint(["slug"], ["slugs.slug"], name=op.f("fk_projects_slug")),
        sa.PrimaryKeyConstraint("slug", name=op.f("pk_projects")),
    )
    with op.batch_alter_table("projects", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_projects_created_by"), ["created_by"], unique=False)
        batch_op.create_index(
            batch_op.f("ix_projects_deleted_at"),
            ["deleted_at"],
            unique=False,
            postgresql_where=sa.text("deleted_at IS NOT NULL"),
        )
        batch_op.create_index(
            "ix_projects_directory",
            ["last_activity", "slug"],
            unique=False,
            postgresql_where=sa.text("deleted_at IS NULL AND state = 'active'"),
            sqlite_where=sa.text("deleted_at IS NULL AND state = 'active'"),
        )
        batch_op.create_index(batch_op.f("ix_projects_title_slug"), ["title", "slug"], unique=False)

    op.create_table(
        "data_attachments",
        sa.Column("project", key(30), nullable=False),
        sa.Column("name", key(63), nullable=False),
        sa.Column("mode", sa.String(length=20), nullable=False),
        sa.Column("attached_by", sa.String(length=255), nullable=False),
        sa.Column("since", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["project"], ["projects.slug"], name=op.f("fk_data_attachments_project"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("project", "name", name=op.f("pk_data_attachments")),
    )
    op.create_table(
        "granted_mounts",
        sa.Column("grant_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("path", key(300), nullable=False),
        sa.Column("project", key(30), nullable=False),
        sa.Column("person", key(255), nullable=False),
        sa.Column("data", key(63), nullable=True),
        sa.Column("mode", sa.String(length=20), nullable=False),
        sa.ForeignKeyConstraint(
            ["grant_id"], ["granted_plans.id"], name=op.f("fk_granted_mounts_grant_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("grant_id", "path", "project", name=op.f("pk_granted_mounts")),
    )
    with op.batch_alter_table("granted_mounts", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_granted_mounts_project"), ["project"], unique=False)

    op.create_table(
        "group_grants",
        sa.Column("project", key(30), nullable=False),
        sa.Column("group_name", key(255), nullable=False),
        sa.Column("role", sa.SmallInteger(), nullable=False),
        sa.Column("granted_by", sa.String(length=255), nullable=False),
        sa.Column("since", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["project"], ["projects.slug"], name=op.f("fk_group_grants_project"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("project", "group_name", name=op.f("pk_group_grants")),
    )
    with op.batch_alter_table("group_grants", schema=None) as batch_op:
        batch_op.create_index(
            batch_op.f("ix_group_grants_group_name_project"),
            ["group_name", "project"],
            unique=False,
            postgresql_include=["role"],
        )

    op.create_table(
        "invitations",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=True, nullable=False),
        sa.Column("project", key(30), nullable=False),
        sa.Column("role", sa.SmallInteger(), nullable=False),
        sa.Column("person", key(255), nullable=True),
        sa.Column("code_hash", key(64), nullable=True),
        sa.Column("code_hint", sa.String(length=8), nullable=True),
        sa.Column("invited_by", sa.String(length=255), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("uses", sa.Integer(), nullable=False),
        sa.Column("uses_left", sa.Integer(), nullable=False),
        sa.Column("state", sa.String(length=20), nullable=False),
        sa.ForeignKeyConstraint(["person"], ["persons.name"], name=op.f("fk_invitations_person"), ondelete="CASCADE"),
        sa.ForeignKeyConstraint(
            ["project"], ["projects.slug"], name=op.f("fk_invitations_project"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_invitations")),
        sa.UniqueConstraint("code_hash", name=op.f("uq_invitations_code_hash")),
    )
    with op.batch_alter_table("invitations", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_invitations_person_id"), ["person", "id"], unique=False)
        batch_op.create_index(batch_op.f("ix_invitations_project_id"), ["project", "id"], unique=False)
        batch_op.create_index(
            "uq_invitations_open_person",
            ["project", "person"],
            unique=True,
            postgresql_where=sa.text("state = 'open' AND person IS NOT NULL"),
            sqlite_where=sa.text("state = 'open' AND person IS NOT NULL"),
        )

    op.create_table(
        "join_requests",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=True, nullable=False),
        sa.Column("project", key(30), nullable=False),
        sa.Column("person", key(255), nullable=False),
        sa.Column("message", sa.String(length=500), nullable=False),
        sa.Column("state", sa.String(length=20), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("decided_by", sa.String(length=255), nullable=True),
        sa.Column("decided_at", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(["person"], ["persons.name"], name=op.f("fk_join_requests_person"), ondelete="CASCADE"),
        sa.ForeignKeyConstraint(
            ["project"], ["projects.slug"], name=op.f("fk_join_requests_project"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_join_requests")),
    )
    with op.batch_alter_table("join_requests", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_join_requests_person_state_id"), ["person", "state", "id"], unique=False)
        batch_op.create_index(batch_op.f("ix_join_requests_project_state_id"), ["project", "state", "id"], unique=False)
        batch_op.create_index(
            "uq_join_requests_open",
            ["project", "person"],
            unique=True,
            postgresql_where=sa.text("state = 'open'"),
            sqlite_where=sa.text("state = 'open'"),
        )

    op.create_table(
        "members",
        sa.Column("project", key(30), nullable=False),
        sa.Column("person", key(255), nullable=False),
        sa.Column("role", sa.SmallInteger(), nullable=False),
        sa.Column("via", sa.String(length=300), nullable=False),
        sa.Column("since", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["person"], ["persons.name"], name=op.f("fk_members_person"), ondelete="CASCADE"),
        sa.ForeignKeyConstraint(["project"], ["projects.slug"], name=op.f("fk_members_project"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("project", "person", name=op.f("pk_members")),
    )
    with op.batch_alter_table("members", schema=None) as batch_op:
        batch_op.create_index(
            batch_op.f("ix_members_person_project"), ["person", "project"], unique=False, postgresql_include=["role"]
        )
        batch_op.create_index(batch_op.f("ix_members_project_role"), ["project", "role"], unique=False)

    op.create_table(
        "pins",
        sa.Column("person", key(255), nullable=False),
        sa.Column("project", key(30), nullable=False),
        sa.ForeignKeyConstraint(["person"], ["persons.name"], name=op.f("fk_pins_person"), ondelete="CASCADE"),
        sa.ForeignKeyConstraint(["project"], ["projects.slug"], name=op.f("fk_pins_project"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("person", "project", name=op.f("pk_pins")),
    )
    with op.batch_alter_table("pins", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_pins_project"), ["project"], unique=False)

    op.create_table(
        "project_words",
        sa.Column("word", key(40), nullable=False),
        sa.Column("project", key(30), nullable=False),
        sa.ForeignKeyConstraint(
            ["project"], ["projects.slug"], name=op.f("fk_project_words_project"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("word", "project", name=op.f("pk_project_words")),
    )
    with op.batch_alter_table("project_words", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_project_words_project_word"), ["project", "word"], unique=False)

    op.create_table(
        "server_stops",
        sa.Column("project", key(30), nullable=False),
        sa.Column("person", key(255), nullable=False),
        sa.Column("up_to_grant", sa.BigInteger(), nullable=False),
        sa.Column("asked_by", sa.String(length=255), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["person"], ["persons.name"], name=op.f("fk_server_stops_person"), ondelete="CASCADE"),
        sa.ForeignKeyConstraint(
            ["project"], ["projects.slug"], name=op.f("fk_server_stops_project"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("project", "person", name=op.f("pk_server_stops")),
    )
