"""Lanes: long work is done in parts at the same time, each of which knows how far it is; one index less to keep."""

import sqlalchemy as sa

from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None

UNFINISHED = "state IN ('queued', 'running')"


def upgrade() -> None:
    op.create_table(
        "change_set_lanes",
        sa.Column("change_set_id", sa.BigInteger(), nullable=False),
        sa.Column("lane", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("until", sa.BigInteger(), nullable=True),
        sa.Column("position", sa.BigInteger(), nullable=True),
        sa.Column("done", sa.Boolean(), server_default=sa.text("false"), nullable=False),
        sa.ForeignKeyConstraint(
            ["change_set_id"],
            ["change_sets.id"],
            name=op.f("fk_change_set_lanes_change_set_id_change_sets"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("change_set_id", "lane", name=op.f("pk_change_set_lanes")),
    )
    op.execute(
        "INSERT INTO change_set_lanes (change_set_id, lane, position, done)"
        f" SELECT id, 0, position, NOT {UNFINISHED} FROM change_sets WHERE position IS NOT NULL OR {UNFINISHED}"
    )
    op.execute("-- squawk-ignore ban-drop-constraint\nALTER TABLE tickets DROP CONSTRAINT uq_tickets_external_id")
    op.create_index(
        "uq_tickets_external_id",
        "tickets",
        ["external_id"],
        unique=True,
        postgresql_where=sa.text("external_id IS NOT NULL"),
    )
    op.execute("-- squawk-ignore ban-drop-column\nALTER TABLE change_sets DROP COLUMN position")


def downgrade() -> None:
    op.add_column("change_sets", sa.Column("position", sa.BigInteger(), nullable=True))
    op.execute(
        "UPDATE change_sets c SET position = l.position FROM change_set_lanes l"
        " WHERE l.change_set_id = c.id AND l.lane = 0"
    )
    op.drop_table("change_set_lanes")
    op.drop_index("uq_tickets_external_id", "tickets")
    op.create_unique_constraint(op.f("uq_tickets_external_id"), "tickets", ["external_id"])
