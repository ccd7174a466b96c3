"""The desk: people, tickets, comments, attachments, tags, audit log, change sets, and what staff remember."""

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql

from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


NUMBERS = """
CREATE FUNCTION next_ticket_number() RETURNS text LANGUAGE sql VOLATILE AS $body$
  SELECT 'SUP-' || CASE WHEN n < 1000000 THEN lpad(n::text, 6, '0') ELSE n::text END
  FROM nextval('ticket_number_seq') AS n
$body$"""

ROLES = {
    "developer": ("Builds plugins and looks after the installation: may do everything.", ["*"]),
    "lead": (
        "Leads the desk: works on every record, runs bulk actions, sees the audit log.",
        [
            "ticket.*",
            "comment.*",
            "attachment.*",
            "tag.*",
            "user.view",
            "user.create",
            "user.edit",
            "user.export",
            "audit_log.view",
            "change_set.view",
            "import.run",
        ],
    ),
    "agent": (
        "Works on tickets.",
        [
            "ticket.view",
            "ticket.create",
            "ticket.edit",
            "ticket.close",
            "comment.*",
            "attachment.*",
            "tag.view",
            "user.view",
        ],
    ),
    "auditor": ("Reads everything, the audit log and the trash included, and changes nothing.", ["*.view"]),
}


def upgrade() -> None:
    op.execute("CREATE SEQUENCE ticket_number_seq AS bigint")
    op.execute(NUMBERS)
    op.create_table(
        "audit_logs",
        sa.Column("table_name", sa.String(length=100), nullable=False),
        sa.Column("record_id", sa.Text(collation="C"), nullable=False),
        sa.Column("action", sa.String(length=50), nullable=False),
        sa.Column("user_id", sa.BigInteger(), nullable=True),
        sa.Column("actor_kind", sa.String(length=20), nullable=False),
        sa.Column("database_user", sa.String(length=63), nullable=True),
        sa.Column("change_set_id", sa.BigInteger(), nullable=True),
        sa.Column("request_id", sa.String(length=64), nullable=True),
        sa.Column("reason", sa.Text(), nullable=True),
        sa.Column("changes", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column(
            "created_at", sa.DateTime(timezone=True), server_default=sa.text("clock_timestamp()"), nullable=False
        ),
        sa.Column("id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_audit_logs")),
    )
    op.create_index("ix_audit_logs_change_set", "audit_logs", ["change_set_id", "id"], unique=False)
    op.create_index("ix_audit_logs_created", "audit_logs", ["created_at"], unique=False, postgresql_using="brin")
    op.create_index("ix_audit_logs_record", "audit_logs", ["table_name", "record_id", "id"], unique=False)
    op.create_index("ix_audit_logs_user", "audit_logs", ["user_id", "id"], unique=False)
    op.create_table(
        "permissions",
        sa.Column("name", sa.String(length=150), nullable=False),
        sa.Column("label", sa.String(length=300), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_permissions")),
    )
    op.create_table(
        "roles",
        sa.Column("name", sa.String(length=50), nullable=False),
        sa.Column("description", sa.String(length=500), nullable=True),
        sa.Column("id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_roles")),
        sa.UniqueConstraint("name", name=op.f("uq_roles_name")),
    )
    op.create_table(
        "tags",
        sa.Column("name", sa.String(length=100), nullable=False),
        sa.Column("color", sa.String(length=7), server_default="#64748b", nullable=False),
        sa.Column("description", sa.String(length=500), nullable=True),
        sa.Column("is_active", sa.Boolean(), server_default=sa.text("true"), nullable=False),
        sa.Column("id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("version", sa.Integer(), server_default=sa.text("1"), nullable=False),
        sa.CheckConstraint("btrim(name) <> '' AND name = btrim(name)", name=op.f("ck_tags_name")),
        sa.CheckConstraint("color ~ '^#[0-9a-fA-F]{6}$'", name=op.f("ck_tags_color")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_tags")),
    )
    op.create_index("uq_tags_name_lower", "tags", [sa.literal_column("lower(name)")], unique=True)
    op.create_table(
        "throttles",
        sa.Column("key", sa.String(length=300), nullable=False),
        sa.Column("arrival", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("key", name=op.f("pk_throttles")),
    )
    op.create_table(
        "users",
        sa.Column("email", sa.String(length=255), nullable=False),
        sa.Column("full_name", sa.String(length=255), nullable=False),
        sa.Column("is_active", sa.Boolean(), server_default=sa.text("true"), nullable=False),
        sa.Column("is_staff", sa.Boolean(), server_default=sa.text("false"), nullable=False),
        sa.Column("password_hash", sa.String(length=255), nullable=True),
        sa.Column("time_zone", sa.String(length=64), nullable=True),
        sa.Column("last_login", sa.DateTime(timezone=True), nullable=True),
        sa.Column("external_id", sa.String(length=100), nullable=True),
        sa.Column("id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("version", sa.Integer(), server_default=sa.text("1"), nullable=False),
        sa.CheckConstraint("btrim(full_name) <> ''", name=op.f("ck_users_full_name")),
        sa.CheckConstraint("email = btrim(email) AND position('@' in email) > 1", name=op.f("ck_users_email")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_users")),
        sa.UniqueConstraint("external_id", name=op.f("uq_users_external_id")),
    )
    op.create_index("ix_users_full_name_lower", "users", [sa.literal_column("lower(full_name)")], unique=False)
    op.create_index("ix_users_staff", "users", ["id"], unique=False, postgresql_where=sa.text("is_staff"))
    op.create_index("uq_users_email_lower", "users", [sa.literal_column("lower(email)")], unique=True)
    op.create_table(
        "change_sets",
        sa.Column("user_id", sa.BigInteger(), nullable=True),
        sa.Column(
            "actor_kind",
            sa.Enum(
                "user", "system", "database", name="actor_kind", native_enum=False, create_constraint=True, length=40
            ),
            nullable=False,
        ),
        sa.Column("action", sa.String(length=150), nullable=False),
        sa.Column(
            "door",
            sa.Enum(
                "web", "cli", "api", "job", "code", name="door", native_enum=False, create_constraint=True, length=40
            ),
            nullable=False,
        ),
        sa.Column("reason", sa.Text(), nullable=True),
        sa.Column("reference", sa.String(length=100), nullable=True),
        sa.Column(
            "parameters", postgresql.JSONB(astext_type=sa.Text()), server_default=sa.text("'{}'::jsonb"), nullable=False
        ),
        sa.Column(
            "state",
            sa.Enum(
                "running",
                "completed",
                "failed",
                "cancelled",
                "undone",
                name="state",
                native_enum=False,
                create_constraint=True,
                length=40,
            ),
            server_default="running",
            nullable=False,
        ),
        sa.Column("changed", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.Column("unchanged", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.Column("failed", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.Column(
            "skipped", postgresql.JSONB(astext_type=sa.Text()), server_default=sa.text("'{}'::jsonb"), nullable=False
        ),
        sa.Column("request_id", sa.String(length=64), nullable=True),
        sa.Column("address", sa.String(length=100), nullable=True),
        sa.Column("user_agent", sa.String(length=400), nullable=True),
        sa.Column("idempotency_key", sa.String(length=64), nullable=True),
        sa.Column("undo_of_id", sa.BigInteger(), nullable=True),
        sa.Column("started_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("finished_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.CheckConstraint("changed >= 0 AND unchanged >= 0 AND failed >= 0", name=op.f("ck_change_sets_counts")),
        sa.ForeignKeyConstraint(
            ["undo_of_id"], ["change_sets.id"], name=op.f("fk_change_sets_undo_of_id_change_sets"), ondelete="RESTRICT"
        ),
        sa.ForeignKeyConstraint(
            ["user_id"], ["users.id"], name=op.f("fk_change_sets_user_id_users"), ondelete="RESTRICT"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_change_sets")),
    )
    op.create_index("ix_change_sets_actor", "change_sets", ["user_id", "id"], unique=False)
    op.create_index(
        "ix_change_sets_reference",
        "change_sets",
        ["reference"],
        unique=False,
        postgresql_where=sa.text("reference IS NOT NULL"),
    )
    op.create_index(
        "uq_change_sets_idempotency",
        "change_sets",
        ["user_id", "idempotency_key"],
        unique=True,
        postgresql_where=sa.text("idempotency_key IS NOT NULL"),
        postgresql_nulls_not_distinct=True,
    )
    op.create_table(
        "role_permissions",
        sa.Column("role_id", sa.BigInteger(), nullable=False),
        sa.Column("permission", sa.String(length=150), nullable=False),
        sa.ForeignKeyConstraint(
            ["role_id"], ["roles.id"], name=op.f("fk_role_permissions_role_id_roles"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("role_id", "permission", name=op.f("pk_role_permissions")),
    )
    op.create_table(
        "saved_views",
        sa.Column("resource", sa.String(length=100), nullable=False),
        sa.Column("name", sa.String(length=100), nullable=False),
        sa.Column("user_id", sa.BigInteger(), nullable=True),
        sa.Column("role_id", sa.BigInteger(), nullable=True),
        sa.Column("position", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.Column(
            "definition", postgresql.JSONB(astext_type=sa.Text()), server_default=sa.text("'{}'::jsonb"), nullable=False
        ),
        sa.Column("id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.ForeignKeyConstraint(
            ["role_id"], ["roles.id"], name=op.f("fk_saved_views_role_id_roles"), ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(
            ["user_id"], ["users.id"], name=op.f("fk_saved_views_user_id_users"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_saved_views")),
    )
    op.create_index("ix_saved_views_owner", "saved_views", ["user_id"], unique=False)
    op.create_index("ix_saved_views_role", "saved_views", ["role_id"], unique=False)
    op.create_table(
        "selections",
        sa.Column("user_id", sa.BigInteger(), nullable=True),
        sa.Column("resource", sa.String(length=100), nullable=False),
        sa.Column(
            "filter", postgresql.JSONB(astext_type=sa.Text()), server_default=sa.text("'{}'::jsonb"), nullable=False
        ),
        sa.Column("row_count", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.ForeignKeyConstraint(
            ["user_id"], ["users.id"], name=op.f("fk_selections_user_id_users"), ondelete="RESTRICT"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_selections")),
    )
    op.create_index("ix_selections_expires", "selections", ["expires_at"], unique=False)
    op.create_table(
        "tickets",
        sa.Column(
            "ticket_number", sa.String(length=50), server_default=sa.text("next_ticket_number()"), nullable=False
        ),
        sa.Column("title", sa.String(length=500), nullable=False),
        sa.Column("description", sa.Text(), nullable=False),
        sa.Column(
            "status",
            sa.Enum(
                "open",
                "in_progress",
                "waiting_on_customer",
                "resolved",
                "closed",
                name="status",
                native_enum=False,
                create_constraint=True,
                length=40,
            ),
            server_default="open",
            nullable=False,
        ),
        sa.Column(
            "priority",
            sa.Enum(
                "low", "medium", "high", "urgent", name="priority", native_enum=False, create_constraint=True, length=40
            ),
            server_default="medium",
            nullable=False,
        ),
        sa.Column(
            "priority_rank",
            sa.SmallInteger(),
            sa.Computed(
                "CASE priority WHEN 'urgent' THEN 4 WHEN 'high' THEN 3 WHEN 'medium' THEN 2 ELSE 1 END", persisted=True
            ),
            nullable=False,
        ),
        sa.Column(
            "source",
            sa.Enum(
                "web",
                "email",
                "phone",
                "api",
                "import",
                name="source",
                native_enum=False,
                create_constraint=True,
                length=40,
            ),
            server_default="web",
            nullable=False,
        ),
        sa.Column("creator_id", sa.BigInteger(), nullable=False),
        sa.Column("created_by_id", sa.BigInteger(), nullable=True),
        sa.Column(
            "due_at", sa.DateTime(timezone=True), server_default=sa.text("now() + interval '7 days'"), nullable=True
        ),
        sa.Column("resolved_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("first_resolved_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("resolved_by_id", sa.BigInteger(), nullable=True),
        sa.Column("closed_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("reopen_count", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.Column("last_reopened_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("first_response_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("last_customer_reply_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("last_staff_reply_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("external_id", sa.String(length=100), nullable=True),
        sa.Column("id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("version", sa.Integer(), server_default=sa.text("1"), nullable=False),
        sa.Column("deleted_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("deleted_by_id", sa.BigInteger(), nullable=True),
        sa.Column("delete_reason", sa.Text(), nullable=True),
        sa.Column("assignee_id", sa.BigInteger(), nullable=True),
        sa.CheckConstraint("(status = 'closed') = (closed_at IS NOT NULL)", name=op.f("ck_tickets_closed_at")),
        sa.CheckConstraint(
            "(status IN ('resolved', 'closed')) = (resolved_at IS NOT NULL)", name=op.f("ck_tickets_resolved_at")
        ),
        sa.CheckConstraint("btrim(title) <> ''", name=op.f("ck_tickets_title")),
        sa.CheckConstraint(
            "deleted_at IS NOT NULL OR (deleted_by_id IS NULL AND delete_reason IS NULL)",
            name=op.f("ck_tickets_deleted_by"),
        ),
        sa.CheckConstraint("first_response_at >= created_at", name=op.f("ck_tickets_response_after_created")),
        sa.CheckConstraint("reopen_count >= 0", name=op.f("ck_tickets_reopen_count")),
        sa.CheckConstraint("resolved_at >= created_at", name=op.f("ck_tickets_resolved_after_created")),
        sa.ForeignKeyConstraint(
            ["assignee_id"], ["users.id"], name=op.f("fk_tickets_assignee_id_users"), ondelete="SET NULL"
        ),
        sa.ForeignKeyConstraint(
            ["created_by_id"], ["users.id"], name=op.f("fk_tickets_created_by_id_users"), ondelete="RESTRICT"
        ),
        sa.ForeignKeyConstraint(
            ["creator_id"], ["users.id"], name=op.f("fk_tickets_creator_id_users"), ondelete="RESTRICT"
        ),
        sa.ForeignKeyConstraint(
            ["deleted_by_id"], ["users.id"], name=op.f("fk_tickets_deleted_by_id_users"), ondelete="RESTRICT"
        ),
        sa.ForeignKeyConstraint(
            ["resolved_by_id"], ["users.id"], name=op.f("fk_tickets_resolved_by_id_users"), ondelete="RESTRICT"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_tickets")),
        sa.UniqueConstraint("external_id", name=op.f("uq_tickets_external_id")),
        sa.UniqueConstraint("ticket_number", name=op.f("uq_tickets_ticket_number")),
    )
    op.create_index(
        "ix_tickets_due",
        "tickets",
        ["due_at"],
        unique=False,
        postgresql_where=sa.text("deleted_at IS NULL AND status IN ('open', 'in_progress')"),
    )
    op.create_index(
        "ix_tickets_live_assignee",
        "tickets",
        ["assignee_id", "status", "created_at", "id"],
        unique=False,
        postgresql_where=sa.text("deleted_at IS NULL"),
    )
    op.create_index(
        "ix_tickets_live_created",
        "tickets",
        ["created_at", "id"],
        unique=False,
        postgresql_where=sa.text("deleted_at IS NULL"),
    )
    op.create_index(
        "ix_tickets_live_creator",
        "tickets",
        ["creator_id", "created_at", "id"],
        unique=False,
        postgresql_where=sa.text("deleted_at IS NULL"),
    )
    op.create_index(
        "ix_tickets_live_priority",
        "tickets",
        ["priority_rank", "created_at", "id"],
        unique=False,
        postgresql_where=sa.text("deleted_at IS NULL"),
    )
    op.create_index(
        "ix_tickets_live_resolved",
        "tickets",
        ["resolved_at"],
        unique=False,
        postgresql_where=sa.text("deleted_at IS NULL AND resolved_at IS NOT NULL"),
    )
    op.create_index(
        "ix_tickets_live_status",
        "tickets",
        ["status", "created_at", "id"],
        unique=False,
        postgresql_where=sa.text("deleted_at IS NULL"),
    )
    op.create_index(
        "ix_tickets_trash",
        "tickets",
        ["deleted_at", "id"],
        unique=False,
        postgresql_where=sa.text("deleted_at IS NOT NULL"),
    )
    op.create_table(
        "user_roles",
        sa.Column("user_id", sa.BigInteger(), nullable=False),
        sa.Column("role_id", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(
            ["role_id"], ["roles.id"], name=op.f("fk_user_roles_role_id_roles"), ondelete="RESTRICT"
        ),
        sa.ForeignKeyConstraint(
            ["user_id"], ["users.id"], name=op.f("fk_user_roles_user_id_users"), ondelete="RESTRICT"
        ),
        sa.PrimaryKeyConstraint("user_id", "role_id", name=op.f("pk_user_roles")),
    )
    op.create_index("ix_user_roles_role", "user_roles", ["role_id", "user_id"], unique=False)
    op.create_table(
        "user_sessions",
        sa.Column("token_sha256", sa.LargeBinary(), nullable=False),
        sa.Column("user_id", sa.BigInteger(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("revoked_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("address", sa.String(length=100), nullable=True),
        sa.Column("user_agent", sa.String(length=400), nullable=True),
        sa.Column("id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.ForeignKeyConstraint(
            ["user_id"], ["users.id"], name=op.f("fk_user_sessions_user_id_users"), ondelete="RESTRICT"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_user_sessions")),
        sa.UniqueConstraint("token_sha256", name=op.f("uq_user_sessions_token_sha256")),
    )
    op.create_index("ix_user_sessions_user", "user_sessions", ["user_id", "created_at"], unique=False)
    op.create_table(
        "comments",
        sa.Column("ticket_id", sa.BigInteger(), nullable=False),
        sa.Column("author_id", sa.BigInteger(), nullable=False),
        sa.Column("content", sa.Text(), nullable=False),
        sa.Column("is_internal", sa.Boolean(), server_default=sa.text("true"), nullable=False),
        sa.Column("external_id", sa.String(length=100), nullable=True),
        sa.Column("id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("version", sa.Integer(), server_default=sa.text("1"), nullable=False),
        sa.CheckConstraint("btrim(content) <> ''", name=op.f("ck_comments_content")),
        sa.ForeignKeyConstraint(
            ["author_id"], ["users.id"], name=op.f("fk_comments_author_id_users"), ondelete="RESTRICT"
        ),
        sa.ForeignKeyConstraint(
            ["ticket_id"], ["tickets.id"], name=op.f("fk_comments_ticket_id_tickets"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_comments")),
        sa.UniqueConstraint("external_id", name=op.f("uq_comments_external_id")),
    )
    op.create_index("ix_comments_author", "comments", ["author_id", "created_at", "id"], unique=False)
    op.create_index("ix_comments_created", "comments", ["created_at", "id"], unique=False)
    op.create_index("ix_comments_ticket", "comments", ["ticket_id", "created_at", "id"], unique=False)
    op.create_table(
        "outbox",
        sa.Column("kind", sa.String(length=100), nullable=False),
        sa.Column("recipient_id", sa.BigInteger(), nullable=True),
        sa.Column(
            "payload", postgresql.JSONB(astext_type=sa.Text()), server_default=sa.text("'{}'::jsonb"), nullable=False
        ),
        sa.Column("change_set_id", sa.BigInteger(), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("available_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("sent_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("attempts", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.Column("id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.ForeignKeyConstraint(
            ["change_set_id"], ["change_sets.id"], name=op.f("fk_outbox_change_set_id_change_sets"), ondelete="SET NULL"
        ),
        sa.ForeignKeyConstraint(
            ["recipient_id"], ["users.id"], name=op.f("fk_outbox_recipient_id_users"), ondelete="RESTRICT"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_outbox")),
    )
    op.create_index(
        "ix_outbox_unsent", "outbox", ["available_at", "id"], unique=False, postgresql_where=sa.text("sent_at IS NULL")
    )
    op.create_table(
        "selection_items",
        sa.Column("selection_id", sa.BigInteger(), nullable=False),
        sa.Column("record_id", sa.BigInteger(), nullable=False),
        sa.Column("outcome", sa.String(length=200), nullable=True),
        sa.ForeignKeyConstraint(
            ["selection_id"],
            ["selections.id"],
            name=op.f("fk_selection_items_selection_id_selections"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("selection_id", "record_id", name=op.f("pk_selection_items")),
    )
    op.create_table(
        "ticket_search",
        sa.Column("ticket_id", sa.BigInteger(), nullable=False),
        sa.Column("document", postgresql.TSVECTOR(), nullable=False),
        sa.ForeignKeyConstraint(
            ["ticket_id"], ["tickets.id"], name=op.f("fk_ticket_search_ticket_id_tickets"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("ticket_id", name=op.f("pk_ticket_search")),
    )
    op.create_index("ix_ticket_search_document", "ticket_search", ["document"], unique=False, postgresql_using="gin")
    op.create_table(
        "ticket_status_events",
        sa.Column("ticket_id", sa.BigInteger(), nullable=False),
        sa.Column("from_status", sa.String(length=40), nullable=True),
        sa.Column("to_status", sa.String(length=40), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("actor_id", sa.BigInteger(), nullable=True),
        sa.Column("change_set_id", sa.BigInteger(), nullable=True),
        sa.Column("id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.ForeignKeyConstraint(
            ["ticket_id"], ["tickets.id"], name=op.f("fk_ticket_status_events_ticket_id_tickets"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_ticket_status_events")),
    )
    op.create_index("ix_ticket_status_events_at", "ticket_status_events", ["at", "to_status"], unique=False)
    op.create_index("ix_ticket_status_events_ticket", "ticket_status_events", ["ticket_id", "at", "id"], unique=False)
    op.create_table(
        "ticket_tags",
        sa.Column("ticket_id", sa.BigInteger(), nullable=False),
        sa.Column("tag_id", sa.BigInteger(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column(
            "created_by_id",
            sa.BigInteger(),
            server_default=sa.text("(NULLIF(current_setting('app.user_id'::text, true), ''::text))::bigint"),
            nullable=True,
        ),
        sa.ForeignKeyConstraint(
            ["created_by_id"], ["users.id"], name=op.f("fk_ticket_tags_created_by_id_users"), ondelete="RESTRICT"
        ),
        sa.ForeignKeyConstraint(["tag_id"], ["tags.id"], name=op.f("fk_ticket_tags_tag_id_tags"), ondelete="RESTRICT"),
        sa.ForeignKeyConstraint(
            ["ticket_id"], ["tickets.id"], name=op.f("fk_ticket_tags_ticket_id_tickets"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("ticket_id", "tag_id", name=op.f("pk_ticket_tags")),
    )
    op.create_index("ix_ticket_tags_tag", "ticket_tags", ["tag_id", "ticket_id"], unique=False)
    op.create_table(
        "attachments",
        sa.Column("ticket_id", sa.BigInteger(), nullable=False),
        sa.Column("comment_id", sa.BigInteger(), nullable=True),
        sa.Column("uploaded_by_id", sa.BigInteger(), nullable=True),
        sa.Column("filename", sa.String(length=255), nullable=False),
        sa.Column("content_type", sa.String(length=150), nullable=False),
        sa.Column("size_bytes", sa.BigInteger(), nullable=False),
        sa.Column("sha256", sa.String(length=64), nullable=False),
        sa.Column("storage_key", sa.String(length=200), nullable=False),
        sa.Column("is_internal", sa.Boolean(), server_default=sa.text("true"), nullable=False),
        sa.Column(
            "scan_status",
            sa.Enum(
                "pending", "clean", "infected", name="scan_status", native_enum=False, create_constraint=True, length=40
            ),
            server_default="pending",
            nullable=False,
        ),
        sa.Column("id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("version", sa.Integer(), server_default=sa.text("1"), nullable=False),
        sa.Column("deleted_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("deleted_by_id", sa.BigInteger(), nullable=True),
        sa.Column("delete_reason", sa.Text(), nullable=True),
        sa.CheckConstraint("sha256 ~ '^[0-9a-f]{64}$'", name=op.f("ck_attachments_sha256")),
        sa.CheckConstraint(
            "deleted_at IS NOT NULL OR (deleted_by_id IS NULL AND delete_reason IS NULL)",
            name=op.f("ck_attachments_deleted_by"),
        ),
        sa.CheckConstraint("size_bytes >= 0", name=op.f("ck_attachments_size_bytes")),
        sa.ForeignKeyConstraint(
            ["comment_id"], ["comments.id"], name=op.f("fk_attachments_comment_id_comments"), ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(
            ["deleted_by_id"], ["users.id"], name=op.f("fk_attachments_deleted_by_id_users"), ondelete="RESTRICT"
        ),
        sa.ForeignKeyConstraint(
            ["ticket_id"], ["tickets.id"], name=op.f("fk_attachments_ticket_id_tickets"), ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(
            ["uploaded_by_id"], ["users.id"], name=op.f("fk_attachments_uploaded_by_id_users"), ondelete="RESTRICT"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_attachments")),
        sa.UniqueConstraint("storage_key", name=op.f("uq_attachments_storage_key")),
    )
    op.create_index("ix_attachments_comment", "attachments", ["comment_id"], unique=False)
    op.create_index("ix_attachments_created", "attachments", ["created_at", "id"], unique=False)
    op.create_index("ix_attachments_ticket", "attachments", ["ticket_id", "id"], unique=False)
    for name, (description, permissions) in ROLES.items():
        op.execute(
            sa.text(
                "WITH role AS (INSERT INTO roles (name, description) VALUES (:name, :description) RETURNING id)"
                " INSERT INTO role_permissions (role_id, permission)"
                " SELECT role.id, unnest(CAST(:permissions AS text[])) FROM role"
            ).bindparams(
                sa.bindparam("permissions", permissions, postgresql.ARRAY(sa.Text)), name=name, description=description
            )
        )


def downgrade() -> None:
    op.drop_index("ix_attachments_ticket", table_name="attachments")
    op.drop_index("ix_attachments_created", table_name="attachments")
    op.drop_index("ix_attachments_comment", table_name="attachments")
    op.drop_table("attachments")
    op.drop_index("ix_ticket_tags_tag", table_name="ticket_tags")
    op.drop_table("ticket_tags")
    op.drop_index("ix_ticket_status_events_ticket", table_name="ticket_status_events")
    op.drop_index("ix_ticket_status_events_at", table_name="ticket_status_events")
    op.drop_table("ticket_status_events")
    op.drop_index("ix_ticket_search_document", table_name="ticket_search", postgresql_using="gin")
    op.drop_table("ticket_search")
    op.drop_table("selection_items")
    op.drop_index("ix_outbox_unsent", table_name="outbox", postgresql_where=sa.text("sent_at IS NULL"))
    op.drop_table("outbox")
    op.drop_index("ix_comments_ticket", table_name="comments")
    op.drop_index("ix_comments_created", table_name="comments")
    op.drop_index("ix_comments_author", table_name="comments")
    op.drop_table("comments")
    op.drop_index("ix_user_sessions_user", table_name="user_sessions")
    op.drop_table("user_sessions")
    op.drop_index("ix_user_roles_role", table_name="user_roles")
    op.drop_table("user_roles")
    op.drop_index("ix_tickets_trash", table_name="tickets", postgresql_where=sa.text("deleted_at IS NOT NULL"))
    op.drop_index("ix_tickets_live_status", table_name="tickets", postgresql_where=sa.text("deleted_at IS NULL"))
    op.drop_index(
        "ix_tickets_live_resolved",
        table_name="tickets",
        postgresql_where=sa.text("deleted_at IS NULL AND resolved_at IS NOT NULL"),
    )
    op.drop_index("ix_tickets_live_priority", table_name="tickets", postgresql_where=sa.text("deleted_at IS NULL"))
    op.drop_index("ix_tickets_live_creator", table_name="tickets", postgresql_where=sa.text("deleted_at IS NULL"))
    op.drop_index("ix_tickets_live_created", table_name="tickets", postgresql_where=sa.text("deleted_at IS NULL"))
    op.drop_index("ix_tickets_live_assignee", table_name="tickets", postgresql_where=sa.text("deleted_at IS NULL"))
    op.drop_index(
        "ix_tickets_due",
        table_name="tickets",
        postgresql_where=sa.text("deleted_at IS NULL AND status IN ('open', 'in_progress')"),
    )
    op.drop_table("tickets")
    op.drop_index("ix_selections_expires", table_name="selections")
    op.drop_table("selections")
    op.drop_index("ix_saved_views_role", table_name="saved_views")
    op.drop_index("ix_saved_views_owner", table_name="saved_views")
    op.drop_table("saved_views")
    op.drop_table("role_permissions")
    op.drop_index("uq_change_sets_idempotency", table_name="change_sets")
    op.drop_index(
        "ix_change_sets_reference", table_name="change_sets", postgresql_where=sa.text("reference IS NOT NULL")
    )
    op.drop_index("ix_change_sets_actor", table_name="change_sets")
    op.drop_table("change_sets")
    op.drop_index("uq_users_email_lower", table_name="users")
    op.drop_index("ix_users_staff", table_name="users", postgresql_where=sa.text("is_staff"))
    op.drop_index("ix_users_full_name_lower", table_name="users")
    op.drop_table("users")
    op.drop_table("throttles")
    op.drop_index("uq_tags_name_lower", table_name="tags")
    op.drop_table("tags")
    op.drop_table("roles")
    op.drop_table("permissions")
    op.drop_index("ix_audit_logs_user", table_name="audit_logs")
    op.drop_index("ix_audit_logs_record", table_name="audit_logs")
    op.drop_index("ix_audit_logs_created", table_name="audit_logs", postgresql_using="brin")
    op.drop_index("ix_audit_logs_change_set", table_name="audit_logs")
    op.drop_table("audit_logs")
    op.execute("DROP FUNCTION next_ticket_number()")
    op.execute("DROP SEQUENCE ticket_number_seq")
