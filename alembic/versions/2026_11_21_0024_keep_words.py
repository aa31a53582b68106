"""Keep the words of every slot, for matching, written by a trigger with the slot; let merchants allow matching.

The next migration writes the words of the slots that are there already.

Revision ID: keep_words
Revises: guard_hold_end
"""

import sqlalchemy as sa
from alembic import op

revision = "keep_words"
down_revision = "guard_hold_end"
branch_labels = None
depends_on = None

FUNCTIONS = {
    # What a slot says, weighed by where: the thing (A), the scene in the creator's words (B) and where its heading says
    # that it plays (C), what is asked of it (D). Nothing else of a script is in it: buyers could ask for its words.
    "slot_document(scene_ref text, description text, constraints text[], location text)": r"""
        RETURNS tsvector LANGUAGE sql IMMUTABLE PARALLEL SAFE
        RETURN setweight(search_words(description, ''), 'A') || setweight(search_words(scene_ref, ''), 'B')
            || setweight(search_words(location, ''), 'C')
            || setweight(search_words(array_to_string(constraints, ' '), ''), 'D')
    """,
    "sku_document(title text, tags text[], description text)": r"""
        RETURNS tsvector LANGUAGE sql IMMUTABLE PARALLEL SAFE
        RETURN setweight(search_words(title, ''), 'A') || setweight(search_words(array_to_string(tags, ' '), ''), 'B')
            || setweight(search_words(description, ''), 'C')
    """,
    # Each word once, by its best place: PostgreSQL's own weights (1, 0.4, 0.2, 0.1) in whole numbers.
    "word_points(document tsvector)": r"""
        RETURNS TABLE (word text, points smallint) LANGUAGE sql IMMUTABLE PARALLEL SAFE
        BEGIN ATOMIC
            SELECT lexeme, (CASE WHEN 'A' = ANY (weights) THEN 10 WHEN 'B' = ANY (weights) THEN 4
                WHEN 'C' = ANY (weights) THEN 2 ELSE 1 END)::smallint
            FROM unnest(document) WHERE char_length(lexeme) <= 64;
        END
    """,
    # A label as it is compared: neither letter case, signs nor a plural's ending count.
    "plain_label(label text)": r"""
        RETURNS text LANGUAGE sql IMMUTABLE PARALLEL SAFE
        RETURN btrim(regexp_replace(regexp_replace(lower(label), '[\W_]+', ' ', 'g'), 's\M', '', 'g'))
    """,
    # The last year that a text names; NULL when it names none.
    "last_year(words text)": r"""
        RETURNS integer LANGUAGE sql IMMUTABLE PARALLEL SAFE
        RETURN (SELECT max(year[1]::integer) FROM regexp_matches(words, '\m((19|20)\d\d)\M', 'g') AS year)
    """,
}


def upgrade() -> None:
    op.add_column("users", sa.Column("allow_matching", sa.Boolean(), server_default=sa.text("false"), nullable=False))
    op.create_check_constraint(
        op.f("ck_users_matching_is_merchants"),
        "users",
        "role = 'Merchant' OR NOT allow_matching",
        postgresql_not_valid=True,
    )
    for signature, body in FUNCTIONS.items():
        op.execute(f"CREATE FUNCTION {signature} {body}")
    op.create_table(
        "slot_words",
        sa.Column("slot_id", sa.Uuid(), nullable=False),
        sa.Column("word", sa.Text(), nullable=False),
        sa.Column("points", sa.SmallInteger(), nullable=False),
        sa.CheckConstraint("char_length(word) BETWEEN 1 AND 64", name=op.f("ck_slot_words_word_length")),
        sa.CheckConstraint("points BETWEEN 1 AND 10", name=op.f("ck_slot_words_points_known")),
        sa.ForeignKeyConstraint(["slot_id"], ["slots.id"], name=op.f("fk_slot_words_slot_id")),
        sa.PrimaryKeyConstraint("slot_id", "word", name=op.f("pk_slot_words")),
    )
    op.create_index("ix_slot_words_word", "slot_words", ["word", "points", "slot_id"])
    op.execute("""
        CREATE FUNCTION keep_slot_words() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN
            DELETE FROM slot_words WHERE slot_id = NEW.id;
            IF NEW.removed_at IS NULL THEN
                INSERT INTO slot_words (slot_id, word, points)
                SELECT NEW.id, word, points
                FROM word_points(slot_document(NEW.scene_ref, NEW.description, NEW.constraints,
                    (SELECT location FROM scenes WHERE scenes.id = NEW.scene_id)));
            END IF;
            RETURN NULL;
        END $$
    """)
    op.execute("""
        CREATE TRIGGER keep_words
            AFTER INSERT OR UPDATE OF scene_ref, scene_id, description, constraints, removed_at ON slots
            FOR EACH ROW EXECUTE FUNCTION keep_slot_words()
    """)


def downgrade() -> None:
    op.execute("DROP TRIGGER keep_words ON slots")
    op.execute("DROP FUNCTION keep_slot_words")
    op.drop_table("slot_words")
    for signature in reversed(FUNCTIONS):
        op.execute(f"DROP FUNCTION {signature.partition('(')[0]}")
    op.drop_constraint(op.f("ck_users_matching_is_merchants"), "users")
    op.drop_column("users", "allow_matching")
