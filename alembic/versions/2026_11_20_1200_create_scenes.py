"""Create scenes and the readings they come from; drafts that are there already wait to be read.

Revision ID: create_scenes
Revises: index_words
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "create_scenes"
down_revision = "index_words"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "readings",
        sa.Column("project_id", sa.Uuid(), nullable=False),
        sa.Column("draft_number", sa.Integer(), nullable=False),
        sa.Column("status", sa.Text(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=True),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("leased_until", sa.DateTime(timezone=True), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("finished_at", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint("status IN ('processing', 'ready', 'unreadable')", name=op.f("ck_readings_status_known")),
        sa.CheckConstraint("char_length(reason) BETWEEN 1 AND 4000", name=op.f("ck_readings_reason_length")),
        sa.CheckConstraint(
            "(status = 'unreadable') = (reason IS NOT NULL)", name=op.f("ck_readings_unreadable_has_reason")
        ),
        sa.CheckConstraint(
            "(status = 'processing') = (finished_at IS NULL)", name=op.f("ck_readings_finished_has_time")
        ),
        sa.ForeignKeyConstraint(
            ["project_id", "draft_number"], ["drafts.project_id", "drafts.number"], name="fk_readings_draft"
        ),
        sa.PrimaryKeyConstraint("project_id", "draft_number", name=op.f("pk_readings")),
    )
    op.create_index(
        "ix_readings_processing", "readings", ["created_at"], postgresql_where=sa.text("status = 'processing'")
    )
    op.create_table(
        "scenes",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("project_id", sa.Uuid(), nullable=False),
        sa.Column("draft_number", sa.Integer(), nullable=False),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.Column("number", sa.Text(), nullable=True),
        sa.Column("heading", sa.Text(), nullable=False),
        sa.Column("setting", sa.Text(), nullable=True),
        sa.Column("location", sa.Text(), nullable=False),
        sa.Column("time_of_day", sa.Text(), nullable=True),
        sa.Column("page", sa.Integer(), nullable=False),
        sa.Column("eighths", sa.Integer(), nullable=False),
        sa.Column("estimated_seconds", sa.Integer(), nullable=False),
        sa.Column("characters", postgresql.ARRAY(sa.Text()), nullable=False),
        sa.Column("excerpt", sa.Text(), nullable=False),
        sa.Column("passages", postgresql.JSONB(), nullable=False),
        sa.CheckConstraint("setting IN ('INT', 'EXT', 'INT/EXT')", name=op.f("ck_scenes_setting_known")),
        sa.CheckConstraint("char_length(number) BETWEEN 1 AND 50", name=op.f("ck_scenes_number_length")),
        sa.CheckConstraint("char_length(heading) BETWEEN 1 AND 500", name=op.f("ck_scenes_heading_length")),
        sa.CheckConstraint("char_length(location) BETWEEN 1 AND 500", name=op.f("ck_scenes_location_length")),
        sa.CheckConstraint("char_length(time_of_day) BETWEEN 1 AND 500", name=op.f("ck_scenes_time_of_day_length")),
        sa.CheckConstraint("char_length(excerpt) BETWEEN 0 AND 1000", name=op.f("ck_scenes_excerpt_length")),
        sa.CheckConstraint("position >= 1", name=op.f("ck_scenes_position_from_one")),
        sa.CheckConstraint(
            "page >= 1 AND eighths >= 1 AND estimated_seconds >= 0", name=op.f("ck_scenes_lengths_positive")
        ),
        sa.ForeignKeyConstraint(
            ["project_id", "draft_number"], ["readings.project_id", "readings.draft_number"], name="fk_scenes_reading"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_scenes")),
        sa.UniqueConstraint(
            "project_id", "draft_number", "position", name=op.f("uq_scenes_project_id_draft_number_position")
        ),
        sa.UniqueConstraint("id", "project_id", name=op.f("uq_scenes_id_project_id")),
    )
    op.execute("""
        INSERT INTO readings (project_id, draft_number, status, attempts, created_at)
        SELECT project_id, number, 'processing', 0, created_at FROM drafts
    """)


def downgrade() -> None:
    op.drop_table("scenes")
    op.drop_table("readings")
