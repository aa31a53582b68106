"""Index the foreign keys of committed and completed deals: a commitment's change of status looks them up.

Revision ID: index_committed_deals
Revises: guard_deals
"""

from alembic import op
from sqlalchemy import text

revision = "index_committed_deals"
down_revision = "guard_deals"
branch_labels = None
depends_on = None

INDEXES = {
    "ix_bids_committed_id": ("bids", "committed_id"),
    "ix_slots_completed_bid_id": ("slots", "completed_bid_id"),
}


def upgrade() -> None:
    with op.get_context().autocommit_block():
        for name, (table, column) in INDEXES.items():
            op.create_index(
                name,
                table,
                [column],
                postgresql_where=text(f"{column} IS NOT NULL"),
                postgresql_concurrently=True,
                if_not_exists=True,
            )


def downgrade() -> None:
    with op.get_context().autocommit_block():
        for name in INDEXES:
            op.drop_index(name, postgresql_concurrently=True, if_exists=True)
