"""Create the identities that users have at other services, and the sign-ins on their way there.

Revision ID: create_identities
Revises: fill_words
"""

import sqlalchemy as sa
from alembic import op

revision = "create_identities"
down_revision = "fill_words"
branch_labels = None
depends_on = None

PROVIDERS = "provider IN ('google', 'github')"


def upgrade() -> None:
    op.create_table(
        "identities",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("user_id", sa.Uuid(), nullable=False),
        sa.Column("provider", sa.Text(), nullable=False),
        sa.Column("subject", sa.Text(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint(PROVIDERS, name=op.f("ck_identities_provider_known")),
        sa.CheckConstraint("char_length(subject) BETWEEN 1 AND 255", name=op.f("ck_identities_subject_length")),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], name=op.f("fk_identities_user_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_identities")),
        sa.UniqueConstraint("provider", "subject", name=op.f("uq_identities_provider_subject")),
        sa.UniqueConstraint("user_id", "provider", name=op.f("uq_identities_user_id_provider")),
    )
    op.create_table(
        "sign_ins",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("provider", sa.Text(), nullable=False),
        sa.Column("state_hash", sa.LargeBinary(), nullable=False),
        sa.Column("browser_hash", sa.LargeBinary(), nullable=False),
        sa.Column("challenge", sa.Text(), nullable=False),
        sa.Column("role", sa.Text(), nullable=True),
        sa.Column("redirect_uri", sa.Text(), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("returned_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("ticket_hash", sa.LargeBinary(), nullable=True),
        sa.Column("code", sa.Text(), nullable=True),
        sa.CheckConstraint(PROVIDERS, name=op.f("ck_sign_ins_provider_known")),
        sa.CheckConstraint(
            "role IN ('Creator', 'Advertiser', 'Merchant', 'Operator')", name=op.f("ck_sign_ins_role_known")
        ),
        sa.CheckConstraint("role <> 'Operator'", name=op.f("ck_sign_ins_role_not_operator")),
        sa.CheckConstraint("char_length(challenge) BETWEEN 1 AND 43", name=op.f("ck_sign_ins_challenge_length")),
        sa.CheckConstraint(
            "char_length(redirect_uri) BETWEEN 1 AND 2048", name=op.f("ck_sign_ins_redirect_uri_length")
        ),
        sa.CheckConstraint("char_length(code) BETWEEN 1 AND 2048", name=op.f("ck_sign_ins_code_length")),
        sa.CheckConstraint(
            "length(state_hash) = 32 AND length(browser_hash) = 32 AND length(ticket_hash) = 32",
            name=op.f("ck_sign_ins_hashes_length"),
        ),
        sa.CheckConstraint(
            "(returned_at IS NULL) = (ticket_hash IS NULL) AND (returned_at IS NOT NULL OR code IS NULL)",
            name=op.f("ck_sign_ins_ticket_when_returned"),
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_sign_ins")),
        sa.UniqueConstraint("state_hash", name=op.f("uq_sign_ins_state_hash")),
        sa.UniqueConstraint("ticket_hash", name=op.f("uq_sign_ins_ticket_hash")),
    )
    op.create_index("ix_sign_ins_expires_at", "sign_ins", ["expires_at"])


def downgrade() -> None:
    op.drop_table("sign_ins")
    op.drop_table("identities")
