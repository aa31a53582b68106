"""Slots, bids and terms name the scene that they are about; a scene never changes and never goes.

Every statement is a transaction of its own, so that none holds the lock of one table while it waits for another's; each
can be run again after a try that ended half-way. The keys and checks hold for every row that is written from their making
on; the rows that are there (none of them names a scene) are looked at afterwards, without keeping anybody waiting.

Revision ID: name_scenes
Revises: create_memos
"""

from alembic import op

revision = "name_scenes"
down_revision = "create_memos"
branch_labels = None
depends_on = None

STATUS = {
    "scene_status_known": "CHECK (scene_status IN ('current', 'changed', 'omitted'))",
    "scene_has_status": "CHECK ((scene_id IS NULL) = (scene_status IS NULL))",
}
COLUMNS = {
    "slots": {"scene_id": "uuid", "scene_status": "text", "suggested_category": "text"},
    "bids": {"scene_id": "uuid", "scene_status": "text"},
    "terms": {"scene_id": "uuid"},
}
CONSTRAINTS = {
    "slots": {
        "fk_slots_scene": "FOREIGN KEY (scene_id, project_id) REFERENCES scenes (id, project_id)",
        "ck_slots_suggested_category_length": "CHECK (char_length(suggested_category) BETWEEN 1 AND 20)",
        **{f"ck_slots_{name}": check for name, check in STATUS.items()},
    },
    "bids": {
        "fk_bids_scene_id": "FOREIGN KEY (scene_id) REFERENCES scenes (id)",
        **{f"ck_bids_{name}": check for name, check in STATUS.items()},
    },
    "terms": {"fk_terms_scene_id": "FOREIGN KEY (scene_id) REFERENCES scenes (id)"},
}
INDEXES = {
    "ix_slots_scene_id": "slots (scene_id) WHERE scene_id IS NOT NULL",
    "ix_slots_scene_status_created_at": "slots (scene_status, created_at, id) WHERE scene_status IS NOT NULL",
    "ix_bids_scene_id": "bids (scene_id) WHERE scene_id IS NOT NULL",
    "ix_terms_scene_id": "terms (scene_id) WHERE scene_id IS NOT NULL",
}
# Which slot a row's deal is about.
SLOT_OF = {"bids": "NEW.slot_id", "terms": "(SELECT slot_id FROM bids WHERE id = NEW.bid_id)"}


def _guard_deals() -> None:
    """A deal is about a scene of its slot's project.

    Neither a slot nor a scene ever changes its project, so that one look when the row is written is enough.
    """
    for table, slot in SLOT_OF.items():
        op.execute(f"""
            CREATE OR REPLACE FUNCTION guard_{table}_scene() RETURNS trigger LANGUAGE plpgsql AS $$
            BEGIN
                IF NOT EXISTS (
                    SELECT FROM slots JOIN scenes ON scenes.project_id = slots.project_id
                    WHERE slots.id = {slot} AND scenes.id = NEW.scene_id
                ) THEN
                    RAISE EXCEPTION 'a deal is about a scene of its own project'
                        USING ERRCODE = 'check_violation', CONSTRAINT = 'scene_of_the_project', TABLE = TG_TABLE_NAME;
                END IF;
                RETURN NEW;
            END $$
        """)
        op.execute(f"""
            CREATE OR REPLACE TRIGGER guard_scene BEFORE INSERT OR UPDATE OF scene_id ON {table}
                FOR EACH ROW WHEN (NEW.scene_id IS NOT NULL) EXECUTE FUNCTION guard_{table}_scene()
        """)


def upgrade() -> None:
    with op.get_context().autocommit_block():
        for table, columns in COLUMNS.items():
            added = ", ".join(f"ADD COLUMN IF NOT EXISTS {name} {kind}" for name, kind in columns.items())
            op.execute(f"ALTER TABLE {table} {added}")
        for table, constraints in CONSTRAINTS.items():
            for name, rule in constraints.items():
                op.execute(f"""
                    ALTER TABLE {table} DROP CONSTRAINT IF EXISTS {name}, ADD CONSTRAINT {name} {rule} NOT VALID
                """)
        _guard_deals()
        op.execute("""
            CREATE OR REPLACE TRIGGER guard_append_only BEFORE UPDATE OR DELETE ON scenes
                FOR EACH ROW EXECUTE FUNCTION guard_append_only()
        """)
        op.execute("""
            CREATE OR REPLACE TRIGGER guard_truncate BEFORE TRUNCATE ON scenes
                FOR EACH STATEMENT EXECUTE FUNCTION guard_append_only()
        """)
        for name, columns_of in INDEXES.items():
            op.execute(f"DROP INDEX CONCURRENTLY IF EXISTS {name}")  # one that an earlier try left half made
            op.execute(f"CREATE INDEX CONCURRENTLY {name} ON {columns_of}")
        for table, constraints in CONSTRAINTS.items():
            for name in constraints:
                op.execute(f"ALTER TABLE {table} VALIDATE CONSTRAINT {name}")


def downgrade() -> None:
    with op.get_context().autocommit_block():
        op.execute("DROP TRIGGER IF EXISTS guard_truncate ON scenes")
        op.execute("DROP TRIGGER IF EXISTS guard_append_only ON scenes")
        for table in SLOT_OF:
            op.execute(f"DROP TRIGGER IF EXISTS guard_scene ON {table}")
            op.execute(f"DROP FUNCTION IF EXISTS guard_{table}_scene")
        for table, columns in COLUMNS.items():
            for name in CONSTRAINTS[table]:
                op.execute(f"ALTER TABLE {table} DROP CONSTRAINT IF EXISTS {name}")
            op.execute(f"ALTER TABLE {table} {', '.join(f'DROP COLUMN IF EXISTS {name}' for name in columns)}")
