"""Write the words of the slots that are there, and index those of SKUs; it may be run again where it broke off.

Revision ID: fill_words
Revises: keep_words
"""

from alembic import op

revision = "fill_words"
down_revision = "keep_words"
branch_labels = None
depends_on = None

BATCH = 1000  # slots that are locked at a time


def upgrade() -> None:
    with op.get_context().autocommit_block():
        op.execute("ALTER TABLE users VALIDATE CONSTRAINT ck_users_matching_is_merchants")
        # The slots that are there already, some at a time: their writers wait for one batch at the most.
        op.execute(f"""
            DO $$
            DECLARE
                batch uuid[];
                done uuid := '00000000-0000-0000-0000-000000000000';
            BEGIN
                LOOP
                    batch := ARRAY(SELECT id FROM slots WHERE id > done ORDER BY id LIMIT {BATCH} FOR SHARE);
                    EXIT WHEN cardinality(batch) = 0;
                    INSERT INTO slot_words (slot_id, word, points)
                    SELECT slots.id, word, points
                    FROM slots LEFT JOIN scenes ON scenes.id = slots.scene_id,
                        word_points(slot_document(scene_ref, description, constraints, location))
                    WHERE slots.id = ANY (batch) AND removed_at IS NULL
                    ON CONFLICT DO NOTHING;
                    done := batch[cardinality(batch)];
                    COMMIT;
                END LOOP;
            END $$
        """)
        op.execute("DROP INDEX CONCURRENTLY IF EXISTS ix_skus_words")  # one that an earlier try left half made
        op.execute("""
            CREATE INDEX CONCURRENTLY ix_skus_words ON skus USING gin (sku_document(title, tags, description))
            WHERE removed_at IS NULL
        """)


def downgrade() -> None:
    with op.get_context().autocommit_block():
        op.execute("DROP INDEX CONCURRENTLY IF EXISTS ix_skus_words")
