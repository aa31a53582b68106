"""Guard the end of a hold: it is never after the end of the bid that holds (decision 12).

The two ends stand in two tables, so this is a trigger on both, checked at COMMIT. Each locks the other row before it looks,
so that two transactions that change one end each cannot both pass.

Revision ID: guard_hold_end
Revises: index_sweeps
"""

from alembic import op

revision = "guard_hold_end"
down_revision = "index_sweeps"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("""
        CREATE FUNCTION guard_hold_end() RETURNS trigger LANGUAGE plpgsql AS $$
        DECLARE
            holder uuid;
        BEGIN
            IF TG_TABLE_NAME = 'slots' THEN
                holder := NEW.holder_bid_id;
                PERFORM FROM bids WHERE id = holder FOR SHARE;
            ELSE
                holder := NEW.id;
                PERFORM FROM slots WHERE id = NEW.slot_id FOR SHARE;
            END IF;
            IF EXISTS (
                SELECT FROM slots JOIN bids ON bids.id = slots.holder_bid_id
                WHERE bids.id = holder AND slots.hold_expires_at > bids.expires_at
            ) THEN
                RAISE EXCEPTION 'a hold ends with its bid at the latest' USING ERRCODE = 'check_violation',
                    CONSTRAINT = 'hold_ends_with_its_bid', TABLE = TG_TABLE_NAME;
            END IF;
            RETURN NULL;
        END $$
    """)
    op.execute("""
        CREATE CONSTRAINT TRIGGER guard_hold_end AFTER UPDATE ON slots DEFERRABLE INITIALLY DEFERRED
            FOR EACH ROW WHEN (NEW.hold_expires_at IS DISTINCT FROM OLD.hold_expires_at
                AND NEW.hold_expires_at IS NOT NULL)
            EXECUTE FUNCTION guard_hold_end()
    """)
    op.execute("""
        CREATE CONSTRAINT TRIGGER guard_hold_end AFTER UPDATE ON bids DEFERRABLE INITIALLY DEFERRED
            FOR EACH ROW WHEN (NEW.expires_at < OLD.expires_at)
            EXECUTE FUNCTION guard_hold_end()
    """)


def downgrade() -> None:
    op.execute("DROP TRIGGER guard_hold_end ON bids")
    op.execute("DROP TRIGGER guard_hold_end ON slots")
    op.execute("DROP FUNCTION guard_hold_end")
