"""Guard what constraints cannot say: transitions, records that never change, floors, and the event of every change.

Revision ID: guard_deals
Revises: tie_deals

A refusal has SQLSTATE 23514 (check_violation) and names the guard as its constraint.
"""

from alembic import op

revision = "guard_deals"
down_revision = "tie_deals"
branch_labels = None
depends_on = None

# The steps of the transition tables in backend/models, as (from, to); a test holds the two against each other.
STEPS = {
    "bids": [
        ("Pending", "AwaitingFinalApproval"),
        ("AwaitingFinalApproval", "Accepted"),
        ("AwaitingFinalApproval", "Pending"),
        ("Accepted", "Committed"),
        ("Pending", "Declined"),
        ("AwaitingFinalApproval", "Declined"),
        ("Accepted", "Declined"),
        ("Committed", "Declined"),
    ],
    "slots": [("Available", "Locked"), ("Locked", "Available"), ("Locked", "Completed")],
    "commitments": [
        ("Active", "Delivered"),
        ("Delivered", "Completed"),
        ("Delivered", "Active"),
        ("Active", "Cancelled"),
        ("Delivered", "Cancelled"),
    ],
}
FIRST = {"bids": "Pending", "slots": "Available", "commitments": "Active"}
# What never changes once written.
FIXED = {
    "bids": ["id", "slot_id", "creator_id", "buyer_id", "modality", "created_at"],
    "slots": ["id", "project_id", "creator_id", "created_at"],
    "commitments": [
        "id",
        "bid_id",
        "terms_version",
        "slot_id",
        "project_id",
        "creator_id",
        "buyer_id",
        "amount",
        "created_at",
    ],
}
SUBJECT = {"bids": "bid", "slots": "slot", "commitments": "commitment"}
APPEND_ONLY = ["events", "terms", "terms_skus", "approvals", "comments", "drafts"]


def _refuse(message: str, constraint: str) -> str:
    return f"RAISE EXCEPTION '{message}' USING ERRCODE = 'check_violation', CONSTRAINT = '{constraint}', TABLE = TG_TABLE_NAME;"


def _transitions(table: str) -> str:
    steps = ", ".join(f"('{source}', '{target}')" for source, target in STEPS[table])
    fixed = " OR ".join(f"NEW.{column} IS DISTINCT FROM OLD.{column}" for column in FIXED[table])
    frozen = (
        f"IF OLD.status = 'Declined' THEN {_refuse('a Declined bid never changes', 'declined_is_final')} END IF;"
        if table == "bids"
        else ""
    )
    return f"""
        CREATE FUNCTION guard_{table}_transitions() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN
            IF TG_OP = 'INSERT' THEN
                IF NEW.status <> '{FIRST[table]}' THEN
                    {_refuse(f"starts as {FIRST[table]}", "starts_in_first_state")}
                END IF;
                RETURN NEW;
            END IF;
            {frozen}
            IF {fixed} THEN
                {_refuse("changes what is fixed", "fixed_columns")}
            END IF;
            IF NEW.status <> OLD.status AND (OLD.status, NEW.status) NOT IN ({steps}) THEN
                {_refuse("this transition is in no table", "transition_in_table")}
            END IF;
            RETURN NEW;
        END $$;
        CREATE TRIGGER guard_transitions BEFORE INSERT OR UPDATE ON {table}
            FOR EACH ROW EXECUTE FUNCTION guard_{table}_transitions();
        CREATE TRIGGER guard_kept BEFORE DELETE ON {table}
            FOR EACH ROW EXECUTE FUNCTION guard_append_only();
    """


def _events(table: str) -> str:
    moved = "OLD.status IS DISTINCT FROM NEW.status"
    if table == "slots":
        moved += " OR OLD.holder_bid_id IS DISTINCT FROM NEW.holder_bid_id"
    if table == "bids":
        moved += " OR OLD.terms_version IS DISTINCT FROM NEW.terms_version"
    return f"""
        CREATE CONSTRAINT TRIGGER guard_event_of_insert AFTER INSERT ON {table} DEFERRABLE INITIALLY DEFERRED
            FOR EACH ROW EXECUTE FUNCTION guard_event('{SUBJECT[table]}');
        CREATE CONSTRAINT TRIGGER guard_event_of_update AFTER UPDATE ON {table} DEFERRABLE INITIALLY DEFERRED
            FOR EACH ROW WHEN ({moved}) EXECUTE FUNCTION guard_event('{SUBJECT[table]}');
    """


def upgrade() -> None:
    op.execute(f"""
        CREATE FUNCTION guard_append_only() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN
            {_refuse("this record is append-only", "append_only")}
        END $$
    """)
    for table in APPEND_ONLY:
        op.execute(f"""
            CREATE TRIGGER guard_append_only BEFORE UPDATE OR DELETE ON {table}
                FOR EACH ROW EXECUTE FUNCTION guard_append_only();
        """)
    for table in (*APPEND_ONLY, *STEPS):
        op.execute(f"""
            CREATE TRIGGER guard_truncate BEFORE TRUNCATE ON {table}
                FOR EACH STATEMENT EXECUTE FUNCTION guard_append_only();
        """)
    # I8: the event is written in the same transaction, and says the state it led to.
    op.execute(f"""
        CREATE FUNCTION guard_event() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN
            IF NOT EXISTS (
                SELECT FROM events
                WHERE subject_id = NEW.id AND subject_type = TG_ARGV[0] AND status = NEW.status
                    AND xact = pg_current_xact_id()
            ) THEN
                {_refuse("a change of state has its event in the same transaction", "state_has_event")}
            END IF;
            RETURN NULL;
        END $$
    """)
    for table in STEPS:
        for statement in (_transitions(table), _events(table)):
            for part in statement.split("CREATE ")[1:]:
                op.execute(f"CREATE {part}")
    # I4: terms are written under the slot's floor of that moment.
    op.execute(f"""
        CREATE FUNCTION guard_terms_floor() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN
            IF NEW.floor IS DISTINCT FROM (
                SELECT slots.pricing_floor FROM slots JOIN bids ON bids.slot_id = slots.id WHERE bids.id = NEW.bid_id
            ) THEN
                {_refuse("terms carry the floor of their slot", "floor_is_the_slots")}
            END IF;
            RETURN NEW;
        END $$
    """)
    op.execute("CREATE TRIGGER guard_floor BEFORE INSERT ON terms FOR EACH ROW EXECUTE FUNCTION guard_terms_floor()")
    # I3: an approval of the current terms counts in the bid's status.
    op.execute(f"""
        CREATE FUNCTION guard_approval_counts() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN
            IF EXISTS (
                SELECT FROM bids
                WHERE id = NEW.bid_id AND terms_version = NEW.terms_version
                    AND NEW.terms_version IS DISTINCT FROM
                        CASE NEW.side WHEN 'creator' THEN creator_approved_version ELSE buyer_approved_version END
            ) THEN
                {_refuse("an approval of the current terms counts in the bid", "approval_counts")}
            END IF;
            RETURN NULL;
        END $$
    """)
    op.execute("""
        CREATE CONSTRAINT TRIGGER guard_counts AFTER INSERT ON approvals DEFERRABLE INITIALLY DEFERRED
            FOR EACH ROW EXECUTE FUNCTION guard_approval_counts()
    """)


def downgrade() -> None:
    op.execute("DROP TRIGGER guard_counts ON approvals")
    op.execute("DROP FUNCTION guard_approval_counts")
    op.execute("DROP TRIGGER guard_floor ON terms")
    op.execute("DROP FUNCTION guard_terms_floor")
    for table in STEPS:
        for trigger in ("guard_event_of_insert", "guard_event_of_update", "guard_transitions", "guard_kept"):
            op.execute(f"DROP TRIGGER {trigger} ON {table}")
        op.execute(f"DROP FUNCTION guard_{table}_transitions")
    op.execute("DROP FUNCTION guard_event")
    for table in (*APPEND_ONLY, *STEPS):
        op.execute(f"DROP TRIGGER guard_truncate ON {table}")
    for table in APPEND_ONLY:
        op.execute(f"DROP TRIGGER guard_append_only ON {table}")
    op.execute("DROP FUNCTION guard_append_only")
