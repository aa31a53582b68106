"""Index the record by what its lines are about: operators filter by it.

Revision ID: index_subjects
Revises: create_scenes
"""

from alembic import op

revision = "index_subjects"
down_revision = "create_scenes"
branch_labels = None
depends_on = None


def upgrade() -> None:
    with op.get_context().autocommit_block():
        op.create_index(
            "ix_events_subject_type_at",
            "events",
            ["subject_type", "at", "id"],
            postgresql_concurrently=True,
            if_not_exists=True,
        )


def downgrade() -> None:
    with op.get_context().autocommit_block():
        op.drop_index("ix_events_subject_type_at", postgresql_concurrently=True, if_exists=True)
