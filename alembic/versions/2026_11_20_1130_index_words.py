"""Index the words that slots are searched by: scene and description, and the project's title.

Revision ID: index_words
Revises: create_rate_limits
"""

from alembic import op

revision = "index_words"
down_revision = "create_rate_limits"
branch_labels = None
depends_on = None

INDEXES = [
    ("ix_slots_words", "slots", "search_words(scene_ref, description)"),
    ("ix_projects_words", "projects", "search_words(title, '')"),
]


def upgrade() -> None:
    # Letters and digits make words; whatever stands between them does not, so that no word becomes part of an address
    # or a number that only the parser sees.
    op.execute(r"""
        CREATE FUNCTION search_words(first text, second text) RETURNS tsvector
        LANGUAGE sql IMMUTABLE PARALLEL SAFE
        RETURN to_tsvector('simple'::regconfig,
            regexp_replace(lower(coalesce(first, '') || ' ' || coalesce(second, '')), '[\W_]+', ' ', 'g'))
    """)
    with op.get_context().autocommit_block():
        for name, table, words in INDEXES:
            op.execute(f"DROP INDEX CONCURRENTLY IF EXISTS {name}")  # one that an earlier try left half made
            op.execute(f"CREATE INDEX CONCURRENTLY {name} ON {table} USING gin ({words})")


def downgrade() -> None:
    for name, _, _ in INDEXES:
        op.execute(f"DROP INDEX {name}")
    op.execute("DROP FUNCTION search_words")
