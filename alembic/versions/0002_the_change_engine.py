"""The change engine: outcomes by row, work in chunks, recipes, and keys for scripts."""

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql

from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

BEFORE = ("running", "completed", "failed", "cancelled", "undone")


def _drop(what: str, kind: str) -> None:
    """Drop what no release has ever used; the check of migrations is told so."""
    op.execute(f"-- squawk-ignore ban-drop-{kind}\nALTER TABLE {what}")


def _states(names: tuple[str, ...]) -> None:
    _drop("change_sets DROP CONSTRAINT ck_change_sets_state", "constraint")
    listed = ", ".join(f"'{name}'" for name in names)
    op.create_check_constraint(op.f("ck_change_sets_state"), "change_sets", f"state IN ({listed})")


def _counts(names: tuple[str, ...]) -> None:
    _drop("change_sets DROP CONSTRAINT ck_change_sets_counts", "constraint")
    op.create_check_constraint(
        op.f("ck_change_sets_counts"), "change_sets", " AND ".join(f"{name} >= 0" for name in names)
    )


def upgrade() -> None:
    _states(("queued", *BEFORE))
    op.add_column("change_sets", sa.Column("problem", sa.Text(), nullable=True))
    op.add_column("change_sets", sa.Column("requested", sa.Integer(), server_default=sa.text("0"), nullable=False))
    op.add_column("change_sets", sa.Column("selection_id", sa.BigInteger(), nullable=True))
    op.add_column("change_sets", sa.Column("position", sa.BigInteger(), nullable=True))
    op.add_column("change_sets", sa.Column("progressed_at", sa.DateTime(timezone=True), nullable=True))
    _counts(("changed", "unchanged", "failed", "requested"))
    op.create_index(
        "ix_change_sets_unfinished",
        "change_sets",
        ["id"],
        postgresql_where=sa.text("state IN ('queued', 'running')"),
    )
    op.create_index(
        "ix_change_sets_undo_of", "change_sets", ["undo_of_id"], postgresql_where=sa.text("undo_of_id IS NOT NULL")
    )
    op.create_table(
        "row_outcomes",
        sa.Column("change_set_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("record_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("failed", sa.Boolean(), server_default=sa.text("false"), nullable=False),
        sa.Column("outcome", sa.String(length=300), nullable=False),
        sa.PrimaryKeyConstraint("change_set_id", "record_id", name=op.f("pk_row_outcomes")),
    )
    _drop("selection_items DROP CONSTRAINT fk_selection_items_selection_id_selections", "constraint")
    _drop("selection_items DROP COLUMN outcome", "column")
    op.execute("DELETE FROM selections")
    _drop("selections DROP COLUMN filter", "column")
    op.add_column("selections", sa.Column("filter", sa.Text(), server_default="", nullable=False))
    op.create_index("uq_outbox_change_set", "outbox", ["change_set_id", "kind", "recipient_id"], unique=True)
    op.create_table(
        "recipes",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("name", sa.String(length=100), nullable=False),
        sa.Column("resource", sa.String(length=100), nullable=False),
        sa.Column("action", sa.String(length=150), nullable=False),
        sa.Column("filter", sa.Text(), server_default="", nullable=False),
        sa.Column(
            "inputs",
            postgresql.JSONB(astext_type=sa.Text()),
            server_default=sa.text("'{}'::jsonb"),
            nullable=False,
        ),
        sa.Column("reason", sa.Text(), nullable=True),
        sa.Column("created_by_id", sa.BigInteger(), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("version", sa.Integer(), server_default=sa.text("1"), nullable=False),
        sa.CheckConstraint("btrim(name) <> ''", name=op.f("ck_recipes_name")),
        sa.ForeignKeyConstraint(
            ["created_by_id"], ["users.id"], name=op.f("fk_recipes_created_by_id_users"), ondelete="RESTRICT"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_recipes")),
    )
    op.create_index("uq_recipes_name_lower", "recipes", [sa.text("lower(name)")], unique=True)
    op.create_table(
        "api_tokens",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("token_sha256", sa.LargeBinary(), nullable=False),
        sa.Column("user_id", sa.BigInteger(), nullable=False),
        sa.Column("name", sa.String(length=100), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("last_used_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("revoked_at", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(
            ["user_id"], ["users.id"], name=op.f("fk_api_tokens_user_id_users"), ondelete="RESTRICT"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_api_tokens")),
        sa.UniqueConstraint("token_sha256", name=op.f("uq_api_tokens_token_sha256")),
    )
    op.create_index("ix_api_tokens_user", "api_tokens", ["user_id"])


def downgrade() -> None:
    op.drop_table("api_tokens")
    op.drop_table("recipes")
    op.drop_index("uq_outbox_change_set", table_name="outbox")
    op.drop_column("selections", "filter")
    op.add_column(
        "selections",
        sa.Column(
            "filter",
            postgresql.JSONB(astext_type=sa.Text()),
            server_default=sa.text("'{}'::jsonb"),
            nullable=False,
        ),
    )
    op.add_column("selection_items", sa.Column("outcome", sa.String(length=200), nullable=True))
    op.execute("DELETE FROM selection_items i WHERE NOT EXISTS (SELECT FROM selections s WHERE s.id = i.selection_id)")
    op.create_foreign_key(
        op.f("fk_selection_items_selection_id_selections"),
        "selection_items",
        "selections",
        ["selection_id"],
        ["id"],
        ondelete="CASCADE",
    )
    op.drop_table("row_outcomes")
    op.drop_index("ix_change_sets_undo_of", table_name="change_sets")
    op.drop_index("ix_change_sets_unfinished", table_name="change_sets")
    _counts(("changed", "unchanged", "failed"))
    for name in ("progressed_at", "position", "selection_id", "requested", "problem"):
        op.drop_column("change_sets", name)
    op.execute("UPDATE change_sets SET state = 'cancelled' WHERE state = 'queued'")
    _states(BEFORE)
