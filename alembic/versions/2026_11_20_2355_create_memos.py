"""Create memos and the files they left in. A deal approved before has its memo issued when it is first asked for.

Revision ID: create_memos
Revises: index_subjects
"""

import sqlalchemy as sa
from alembic import op

revision = "create_memos"
down_revision = "index_subjects"
branch_labels = None
depends_on = None

TABLES = ("memos", "memo_files")


def upgrade() -> None:
    op.create_table(
        "memos",
        sa.Column("bid_id", sa.Uuid(), nullable=False),
        sa.Column("terms_version", sa.Integer(), nullable=False),
        sa.Column("content", sa.Text(), nullable=False),
        sa.Column("sha256", sa.LargeBinary(), nullable=False),
        sa.Column("issued_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint("char_length(content) BETWEEN 1 AND 100000", name=op.f("ck_memos_content_length")),
        sa.CheckConstraint("sha256 = sha256(convert_to(content, 'UTF8'))", name=op.f("ck_memos_sha256_of_content")),
        sa.ForeignKeyConstraint(["bid_id", "terms_version"], ["terms.bid_id", "terms.version"], name="fk_memos_terms"),
        sa.PrimaryKeyConstraint("bid_id", "terms_version", name=op.f("pk_memos")),
        sa.UniqueConstraint("sha256", name=op.f("uq_memos_sha256")),
    )
    op.create_table(
        "memo_files",
        sa.Column("sha256", sa.LargeBinary(), nullable=False),
        sa.Column("bid_id", sa.Uuid(), nullable=False),
        sa.Column("terms_version", sa.Integer(), nullable=False),
        sa.Column("issued_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint("length(sha256) = 32", name=op.f("ck_memo_files_sha256_length")),
        sa.ForeignKeyConstraint(
            ["bid_id", "terms_version"], ["memos.bid_id", "memos.terms_version"], name="fk_memo_files_memo"
        ),
        sa.PrimaryKeyConstraint("sha256", name=op.f("pk_memo_files")),
    )
    op.create_index("ix_memo_files_bid_id_terms_version", "memo_files", ["bid_id", "terms_version"])
    for table in TABLES:
        op.execute(f"""
            CREATE TRIGGER guard_append_only BEFORE UPDATE OR DELETE ON {table}
                FOR EACH ROW EXECUTE FUNCTION guard_append_only()
        """)
        op.execute(f"""
            CREATE TRIGGER guard_truncate BEFORE TRUNCATE ON {table}
                FOR EACH STATEMENT EXECUTE FUNCTION guard_append_only()
        """)


def downgrade() -> None:
    op.drop_table("memo_files")
    op.drop_table("memos")
