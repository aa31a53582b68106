"""Tie the rows of a deal to each other: keys checked at COMMIT, because both ends change together (deals.md, I1–I7).

Revision ID: tie_deals
Revises: create_events
"""

from alembic import op

revision = "tie_deals"
down_revision = "create_events"
branch_labels = None
depends_on = None

KEYS = [
    ("fk_projects_current_draft", "projects", "drafts", ["id", "draft_number"], ["project_id", "number"]),
    ("fk_slots_completed", "slots", "commitments", ["completed_bid_id", "completed_status"], ["bid_id", "status"]),
    ("fk_slots_holder", "slots", "bids", ["holder_bid_id", "id", "holds"], ["id", "slot_id", "must_hold"]),
    ("fk_bids_commitment", "bids", "commitments", ["committed_id"], ["uncancelled_bid_id"]),
    ("fk_bids_hold", "bids", "slots", ["held_slot_id", "id"], ["id", "holder_bid_id"]),
    (
        "fk_bids_buyer_approval",
        "bids",
        "approvals",
        ["id", "buyer_approved_version", "buyer_side"],
        ["bid_id", "terms_version", "side"],
    ),
    (
        "fk_bids_creator_approval",
        "bids",
        "approvals",
        ["id", "creator_approved_version", "creator_side"],
        ["bid_id", "terms_version", "side"],
    ),
    ("fk_bids_current_terms", "bids", "terms", ["id", "terms_version"], ["bid_id", "version"]),
    ("fk_bids_modality", "bids", "slots", ["slot_id", "undeclined_modality"], ["id", "modality"]),
    (
        "fk_commitments_completed_slot",
        "commitments",
        "slots",
        ["completed_slot_id", "bid_id", "completed_status"],
        ["id", "holder_bid_id", "status"],
    ),
    ("fk_commitments_committed_bid", "commitments", "bids", ["uncancelled_bid_id", "bid_status"], ["id", "status"]),
]


def upgrade() -> None:
    for name, table, target, columns, target_columns in KEYS:
        op.create_foreign_key(name, table, target, columns, target_columns, deferrable=True, initially="DEFERRED")


def downgrade() -> None:
    for name, table, *_ in reversed(KEYS):
        op.drop_constraint(name, table, type_="foreignkey")
