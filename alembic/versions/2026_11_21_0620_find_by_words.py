"""Find the slots that say words from the words' indexes, whatever the planner guesses of the words.

Revision ID: find_by_words
Revises: index_lists
"""

from alembic import op

revision = "find_by_words"
down_revision = "index_lists"
branch_labels = None
depends_on = None


def upgrade() -> None:
    # PostgreSQL cannot know how many slots say several words together. Where it guesses many, it walks an order or the
    # table and splits the text of every slot into words again. With the settings it has only the indexes to begin from.
    op.execute("""
        CREATE FUNCTION slots_saying(query tsquery, most integer) RETURNS SETOF uuid
        LANGUAGE sql STABLE ROWS 100
        SET enable_seqscan = off SET enable_indexscan = off SET work_mem = '32MB'
        BEGIN ATOMIC
            SELECT id FROM (
                (SELECT id FROM slots WHERE search_words(scene_ref, description) @@ query LIMIT most)
                UNION
                (SELECT slots.id FROM projects JOIN slots ON slots.project_id = projects.id
                    WHERE search_words(projects.title, '') @@ query LIMIT most)
            ) AS found LIMIT most;
        END
    """)


def downgrade() -> None:
    op.execute("DROP FUNCTION slots_saying")
