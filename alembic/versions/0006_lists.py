"""Indexes of lists: one for each order that a list declares, and for filters whose values few rows have."""

import sqlalchemy as sa

from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None

LIVE = sa.text("deleted_at IS NULL")


def upgrade() -> None:
    op.execute("-- squawk-ignore require-concurrent-index-deletion\nDROP INDEX ix_tickets_live_resolved")
    op.create_index("ix_tickets_live_resolved", "tickets", ["resolved_at", "id"], postgresql_where=LIVE)
    op.create_index("ix_tickets_live_due", "tickets", ["due_at", "id"], postgresql_where=LIVE)
    op.create_index(
        "ix_attachments_live_uploader", "attachments", ["uploaded_by_id", "created_at", "id"], postgresql_where=LIVE
    )
    op.create_index("ix_attachments_live_size", "attachments", ["size_bytes", "id"], postgresql_where=LIVE)
    op.create_index("ix_change_sets_started", "change_sets", ["started_at", "id"])
    op.create_index("ix_change_sets_state", "change_sets", ["state", "id"])
    op.create_index("ix_change_sets_action", "change_sets", ["action", "id"])
    op.create_index("ix_users_created", "users", ["created_at", "id"])
    op.execute("-- squawk-ignore require-concurrent-index-deletion\nDROP INDEX ix_users_full_name_lower")
    op.create_index("ix_users_full_name_lower", "users", [sa.text("lower(full_name)"), "id"])


def downgrade() -> None:
    op.drop_index("ix_users_full_name_lower", table_name="users")
    op.create_index("ix_users_full_name_lower", "users", [sa.text("lower(full_name)")])
    op.drop_index("ix_users_created", table_name="users")
    op.drop_index("ix_change_sets_action", table_name="change_sets")
    op.drop_index("ix_change_sets_state", table_name="change_sets")
    op.drop_index("ix_change_sets_started", table_name="change_sets")
    op.drop_index("ix_attachments_live_size", table_name="attachments")
    op.drop_index("ix_attachments_live_uploader", table_name="attachments")
    op.drop_index("ix_tickets_live_due", table_name="tickets")
    op.drop_index("ix_tickets_live_resolved", table_name="tickets")
    op.create_index(
        "ix_tickets_live_resolved",
        "tickets",
        ["resolved_at"],
        postgresql_where=sa.text("deleted_at IS NULL AND resolved_at IS NOT NULL"),
    )
