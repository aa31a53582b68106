"""Let users prove their e-mail address by a link that is mailed to it. Nobody has done so yet.

Revision ID: create_email_verifications
Revises: name_scenes
"""

import sqlalchemy as sa
from alembic import op

revision = "create_email_verifications"
down_revision = "name_scenes"
branch_labels = None
depends_on = None

BEFORE = "'password_reset', 'bid_placed', 'terms_changed', 'bid_approved', 'hold_ending', 'bid_committed', 'delivered'"
KINDS = BEFORE.replace("'password_reset'", "'password_reset', 'email_verification'")


def _allow(kinds: str) -> None:
    """The rows are looked at in a second step, which lets the traffic through."""
    op.execute(
        "ALTER TABLE mails DROP CONSTRAINT ck_mails_kind_known,"
        f" ADD CONSTRAINT ck_mails_kind_known CHECK (kind IN ({kinds})) NOT VALID"
    )
    with op.get_context().autocommit_block():
        op.execute("ALTER TABLE mails VALIDATE CONSTRAINT ck_mails_kind_known")


def upgrade() -> None:
    op.add_column("users", sa.Column("email_verified_at", sa.DateTime(timezone=True), nullable=True))
    op.create_table(
        "email_verifications",
        sa.Column("user_id", sa.Uuid(), nullable=False),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("token_hash", sa.LargeBinary(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint("length(token_hash) = 32", name=op.f("ck_email_verifications_token_hash_length")),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], name=op.f("fk_email_verifications_user_id")),
        sa.PrimaryKeyConstraint("user_id", name=op.f("pk_email_verifications")),
        sa.UniqueConstraint("id", name=op.f("uq_email_verifications_id")),
        sa.UniqueConstraint("token_hash", name=op.f("uq_email_verifications_token_hash")),
    )
    _allow(KINDS)


def downgrade() -> None:
    op.execute("DELETE FROM mails WHERE kind = 'email_verification'")
    op.drop_table("email_verifications")
    op.drop_column("users", "email_verified_at")
    _allow(BEFORE)
