"""Create the record of who got in, who was turned away, and what was taken out.

Revision ID: create_security_events
Revises: create_email_verifications
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "create_security_events"
down_revision = "create_email_verifications"
branch_labels = None
depends_on = None

INDEXES = {
    "ix_security_events_at": ["at", "id"],
    "ix_security_events_actor_id_at": ["actor_id", "at", "id"],
    "ix_security_events_actor_role_at": ["actor_role", "at", "id"],
    "ix_security_events_action_at": ["action", "at", "id"],
    "ix_security_events_subject_id_at": ["subject_id", "at", "id"],
    "ix_security_events_subject_type_at": ["subject_type", "at", "id"],
    "ix_security_events_request_id": ["request_id"],
}
CHECKS = {
    "actor_role_known": "actor_role IN ('Creator', 'Advertiser', 'Merchant', 'Operator', 'Anonymous', 'System')",
    "subject_type_known": "subject_type IN ('user', 'project', 'slot', 'sku', 'bid', 'commitment')",
    "action_known": r"action ~ '^[a-z_]+\.[a-z_]+$'",
    "request_id_plain": "request_id ~ '^[A-Za-z0-9._-]{1,128}$'",
    "client_digest": "client ~ '^[0-9a-f]{16}$'",
    "counted_has_tally": "(count IS NULL) = (tally IS NULL) AND count >= 1",
    "tally_length": "length(tally) = 32",
    "data_closed": """jsonb_typeof(data) = 'object' AND NOT jsonb_path_exists(data,
        '$.** ? (@.type() == "string" && !(@ like_regex "^[A-Za-z0-9_./-]{1,64}$"))')""",
}
# Nobody who came in by the service's own account wipes fresh traces: a line counts on, and goes when it is a week old.
GUARD = """
    CREATE FUNCTION guard_security_events() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
        IF TG_OP = 'DELETE' AND OLD.at < now() - interval '7 days' THEN
            RETURN OLD;
        END IF;
        IF TG_OP = 'UPDATE' AND NEW.count > OLD.count AND to_jsonb(NEW) - 'count' = to_jsonb(OLD) - 'count' THEN
            RETURN NEW;
        END IF;
        RAISE EXCEPTION 'this record is append-only'
            USING ERRCODE = 'check_violation', CONSTRAINT = 'append_only', TABLE = TG_TABLE_NAME;
    END $$
"""


def upgrade() -> None:
    op.create_table(
        "security_events",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("actor_id", sa.Uuid(), nullable=True),
        sa.Column("actor_role", sa.Text(), nullable=False),
        sa.Column("action", sa.Text(), nullable=False),
        sa.Column("subject_type", sa.Text(), nullable=False),
        sa.Column("subject_id", sa.Uuid(), nullable=True),
        sa.Column("client", sa.Text(), nullable=True),
        sa.Column("tally", sa.LargeBinary(), nullable=True),
        sa.Column("count", sa.Integer(), nullable=True),
        sa.Column("data", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("request_id", sa.Text(), nullable=True),
        *(sa.CheckConstraint(rule, name=op.f(f"ck_security_events_{name}")) for name, rule in CHECKS.items()),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_security_events")),
        sa.UniqueConstraint("tally", name=op.f("uq_security_events_tally")),
    )
    for name, columns in INDEXES.items():
        op.create_index(name, "security_events", columns)
    op.create_index(
        "ix_security_events_client_at",
        "security_events",
        ["client", "at", "id"],
        postgresql_where=sa.text("client IS NOT NULL"),
    )
    op.execute(GUARD)
    op.execute("""
        CREATE TRIGGER guard_append_only BEFORE UPDATE OR DELETE ON security_events
            FOR EACH ROW EXECUTE FUNCTION guard_security_events()
    """)
    op.execute("""
        CREATE TRIGGER guard_truncate BEFORE TRUNCATE ON security_events
            FOR EACH STATEMENT EXECUTE FUNCTION guard_append_only()
    """)


def downgrade() -> None:
    op.drop_table("security_events")
    op.execute("DROP FUNCTION guard_security_events()")
