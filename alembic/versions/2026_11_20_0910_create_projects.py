"""Create projects and the drafts of their scripts.

Revision ID: create_projects
Revises: create_users
"""

import sqlalchemy as sa
from alembic import op

revision = "create_projects"
down_revision = "create_users"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "projects",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("creator_id", sa.Uuid(), nullable=False),
        sa.Column("title", sa.Text(), nullable=False),
        sa.Column("genre", sa.Text(), nullable=True),
        sa.Column("logline", sa.Text(), nullable=True),
        sa.Column("budget_target", sa.Numeric(precision=14, scale=2), nullable=False),
        sa.Column("production_window", sa.Text(), nullable=False),
        sa.Column("age_start", sa.Integer(), nullable=True),
        sa.Column("age_end", sa.Integer(), nullable=True),
        sa.Column("gender", sa.Text(), nullable=False),
        sa.Column("draft_number", sa.Integer(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("removed_at", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint("gender IN ('any', 'female', 'male', 'nonbinary')", name=op.f("ck_projects_gender_known")),
        sa.CheckConstraint("age_start <= age_end", name=op.f("ck_projects_ages_ordered")),
        sa.CheckConstraint(
            "age_start BETWEEN 0 AND 120 AND age_end BETWEEN 0 AND 120", name=op.f("ck_projects_ages_human")
        ),
        sa.CheckConstraint("budget_target >= 0", name=op.f("ck_projects_budget_target_not_negative")),
        sa.CheckConstraint("char_length(genre) BETWEEN 1 AND 100", name=op.f("ck_projects_genre_length")),
        sa.CheckConstraint("char_length(logline) BETWEEN 1 AND 4000", name=op.f("ck_projects_logline_length")),
        sa.CheckConstraint(
            "char_length(production_window) BETWEEN 1 AND 4000", name=op.f("ck_projects_production_window_length")
        ),
        sa.CheckConstraint("char_length(title) BETWEEN 1 AND 200", name=op.f("ck_projects_title_length")),
        sa.ForeignKeyConstraint(["creator_id"], ["users.id"], name=op.f("fk_projects_creator_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_projects")),
        sa.UniqueConstraint("id", "creator_id", name=op.f("uq_projects_id_creator_id")),
    )
    op.create_table(
        "drafts",
        sa.Column("project_id", sa.Uuid(), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("storage_key", sa.Text(), nullable=False),
        sa.Column("file_name", sa.Text(), nullable=False),
        sa.Column("media_type", sa.Text(), nullable=False),
        sa.Column("size", sa.BigInteger(), nullable=False),
        sa.Column("sha256", sa.LargeBinary(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint("char_length(file_name) BETWEEN 1 AND 255", name=op.f("ck_drafts_file_name_length")),
        sa.CheckConstraint("length(sha256) = 32", name=op.f("ck_drafts_sha256_length")),
        sa.CheckConstraint("number >= 1", name=op.f("ck_drafts_number_from_one")),
        sa.CheckConstraint("size >= 1", name=op.f("ck_drafts_size_positive")),
        sa.ForeignKeyConstraint(["project_id"], ["projects.id"], name=op.f("fk_drafts_project_id")),
        sa.PrimaryKeyConstraint("project_id", "number", name=op.f("pk_drafts")),
        sa.UniqueConstraint("storage_key", name=op.f("uq_drafts_storage_key")),
    )
    op.create_index("ix_projects_created_at", "projects", ["created_at", "id"], unique=False)
    op.create_index("ix_projects_creator_id_created_at", "projects", ["creator_id", "created_at", "id"], unique=False)


def downgrade() -> None:
    op.drop_table("drafts")
    op.drop_table("projects")
