"""Create bids, their terms, approvals and comments, and commitments.

Revision ID: create_bids
Revises: create_skus
"""

import sqlalchemy as sa
from alembic import op

revision = "create_bids"
down_revision = "create_skus"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "bids",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("slot_id", sa.Uuid(), nullable=False),
        sa.Column("creator_id", sa.Uuid(), nullable=False),
        sa.Column("buyer_id", sa.Uuid(), nullable=False),
        sa.Column("modality", sa.Text(), nullable=False),
        sa.Column("status", sa.Text(), nullable=False),
        sa.Column("terms_version", sa.Integer(), nullable=False),
        sa.Column("creator_approved_version", sa.Integer(), nullable=True),
        sa.Column("buyer_approved_version", sa.Integer(), nullable=True),
        sa.Column("decline_reason", sa.Text(), nullable=True),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("hold_ended_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column(
            "must_hold",
            sa.Boolean(),
            sa.Computed(
                "status IN ('Accepted', 'Committed') OR (status <> 'Declined' AND (modality = 'PG/Reservation' OR creator_approved_version IS NOT NULL))",
                persisted=True,
            ),
            nullable=False,
        ),
        sa.Column(
            "held_slot_id",
            sa.Uuid(),
            sa.Computed(
                "CASE WHEN status IN ('Accepted', 'Committed') OR (status <> 'Declined' AND (modality = 'PG/Reservation' OR creator_approved_version IS NOT NULL)) THEN slot_id END",
                persisted=True,
            ),
            nullable=True,
        ),
        sa.Column(
            "undeclined_modality",
            sa.Text(),
            sa.Computed("CASE WHEN status <> 'Declined' THEN modality END", persisted=True),
            nullable=True,
        ),
        sa.Column(
            "committed_id",
            sa.Uuid(),
            sa.Computed("CASE WHEN status = 'Committed' THEN id END", persisted=True),
            nullable=True,
        ),
        sa.Column("creator_side", sa.Text(), sa.Computed("'creator'::text", persisted=True), nullable=False),
        sa.Column("buyer_side", sa.Text(), sa.Computed("'buyer'::text", persisted=True), nullable=False),
        sa.CheckConstraint(
            "(status = 'Declined') = (decline_reason IS NOT NULL)", name=op.f("ck_bids_declined_has_reason")
        ),
        sa.CheckConstraint(
            "decline_reason IN ('price', 'fit', 'category', 'timing', 'brand_safety', 'other', 'withdrawn', 'expired', 'hold_expired', 'slot_sold', 'slot_removed', 'party_inactive', 'cancelled')",
            name=op.f("ck_bids_decline_reason_known"),
        ),
        sa.CheckConstraint(
            "status = 'Declined' OR num_nonnulls(creator_approved_version, buyer_approved_version) = CASE status WHEN 'Pending' THEN 0 WHEN 'AwaitingFinalApproval' THEN 1 ELSE 2 END",
            name=op.f("ck_bids_status_counts_approvals"),
        ),
        sa.CheckConstraint(
            "status IN ('Pending', 'AwaitingFinalApproval', 'Accepted', 'Committed', 'Declined')",
            name=op.f("ck_bids_status_known"),
        ),
        sa.CheckConstraint(
            "COALESCE(creator_approved_version, terms_version) = terms_version AND COALESCE(buyer_approved_version, terms_version) = terms_version",
            name=op.f("ck_bids_approvals_are_of_current_terms"),
        ),
        sa.ForeignKeyConstraint(["buyer_id"], ["users.id"], name=op.f("fk_bids_buyer_id")),
        sa.ForeignKeyConstraint(["slot_id", "creator_id"], ["slots.id", "slots.creator_id"], name="fk_bids_slot"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_bids")),
        sa.UniqueConstraint("id", "buyer_id", name=op.f("uq_bids_id_buyer_id")),
        sa.UniqueConstraint("id", "slot_id", "creator_id", "buyer_id", name="uq_bids_parties"),
        sa.UniqueConstraint("id", "slot_id", "must_hold", name="uq_bids_must_hold"),
        sa.UniqueConstraint("id", "status", name=op.f("uq_bids_id_status")),
    )
    op.create_table(
        "terms",
        sa.Column("bid_id", sa.Uuid(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("side", sa.Text(), nullable=False),
        sa.Column("author_id", sa.Uuid(), nullable=False),
        sa.Column("floor", sa.Numeric(precision=14, scale=2), nullable=False),
        sa.Column("amount", sa.Numeric(precision=14, scale=2), nullable=False),
        sa.Column("amount_terms", sa.Text(), nullable=False),
        sa.Column("objective", sa.Text(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint("side IN ('creator', 'buyer')", name=op.f("ck_terms_side_known")),
        sa.CheckConstraint("amount > 0", name=op.f("ck_terms_amount_positive")),
        sa.CheckConstraint("amount >= floor", name=op.f("ck_terms_amount_not_below_floor")),
        sa.CheckConstraint("char_length(amount_terms) BETWEEN 1 AND 4000", name=op.f("ck_terms_amount_terms_length")),
        sa.CheckConstraint("char_length(objective) BETWEEN 1 AND 4000", name=op.f("ck_terms_objective_length")),
        sa.CheckConstraint("version >= 1", name=op.f("ck_terms_version_from_one")),
        sa.ForeignKeyConstraint(["author_id"], ["users.id"], name=op.f("fk_terms_author_id")),
        sa.ForeignKeyConstraint(["bid_id"], ["bids.id"], name=op.f("fk_terms_bid_id")),
        sa.PrimaryKeyConstraint("bid_id", "version", name=op.f("pk_terms")),
        sa.UniqueConstraint("bid_id", "version", "amount", name=op.f("uq_terms_bid_id_version_amount")),
    )
    op.create_table(
        "terms_skus",
        sa.Column("bid_id", sa.Uuid(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("sku_id", sa.Uuid(), nullable=False),
        sa.Column("buyer_id", sa.Uuid(), nullable=False),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(["bid_id", "buyer_id"], ["bids.id", "bids.buyer_id"], name="fk_terms_skus_buyer"),
        sa.ForeignKeyConstraint(["bid_id", "version"], ["terms.bid_id", "terms.version"], name="fk_terms_skus_terms"),
        sa.ForeignKeyConstraint(["sku_id", "buyer_id"], ["skus.id", "skus.merchant_id"], name="fk_terms_skus_sku"),
        sa.PrimaryKeyConstraint("bid_id", "version", "sku_id", name=op.f("pk_terms_skus")),
    )
    op.create_table(
        "approvals",
        sa.Column("bid_id", sa.Uuid(), nullable=False),
        sa.Column("terms_version", sa.Integer(), nullable=False),
        sa.Column("side", sa.Text(), nullable=False),
        sa.Column("user_id", sa.Uuid(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint("side IN ('creator', 'buyer')", name=op.f("ck_approvals_side_known")),
        sa.ForeignKeyConstraint(
            ["bid_id", "terms_version"], ["terms.bid_id", "terms.version"], name="fk_approvals_terms"
        ),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], name=op.f("fk_approvals_user_id")),
        sa.PrimaryKeyConstraint("bid_id", "terms_version", "side", name=op.f("pk_approvals")),
    )
    op.create_table(
        "comments",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("bid_id", sa.Uuid(), nullable=False),
        sa.Column("author_id", sa.Uuid(), nullable=False),
        sa.Column("text", sa.Text(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint("char_length(text) BETWEEN 1 AND 4000", name=op.f("ck_comments_text_length")),
        sa.ForeignKeyConstraint(["author_id"], ["users.id"], name=op.f("fk_comments_author_id")),
        sa.ForeignKeyConstraint(["bid_id"], ["bids.id"], name=op.f("fk_comments_bid_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_comments")),
    )
    op.create_table(
        "commitments",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("bid_id", sa.Uuid(), nullable=False),
        sa.Column("terms_version", sa.Integer(), nullable=False),
        sa.Column("slot_id", sa.Uuid(), nullable=False),
        sa.Column("project_id", sa.Uuid(), nullable=False),
        sa.Column("creator_id", sa.Uuid(), nullable=False),
        sa.Column("buyer_id", sa.Uuid(), nullable=False),
        sa.Column("amount", sa.Numeric(precision=14, scale=2), nullable=False),
        sa.Column("status", sa.Text(), nullable=False),
        sa.Column("deliver_by", sa.DateTime(timezone=True), nullable=False),
        sa.Column("delivered_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("evidence_url", sa.Text(), nullable=True),
        sa.Column("confirm_by", sa.DateTime(timezone=True), nullable=True),
        sa.Column("completed_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("cancelled_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("cancel_requested_by", sa.Text(), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column(
            "uncancelled_bid_id",
            sa.Uuid(),
            sa.Computed("CASE WHEN status <> 'Cancelled' THEN bid_id END", persisted=True),
            nullable=True,
        ),
        sa.Column("bid_status", sa.Text(), sa.Computed("'Committed'::text", persisted=True), nullable=False),
        sa.Column(
            "completed_slot_id",
            sa.Uuid(),
            sa.Computed("CASE WHEN status = 'Completed' THEN slot_id END", persisted=True),
            nullable=True,
        ),
        sa.Column("completed_status", sa.Text(), sa.Computed("'Completed'::text", persisted=True), nullable=False),
        sa.CheckConstraint(
            "(status = 'Cancelled') = (cancelled_at IS NOT NULL)", name=op.f("ck_commitments_cancelled_has_time")
        ),
        sa.CheckConstraint(
            "(status = 'Completed') = (completed_at IS NOT NULL)", name=op.f("ck_commitments_completed_has_time")
        ),
        sa.CheckConstraint(
            "cancel_requested_by IN ('creator', 'buyer')", name=op.f("ck_commitments_cancel_requested_by_known")
        ),
        sa.CheckConstraint(
            "cancel_requested_by IS NULL OR status IN ('Active', 'Delivered')",
            name=op.f("ck_commitments_request_only_while_open"),
        ),
        sa.CheckConstraint(
            "status IN ('Active', 'Cancelled') OR (delivered_at IS NOT NULL AND confirm_by IS NOT NULL)",
            name=op.f("ck_commitments_delivered_has_times"),
        ),
        sa.CheckConstraint(
            "status IN ('Active', 'Delivered', 'Completed', 'Cancelled')", name=op.f("ck_commitments_status_known")
        ),
        sa.CheckConstraint("amount > 0", name=op.f("ck_commitments_amount_positive")),
        sa.CheckConstraint(
            "char_length(evidence_url) BETWEEN 1 AND 2048", name=op.f("ck_commitments_evidence_url_length")
        ),
        sa.ForeignKeyConstraint(
            ["bid_id", "slot_id", "creator_id", "buyer_id"],
            ["bids.id", "bids.slot_id", "bids.creator_id", "bids.buyer_id"],
            name="fk_commitments_bid",
        ),
        sa.ForeignKeyConstraint(
            ["bid_id", "terms_version", "amount"],
            ["terms.bid_id", "terms.version", "terms.amount"],
            name="fk_commitments_terms",
        ),
        sa.ForeignKeyConstraint(["project_id"], ["projects.id"], name=op.f("fk_commitments_project_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_commitments")),
        sa.UniqueConstraint("bid_id", "status", name=op.f("uq_commitments_bid_id_status")),
        sa.UniqueConstraint("bid_id", name=op.f("uq_commitments_bid_id")),
        sa.UniqueConstraint("uncancelled_bid_id", name=op.f("uq_commitments_uncancelled_bid_id")),
    )
    op.create_index("ix_bids_buyer_id_updated_at", "bids", ["buyer_id", "updated_at", "id"], unique=False)
    op.create_index("ix_bids_creator_id_updated_at", "bids", ["creator_id", "updated_at", "id"], unique=False)
    op.create_index(
        "ix_bids_expires_at",
        "bids",
        ["expires_at"],
        unique=False,
        postgresql_where=sa.text("status IN ('Pending', 'AwaitingFinalApproval', 'Accepted')"),
    )
    op.create_index("ix_bids_slot_id_updated_at", "bids", ["slot_id", "updated_at", "id"], unique=False)
    op.create_index("ix_bids_updated_at", "bids", ["updated_at", "id"], unique=False)
    op.create_index(
        "uq_bids_buyer_id_slot_id_undeclined",
        "bids",
        ["buyer_id", "slot_id"],
        unique=True,
        postgresql_where=sa.text("status <> 'Declined'"),
    )
    op.create_index(op.f("ix_comments_author_id"), "comments", ["author_id"], unique=False)
    op.create_index("ix_comments_bid_id_created_at", "comments", ["bid_id", "created_at", "id"], unique=False)
    op.create_index(op.f("ix_terms_author_id"), "terms", ["author_id"], unique=False)
    op.create_index(op.f("ix_approvals_user_id"), "approvals", ["user_id"], unique=False)
    op.create_index("ix_commitments_buyer_id_created_at", "commitments", ["buyer_id", "created_at", "id"], unique=False)
    op.create_index(
        "ix_commitments_confirm_by",
        "commitments",
        ["confirm_by"],
        unique=False,
        postgresql_where=sa.text("status = 'Delivered'"),
    )
    op.create_index("ix_commitments_created_at", "commitments", ["created_at", "id"], unique=False)
    op.create_index(
        "ix_commitments_creator_id_created_at", "commitments", ["creator_id", "created_at", "id"], unique=False
    )
    op.create_index("ix_commitments_project_id", "commitments", ["project_id"], unique=False)
    op.create_index("ix_commitments_slot_id", "commitments", ["slot_id"], unique=False)
    op.create_index("ix_terms_skus_sku_id", "terms_skus", ["sku_id"], unique=False)


def downgrade() -> None:
    op.drop_table("commitments")
    op.drop_table("comments")
    op.drop_table("approvals")
    op.drop_table("terms_skus")
    op.drop_table("terms")
    op.drop_table("bids")
