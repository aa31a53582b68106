"""Index what sweeps look for, and the record by request and by role.

Revision ID: index_sweeps
Revises: create_security_events
"""

import sqlalchemy as sa
from alembic import op

revision = "index_sweeps"
down_revision = "create_security_events"
branch_labels = None
depends_on = None

INDEXES = {
    "ix_events_actor_role_at": ("events", ["actor_role", "at", "id"], None),
    "ix_events_request_id": ("events", ["request_id"], None),
    "ix_refresh_tokens_expires_at": ("refresh_tokens", ["expires_at"], None),
    "ix_mails_ended_at": ("mails", ["ended_at"], "ended_at IS NOT NULL"),
}


def upgrade() -> None:
    with op.get_context().autocommit_block():
        for name, (table, columns, rows) in INDEXES.items():
            op.create_index(
                name,
                table,
                columns,
                postgresql_where=sa.text(rows) if rows else None,
                postgresql_concurrently=True,
                if_not_exists=True,
            )


def downgrade() -> None:
    with op.get_context().autocommit_block():
        for name in INDEXES:
            op.drop_index(name, postgresql_concurrently=True, if_exists=True)
