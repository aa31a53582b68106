"""Create slots and who is invited to them.

Revision ID: create_slots
Revises: create_projects
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "create_slots"
down_revision = "create_projects"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "slots",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("project_id", sa.Uuid(), nullable=False),
        sa.Column("creator_id", sa.Uuid(), nullable=False),
        sa.Column("scene_ref", sa.Text(), nullable=False),
        sa.Column("description", sa.Text(), nullable=True),
        sa.Column("type", sa.Text(), nullable=False),
        sa.Column("pricing_floor", sa.Numeric(precision=14, scale=2), nullable=False),
        sa.Column("modality", sa.Text(), nullable=False),
        sa.Column("visibility", sa.Text(), nullable=False),
        sa.Column("status", sa.Text(), nullable=False),
        sa.Column("constraints", postgresql.ARRAY(sa.Text()), nullable=False),
        sa.Column("excluded_categories", postgresql.ARRAY(sa.Text()), nullable=False),
        sa.Column("bidding_closes_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("genre", sa.Text(), nullable=True),
        sa.Column("holder_bid_id", sa.Uuid(), nullable=True),
        sa.Column("hold_expires_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("completes_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("removed_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("holds", sa.Boolean(), sa.Computed("true", persisted=True), nullable=False),
        sa.Column(
            "completed_bid_id",
            sa.Uuid(),
            sa.Computed("CASE WHEN status = 'Completed' THEN holder_bid_id END", persisted=True),
            nullable=True,
        ),
        sa.Column("completed_status", sa.Text(), sa.Computed("'Completed'::text", persisted=True), nullable=False),
        sa.CheckConstraint(
            "(status = 'Available') = (holder_bid_id IS NULL)", name=op.f("ck_slots_held_unless_available")
        ),
        sa.CheckConstraint(
            "hold_expires_at IS NULL OR status = 'Locked'", name=op.f("ck_slots_hold_ends_only_when_locked")
        ),
        sa.CheckConstraint("modality IN ('Private Auction', 'PG/Reservation')", name=op.f("ck_slots_modality_known")),
        sa.CheckConstraint(
            "completes_at IS NULL OR (status = 'Locked' AND hold_expires_at IS NULL)",
            name=op.f("ck_slots_completes_only_when_committed"),
        ),
        sa.CheckConstraint("removed_at IS NULL OR status <> 'Locked'", name=op.f("ck_slots_removed_is_not_held")),
        sa.CheckConstraint("status IN ('Available', 'Locked', 'Completed')", name=op.f("ck_slots_status_known")),
        sa.CheckConstraint(
            "type IN ('Background', 'Featured', 'Hands-on', 'Verbal', 'Wardrobe', 'Signage', 'Plot')",
            name=op.f("ck_slots_type_known"),
        ),
        sa.CheckConstraint("visibility IN ('Public', 'Private')", name=op.f("ck_slots_visibility_known")),
        sa.CheckConstraint("char_length(description) BETWEEN 1 AND 4000", name=op.f("ck_slots_description_length")),
        sa.CheckConstraint("char_length(scene_ref) BETWEEN 1 AND 4000", name=op.f("ck_slots_scene_ref_length")),
        sa.CheckConstraint("pricing_floor >= 0", name=op.f("ck_slots_pricing_floor_not_negative")),
        sa.ForeignKeyConstraint(
            ["project_id", "creator_id"], ["projects.id", "projects.creator_id"], name="fk_slots_project"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_slots")),
        sa.UniqueConstraint("id", "creator_id", name=op.f("uq_slots_id_creator_id")),
        sa.UniqueConstraint("id", "holder_bid_id", "status", name="uq_slots_holder"),
        sa.UniqueConstraint("id", "holder_bid_id", name="uq_slots_id_holder_bid_id"),
        sa.UniqueConstraint("id", "modality", name=op.f("uq_slots_id_modality")),
    )
    op.create_table(
        "slot_invitees",
        sa.Column("slot_id", sa.Uuid(), nullable=False),
        sa.Column("user_id", sa.Uuid(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["slot_id"], ["slots.id"], name=op.f("fk_slot_invitees_slot_id")),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], name=op.f("fk_slot_invitees_user_id")),
        sa.PrimaryKeyConstraint("slot_id", "user_id", name=op.f("pk_slot_invitees")),
    )
    op.create_index(
        "ix_slots_created_at",
        "slots",
        ["created_at", "id"],
        unique=False,
        postgresql_where=sa.text("removed_at IS NULL"),
    )
    op.create_index("ix_slots_creator_id_created_at", "slots", ["creator_id", "created_at", "id"], unique=False)
    op.create_index(
        "ix_slots_genre_created_at", "slots", [sa.literal_column("lower(genre)"), "created_at", "id"], unique=False
    )
    op.create_index(
        "ix_slots_completes_at",
        "slots",
        ["completes_at"],
        unique=False,
        postgresql_where=sa.text("completes_at IS NOT NULL"),
    )
    op.create_index(
        "ix_slots_hold_expires_at",
        "slots",
        ["hold_expires_at"],
        unique=False,
        postgresql_where=sa.text("hold_expires_at IS NOT NULL"),
    )
    op.create_index(
        "ix_slots_holder_bid_id",
        "slots",
        ["holder_bid_id"],
        unique=False,
        postgresql_where=sa.text("holder_bid_id IS NOT NULL"),
    )
    op.create_index(
        "ix_slots_pricing_floor",
        "slots",
        ["pricing_floor", "id"],
        unique=False,
        postgresql_where=sa.text("removed_at IS NULL"),
    )
    op.create_index("ix_slots_project_id", "slots", ["project_id"], unique=False)
    op.create_index(op.f("ix_slot_invitees_user_id"), "slot_invitees", ["user_id"], unique=False)


def downgrade() -> None:
    op.drop_table("slot_invitees")
    op.drop_table("slots")
