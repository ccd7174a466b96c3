"""The table of books."""

import sqlalchemy as sa

from alembic import op

revision = "library_0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "library_books",
        sa.Column("id", sa.BigInteger(), sa.Identity(), primary_key=True),
        sa.Column("title", sa.String(100), nullable=False),
        sa.Column("shelf", sa.Integer(), nullable=False),
        sa.Column("is_lent", sa.Boolean(), nullable=False),
        sa.Column("follows_id", sa.BigInteger(), sa.ForeignKey("library_books.id")),
        sa.Column("version", sa.Integer(), server_default="1", nullable=False),
        sa.CheckConstraint("shelf <= 9", name="ck_library_books_shelf"),
    )


def downgrade() -> None:
    op.drop_table("library_books")
