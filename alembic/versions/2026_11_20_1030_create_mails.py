"""Create the outbox of mails and the ways back in, and let users switch mails off.

Revision ID: create_mails
Revises: index_committed_deals
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "create_mails"
down_revision = "index_committed_deals"
branch_labels = None
depends_on = None

KINDS = "'password_reset', 'bid_placed', 'terms_changed', 'bid_approved', 'hold_ending', 'bid_committed', 'delivered'"


def upgrade() -> None:
    op.add_column(
        "users", sa.Column("mail_notifications", sa.Boolean(), server_default=sa.text("true"), nullable=False)
    )
    op.create_table(
        "password_resets",
        sa.Column("user_id", sa.Uuid(), nullable=False),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("token_hash", sa.LargeBinary(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint("length(token_hash) = 32", name=op.f("ck_password_resets_token_hash_length")),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], name=op.f("fk_password_resets_user_id")),
        sa.PrimaryKeyConstraint("user_id", name=op.f("pk_password_resets")),
        sa.UniqueConstraint("id", name=op.f("uq_password_resets_id")),
        sa.UniqueConstraint("token_hash", name=op.f("uq_password_resets_token_hash")),
    )
    op.create_table(
        "mails",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("recipient_id", sa.Uuid(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("ids", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("once", sa.Text(), nullable=True),
        sa.Column("status", sa.Text(), nullable=False),
        sa.Column("tries", sa.Integer(), nullable=False),
        sa.Column("due_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("ended_at", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint(f"kind IN ({KINDS})", name=op.f("ck_mails_kind_known")),
        sa.CheckConstraint("status IN ('Queued', 'Sent', 'Dropped', 'Failed')", name=op.f("ck_mails_status_known")),
        sa.CheckConstraint("(status = 'Queued') = (ended_at IS NULL)", name=op.f("ck_mails_ended_has_time")),
        sa.CheckConstraint("char_length(once) BETWEEN 1 AND 200", name=op.f("ck_mails_once_length")),
        sa.CheckConstraint("tries >= 0", name=op.f("ck_mails_tries_not_negative")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_mails")),
        sa.UniqueConstraint("recipient_id", "kind", "once", name=op.f("uq_mails_recipient_id_kind_once")),
    )
    op.create_index(
        "ix_mails_due_at", "mails", ["due_at", "id"], unique=False, postgresql_where=sa.text("status = 'Queued'")
    )


def downgrade() -> None:
    op.drop_table("mails")
    op.drop_table("password_resets")
    op.drop_column("users", "mail_notifications")
