"""Saved views as queues of work."""

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql

from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("DELETE FROM saved_views")
    op.execute("-- squawk-ignore ban-drop-column\nALTER TABLE saved_views DROP COLUMN definition")
    op.add_column("saved_views", sa.Column("query", sa.Text(), server_default="", nullable=False))
    op.add_column("saved_views", sa.Column("icon", sa.String(length=40), server_default="filter", nullable=False))
    op.add_column("saved_views", sa.Column("version", sa.Integer(), server_default=sa.text("1"), nullable=False))
    op.create_check_constraint(op.f("ck_saved_views_name"), "saved_views", "btrim(name) <> ''")
    op.create_check_constraint(op.f("ck_saved_views_audience"), "saved_views", "user_id IS NULL OR role_id IS NULL")
    op.create_index(
        "uq_saved_views_name_lower",
        "saved_views",
        ["resource", sa.text("lower(name)"), sa.text("coalesce(user_id, 0)"), sa.text("coalesce(role_id, 0)")],
        unique=True,
    )
    op.create_table(
        "shipped_views",
        sa.Column("name", sa.String(length=201), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_shipped_views")),
    )
    op.create_index(
        "ix_tickets_live_resolver",
        "tickets",
        ["resolved_by_id", "resolved_at", "id"],
        postgresql_where=sa.text("deleted_at IS NULL AND resolved_by_id IS NOT NULL"),
    )
    op.create_index(
        "ix_tickets_live_reopened",
        "tickets",
        ["last_reopened_at", "id"],
        postgresql_where=sa.text("deleted_at IS NULL AND last_reopened_at IS NOT NULL"),
    )


def downgrade() -> None:
    op.drop_index("ix_tickets_live_reopened", table_name="tickets")
    op.drop_index("ix_tickets_live_resolver", table_name="tickets")
    op.drop_table("shipped_views")
    op.drop_index("uq_saved_views_name_lower", table_name="saved_views")
    op.drop_constraint(op.f("ck_saved_views_audience"), "saved_views", type_="check")
    op.drop_constraint(op.f("ck_saved_views_name"), "saved_views", type_="check")
    op.drop_column("saved_views", "version")
    op.drop_column("saved_views", "icon")
    op.drop_column("saved_views", "query")
    op.add_column(
        "saved_views",
        sa.Column(
            "definition", postgresql.JSONB(astext_type=sa.Text()), server_default=sa.text("'{}'::jsonb"), nullable=False
        ),
    )
