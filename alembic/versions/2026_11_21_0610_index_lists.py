"""Index what operators' lists and the directory ask for: statuses in order, accounts in order and by words.

Revision ID: index_lists
Revises: index_public_slots
"""

import sqlalchemy as sa
from alembic import op

revision = "index_lists"
down_revision = "index_public_slots"
branch_labels = None
depends_on = None

ORDERS = [
    ("ix_bids_status_updated_at", "bids", ["status", "updated_at", "id"]),
    ("ix_commitments_status_created_at", "commitments", ["status", "created_at", "id"]),
    ("ix_users_created_at", "users", ["created_at", "id"]),
    ("ix_users_is_active_created_at", "users", ["is_active", "created_at", "id"]),
]
WORDS = [
    ("ix_users_words", "search_words(name, email)"),
    ("ix_users_name_words", "search_words(name, '')"),
]


def upgrade() -> None:
    with op.get_context().autocommit_block():
        for name, table, columns in ORDERS:
            op.create_index(name, table, columns, postgresql_concurrently=True, if_not_exists=True)
        for name, words in WORDS:
            op.create_index(
                name,
                "users",
                [sa.text(words)],
                postgresql_using="gin",
                postgresql_concurrently=True,
                if_not_exists=True,
            )


def downgrade() -> None:
    with op.get_context().autocommit_block():
        for name, table, _ in ORDERS:
            op.drop_index(name, table, postgresql_concurrently=True, if_exists=True)
        for name, _ in WORDS:
            op.drop_index(name, "users", postgresql_concurrently=True, if_exists=True)
