"""Search: the words that suggestions come from."""

import sqlalchemy as sa

from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "search_words",
        sa.Column("word", sa.String(length=40), nullable=False),
        sa.Column("tickets", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("word", name=op.f("pk_search_words")),
    )
    op.create_table(
        "search_position",
        sa.Column("single", sa.Boolean(), server_default=sa.text("true"), nullable=False),
        sa.Column("ticket_id", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
        sa.CheckConstraint("single", name=op.f("ck_search_position_single")),
        sa.PrimaryKeyConstraint("single", name=op.f("pk_search_position")),
    )
    op.execute("INSERT INTO search_position DEFAULT VALUES")


def downgrade() -> None:
    op.drop_table("search_position")
    op.drop_table("search_words")
