"""Tighten the guards: what SQL could still say that deals.md forbids.

- The hold has an end exactly until its bid is Committed, and a slot completes exactly by its delivered commitment's
  confirmBy: otherwise a row could read as free, sold or completed when it is not (I1, I2).
- Approvals, terms and comments come from those who may give them; approvals of the current terms never vanish; versions
  follow one another; SKUs are named when their terms are written (I3, I4).
- Only what was Committed is cancelled, and nothing else ends it (I6).
- A commitment is of its slot's project and of the version that its bid stands at (I7). The key to the project goes through
  the slot, so that committing locks nothing above it.
- Events hold ids and closed sets: no text with blanks or an address (I8).

Revision ID: tighten_guards
Revises: create_mails
"""

import sqlalchemy as sa
from alembic import op

revision = "tighten_guards"
down_revision = "create_mails"
branch_labels = None
depends_on = None

BID_STEPS = """('Pending', 'AwaitingFinalApproval'), ('AwaitingFinalApproval', 'Accepted'),
    ('AwaitingFinalApproval', 'Pending'), ('Accepted', 'Committed'), ('Pending', 'Declined'),
    ('AwaitingFinalApproval', 'Declined'), ('Accepted', 'Declined'), ('Committed', 'Declined')"""

CHECKS = [
    ("bids", "hold_ended_when_declined", "hold_ended_at IS NULL OR status = 'Declined'"),
    ("commitments", "active_is_undelivered", "status <> 'Active' OR num_nonnulls(delivered_at, confirm_by) = 0"),
    ("events", "action_known", r"action ~ '^[a-z_]+\.[a-z_]+$'"),
    ("events", "request_id_plain", "request_id ~ '^[A-Za-z0-9._-]{1,128}$'"),
    (
        "events",
        "data_closed",
        """jsonb_typeof(data) = 'object' AND NOT jsonb_path_exists(data,
            '$.** ? (@.type() == "string" && !(@ like_regex "^[A-Za-z0-9_./-]{1,64}$"))')""",
    ),
]


def _refuse(message: str, constraint: str) -> str:
    return f"RAISE EXCEPTION '{message}' USING ERRCODE = 'check_violation', CONSTRAINT = '{constraint}', TABLE = TG_TABLE_NAME;"


def _bids_transitions(*, tight: bool) -> str:
    first = f"IF NEW.terms_version <> 1 THEN {_refuse('versions start at 1', 'versions_follow')} END IF;"
    more = f"""
        IF NEW.terms_version <> OLD.terms_version
            AND (NEW.terms_version <> OLD.terms_version + 1 OR NEW.status <> 'Pending') THEN
            {_refuse("versions follow one another, each without approvals", "versions_follow")}
        END IF;
        IF NEW.terms_version = OLD.terms_version
            AND (OLD.creator_approved_version IS NOT NULL AND NEW.creator_approved_version IS NULL
                OR OLD.buyer_approved_version IS NOT NULL AND NEW.buyer_approved_version IS NULL) THEN
            {_refuse("an approval of the current terms stays", "approvals_stay")}
        END IF;
        IF NEW.status = 'Declined' AND (OLD.status = 'Committed') <> (NEW.decline_reason = 'cancelled') THEN
            {_refuse("only what was Committed is cancelled", "cancelled_was_committed")}
        END IF;
    """
    return f"""
        CREATE OR REPLACE FUNCTION guard_bids_transitions() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN
            IF TG_OP = 'INSERT' THEN
                IF NEW.status <> 'Pending' THEN
                    {_refuse("starts as Pending", "starts_in_first_state")}
                END IF;
                {first if tight else ""}
                RETURN NEW;
            END IF;
            IF OLD.status = 'Declined' THEN {_refuse("a Declined bid never changes", "declined_is_final")} END IF;
            IF NEW.id IS DISTINCT FROM OLD.id OR NEW.slot_id IS DISTINCT FROM OLD.slot_id
                OR NEW.creator_id IS DISTINCT FROM OLD.creator_id OR NEW.buyer_id IS DISTINCT FROM OLD.buyer_id
                OR NEW.modality IS DISTINCT FROM OLD.modality OR NEW.created_at IS DISTINCT FROM OLD.created_at THEN
                {_refuse("changes what is fixed", "fixed_columns")}
            END IF;
            IF NEW.status <> OLD.status AND (OLD.status, NEW.status) NOT IN ({BID_STEPS}) THEN
                {_refuse("this transition is in no table", "transition_in_table")}
            END IF;
            {more if tight else ""}
            RETURN NEW;
        END $$
    """


def _approval_counts(*, tight: bool) -> str:
    column = "CASE NEW.side WHEN 'creator' THEN creator_approved_version ELSE buyer_approved_version END"
    wrong = (
        f"""NOT EXISTS (
            SELECT FROM bids WHERE id = NEW.bid_id AND terms_version = NEW.terms_version AND {column} = NEW.terms_version
        )"""
        if tight
        else f"""EXISTS (
            SELECT FROM bids WHERE id = NEW.bid_id AND terms_version = NEW.terms_version
                AND NEW.terms_version IS DISTINCT FROM {column}
        )"""
    )
    return f"""
        CREATE OR REPLACE FUNCTION guard_approval_counts() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN
            IF {wrong} THEN
                {_refuse("an approval of the current terms counts in the bid", "approval_counts")}
            END IF;
            RETURN NULL;
        END $$
    """


def _triggers() -> None:
    op.execute(f"""
        CREATE FUNCTION guard_party() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN
            IF NOT EXISTS (
                SELECT FROM bids WHERE id = NEW.bid_id AND CASE NEW.side WHEN 'creator' THEN creator_id ELSE buyer_id END
                    = (to_jsonb(NEW) ->> TG_ARGV[0])::uuid
            ) THEN
                {_refuse("only the party itself speaks for its side", "given_by_its_side")}
            END IF;
            RETURN NEW;
        END $$
    """)
    for table, column in (("terms", "author_id"), ("approvals", "user_id")):
        op.execute(f"""
            CREATE TRIGGER guard_party BEFORE INSERT ON {table} FOR EACH ROW EXECUTE FUNCTION guard_party('{column}')
        """)
    op.execute(f"""
        CREATE FUNCTION guard_comment_author() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN
            IF NOT EXISTS (SELECT FROM bids WHERE id = NEW.bid_id AND NEW.author_id IN (creator_id, buyer_id))
                AND NOT EXISTS (SELECT FROM users WHERE id = NEW.author_id AND role = 'Operator') THEN
                {_refuse("parties and operators comment", "author_takes_part")}
            END IF;
            RETURN NEW;
        END $$
    """)
    op.execute("""
        CREATE TRIGGER guard_author BEFORE INSERT ON comments FOR EACH ROW EXECUTE FUNCTION guard_comment_author()
    """)
    op.execute(f"""
        CREATE FUNCTION guard_terms_version() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN
            IF NOT EXISTS (SELECT FROM bids WHERE id = NEW.bid_id AND terms_version >= NEW.version) THEN
                {_refuse("terms are not written ahead of their bid", "version_of_the_bid")}
            END IF;
            RETURN NULL;
        END $$
    """)
    op.execute("""
        CREATE CONSTRAINT TRIGGER guard_version AFTER INSERT ON terms DEFERRABLE INITIALLY DEFERRED
            FOR EACH ROW EXECUTE FUNCTION guard_terms_version()
    """)
    op.execute(f"""
        CREATE FUNCTION guard_terms_skus() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN
            IF NOT EXISTS (
                SELECT FROM terms WHERE bid_id = NEW.bid_id AND version = NEW.version
                    AND xmin = pg_current_xact_id()::xid
            ) THEN
                {_refuse("terms never change", "named_with_their_terms")}
            END IF;
            RETURN NEW;
        END $$
    """)
    op.execute("""
        CREATE TRIGGER guard_named BEFORE INSERT ON terms_skus FOR EACH ROW EXECUTE FUNCTION guard_terms_skus()
    """)


def upgrade() -> None:
    # The end of a hold.
    op.drop_constraint("fk_slots_holder", "slots", type_="foreignkey")
    op.drop_constraint("uq_bids_must_hold", "bids", type_="unique")
    op.add_column(
        "bids",
        sa.Column("is_committed", sa.Boolean(), sa.Computed("status = 'Committed'", persisted=True), nullable=False),
    )
    op.add_column(
        "slots",
        sa.Column(
            "holder_committed",
            sa.Boolean(),
            sa.Computed("holder_bid_id IS NOT NULL AND hold_expires_at IS NULL", persisted=True),
            nullable=False,
        ),
    )
    op.create_unique_constraint("uq_bids_must_hold", "bids", ["id", "slot_id", "must_hold", "is_committed"])
    _tie(
        "fk_slots_holder",
        "slots",
        "bids",
        "holder_bid_id id holds holder_committed",
        "id slot_id must_hold is_committed",
    )
    # The completion of a slot.
    op.add_column(
        "commitments",
        sa.Column(
            "confirm_due",
            sa.DateTime(timezone=True),
            sa.Computed("CASE WHEN status = 'Delivered' THEN confirm_by END", persisted=True),
            nullable=True,
        ),
    )
    op.add_column(
        "slots",
        sa.Column(
            "completing_bid_id",
            sa.Uuid(),
            sa.Computed("CASE WHEN completes_at IS NOT NULL THEN holder_bid_id END", persisted=True),
            nullable=True,
        ),
    )
    op.create_unique_constraint("uq_commitments_bid_id_confirm_due", "commitments", ["bid_id", "confirm_due"])
    op.create_unique_constraint("uq_slots_id_completes_at", "slots", ["id", "completes_at"])
    op.create_index(
        "ix_slots_completing_bid_id",
        "slots",
        ["completing_bid_id"],
        postgresql_where=sa.text("completing_bid_id IS NOT NULL"),
    )
    _tie("fk_slots_completing", "slots", "commitments", "completing_bid_id completes_at", "bid_id confirm_due")
    _tie("fk_commitments_completing_slot", "commitments", "slots", "slot_id confirm_due", "id completes_at")
    # A commitment's project, and the version it is of.
    op.create_unique_constraint("uq_slots_id_project_id", "slots", ["id", "project_id"])
    op.drop_constraint("fk_commitments_project_id", "commitments", type_="foreignkey")
    op.create_foreign_key(
        "fk_commitments_slot", "commitments", "slots", ["slot_id", "project_id"], ["id", "project_id"]
    )
    op.drop_constraint("fk_commitments_committed_bid", "commitments", type_="foreignkey")
    op.drop_constraint("uq_bids_id_status", "bids", type_="unique")
    op.create_unique_constraint("uq_bids_id_status_terms_version", "bids", ["id", "status", "terms_version"])
    _tie(
        "fk_commitments_committed_bid",
        "commitments",
        "bids",
        "uncancelled_bid_id bid_status terms_version",
        "id status terms_version",
    )
    for table, name, condition in CHECKS:
        op.create_check_constraint(op.f(f"ck_{table}_{name}"), table, condition)
    op.execute(_bids_transitions(tight=True))
    op.execute(_approval_counts(tight=True))
    _triggers()


def _tie(name: str, table: str, target: str, columns: str, target_columns: str) -> None:
    op.create_foreign_key(
        name, table, target, columns.split(), target_columns.split(), deferrable=True, initially="DEFERRED"
    )


def downgrade() -> None:
    for table, trigger, function in (
        ("terms_skus", "guard_named", "guard_terms_skus"),
        ("terms", "guard_version", "guard_terms_version"),
        ("comments", "guard_author", "guard_comment_author"),
    ):
        op.execute(f"DROP TRIGGER {trigger} ON {table}")
        op.execute(f"DROP FUNCTION {function}")
    for table in ("terms", "approvals"):
        op.execute(f"DROP TRIGGER guard_party ON {table}")
    op.execute("DROP FUNCTION guard_party")
    op.execute(_approval_counts(tight=False))
    op.execute(_bids_transitions(tight=False))
    for table, name, _ in CHECKS:
        op.drop_constraint(op.f(f"ck_{table}_{name}"), table, type_="check")
    op.drop_constraint("fk_commitments_committed_bid", "commitments", type_="foreignkey")
    op.drop_constraint("uq_bids_id_status_terms_version", "bids", type_="unique")
    op.create_unique_constraint("uq_bids_id_status", "bids", ["id", "status"])
    _tie("fk_commitments_committed_bid", "commitments", "bids", "uncancelled_bid_id bid_status", "id status")
    op.drop_constraint("fk_commitments_slot", "commitments", type_="foreignkey")
    op.create_foreign_key("fk_commitments_project_id", "commitments", "projects", ["project_id"], ["id"])
    op.drop_constraint("uq_slots_id_project_id", "slots", type_="unique")
    op.drop_constraint("fk_commitments_completing_slot", "commitments", type_="foreignkey")
    op.drop_constraint("fk_slots_completing", "slots", type_="foreignkey")
    op.drop_constraint("uq_slots_id_completes_at", "slots", type_="unique")
    op.drop_constraint("uq_commitments_bid_id_confirm_due", "commitments", type_="unique")
    op.drop_column("slots", "completing_bid_id")
    op.drop_column("commitments", "confirm_due")
    op.drop_constraint("fk_slots_holder", "slots", type_="foreignkey")
    op.drop_constraint("uq_bids_must_hold", "bids", type_="unique")
    op.drop_column("slots", "holder_committed")
    op.drop_column("bids", "is_committed")
    op.create_unique_constraint("uq_bids_must_hold", "bids", ["id", "slot_id", "must_hold"])
    _tie("fk_slots_holder", "slots", "bids", "holder_bid_id id holds", "id slot_id must_hold")
