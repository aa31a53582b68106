"""Index what everybody sees of a genre.

Revision ID: index_public_slots
Revises: tell_of_scenes
"""

import sqlalchemy as sa
from alembic import op

revision = "index_public_slots"
down_revision = "tell_of_scenes"
branch_labels = None
depends_on = None

NAME = "ix_slots_public_genre_created_at"


def upgrade() -> None:
    with op.get_context().autocommit_block():
        op.create_index(
            NAME,
            "slots",
            [sa.text("lower(genre)"), "created_at", "id"],
            postgresql_where=sa.text("visibility = 'Public' AND removed_at IS NULL"),
            postgresql_concurrently=True,
            if_not_exists=True,
        )


def downgrade() -> None:
    with op.get_context().autocommit_block():
        op.drop_index(NAME, postgresql_concurrently=True, if_exists=True)
