"""Indexes of lists are not searched for equal entries: each ends with the id, so there are none but dead ones."""

from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None

ORDERS = ("created", "status", "assignee", "creator", "priority", "resolved", "due")


def upgrade() -> None:
    for order in ORDERS:
        op.execute(f"ALTER INDEX ix_tickets_live_{order} SET (deduplicate_items = off)")


def downgrade() -> None:
    for order in ORDERS:
        op.execute(f"ALTER INDEX ix_tickets_live_{order} RESET (deduplicate_items)")
