"""Create the append-only record.

Revision ID: create_events
Revises: create_bids
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "create_events"
down_revision = "create_bids"
branch_labels = None
depends_on = None


class _Xid8(sa.types.UserDefinedType):
    cache_ok = True

    def get_col_spec(self, **_):
        return "xid8"


XID8 = _Xid8()


def upgrade() -> None:
    op.create_table(
        "events",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("actor_id", sa.Uuid(), nullable=True),
        sa.Column("actor_role", sa.Text(), nullable=False),
        sa.Column("action", sa.Text(), nullable=False),
        sa.Column("subject_type", sa.Text(), nullable=False),
        sa.Column("subject_id", sa.Uuid(), nullable=False),
        sa.Column("bid_id", sa.Uuid(), nullable=True),
        sa.Column("status", sa.Text(), nullable=True),
        sa.Column("data", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("request_id", sa.Text(), nullable=True),
        sa.Column("xact", XID8, server_default=sa.text("pg_current_xact_id()"), nullable=False),
        sa.CheckConstraint(
            "actor_role IN ('Creator', 'Advertiser', 'Merchant', 'Operator', 'Anonymous', 'System')",
            name=op.f("ck_events_actor_role_known"),
        ),
        sa.CheckConstraint(
            "subject_type IN ('user', 'project', 'slot', 'sku', 'bid', 'commitment')",
            name=op.f("ck_events_subject_type_known"),
        ),
        sa.ForeignKeyConstraint(["actor_id"], ["users.id"], name=op.f("fk_events_actor_id")),
        sa.ForeignKeyConstraint(["bid_id"], ["bids.id"], name=op.f("fk_events_bid_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_events")),
    )
    op.create_index("ix_events_action_at", "events", ["action", "at", "id"], unique=False)
    op.create_index("ix_events_actor_id_at", "events", ["actor_id", "at", "id"], unique=False)
    op.create_index("ix_events_at", "events", ["at", "id"], unique=False)
    op.create_index("ix_events_bid_id_at", "events", ["bid_id", "at", "id"], unique=False)
    op.create_index("ix_events_subject_id_at", "events", ["subject_id", "at", "id"], unique=False)


def downgrade() -> None:
    op.drop_table("events")
