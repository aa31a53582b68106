"""Let mails tell both sides of a deal that a new draft changes or cuts its scene.

Revision ID: tell_of_scenes
Revises: create_identities
"""

from alembic import op

revision = "tell_of_scenes"
down_revision = "create_identities"
branch_labels = None
depends_on = None

BEFORE = (
    "'password_reset', 'email_verification', 'bid_placed', 'terms_changed', 'bid_approved', 'hold_ending',"
    " 'bid_committed', 'delivered'"
)


def _allow(kinds: str) -> None:
    """The rows are looked at in a second step, which lets the traffic through."""
    with op.get_context().autocommit_block():
        op.execute(
            "ALTER TABLE mails DROP CONSTRAINT IF EXISTS ck_mails_kind_known,"
            f" ADD CONSTRAINT ck_mails_kind_known CHECK (kind IN ({kinds})) NOT VALID"
        )
        op.execute("ALTER TABLE mails VALIDATE CONSTRAINT ck_mails_kind_known")


def upgrade() -> None:
    _allow(f"{BEFORE}, 'scene_flagged'")


def downgrade() -> None:
    op.execute("DELETE FROM mails WHERE kind = 'scene_flagged'")
    _allow(BEFORE)
