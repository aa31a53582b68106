"""Create skus.

Revision ID: create_skus
Revises: create_slots
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "create_skus"
down_revision = "create_slots"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "skus",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("merchant_id", sa.Uuid(), nullable=False),
        sa.Column("title", sa.Text(), nullable=False),
        sa.Column("price", sa.Numeric(precision=14, scale=2), nullable=False),
        sa.Column("margin", sa.Numeric(precision=5, scale=2), nullable=False),
        sa.Column("tags", postgresql.ARRAY(sa.Text()), nullable=False),
        sa.Column("description", sa.Text(), nullable=True),
        sa.Column("image_url", sa.Text(), nullable=True),
        sa.Column("external_id", sa.Text(), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("removed_at", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint("char_length(description) BETWEEN 1 AND 4000", name=op.f("ck_skus_description_length")),
        sa.CheckConstraint("char_length(external_id) BETWEEN 1 AND 200", name=op.f("ck_skus_external_id_length")),
        sa.CheckConstraint("char_length(image_url) BETWEEN 1 AND 2048", name=op.f("ck_skus_image_url_length")),
        sa.CheckConstraint("char_length(title) BETWEEN 1 AND 200", name=op.f("ck_skus_title_length")),
        sa.CheckConstraint("margin BETWEEN 0 AND 100", name=op.f("ck_skus_margin_is_percentage")),
        sa.CheckConstraint("price >= 0", name=op.f("ck_skus_price_not_negative")),
        sa.ForeignKeyConstraint(["merchant_id"], ["users.id"], name=op.f("fk_skus_merchant_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_skus")),
        sa.UniqueConstraint("id", "merchant_id", name=op.f("uq_skus_id_merchant_id")),
    )
    op.create_index("ix_skus_merchant_id_created_at", "skus", ["merchant_id", "created_at", "id"], unique=False)
    op.create_index(
        "uq_skus_merchant_id_external_id",
        "skus",
        ["merchant_id", "external_id"],
        unique=True,
        postgresql_where=sa.text("removed_at IS NULL"),
    )


def downgrade() -> None:
    op.drop_table("skus")
