"""Create the rate limits that all processes share.

Revision ID: create_rate_limits
Revises: tighten_guards
"""

import sqlalchemy as sa
from alembic import op

revision = "create_rate_limits"
down_revision = "tighten_guards"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "rate_limits",
        sa.Column("key", sa.LargeBinary(), nullable=False),
        sa.Column("tat", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("key", name="pk_rate_limits"),
        prefixes=["UNLOGGED"],
    )
    op.create_index("ix_rate_limits_tat", "rate_limits", ["tat"])


def downgrade() -> None:
    op.drop_table("rate_limits")
