"""The key that has made a job or a saved search, by its name; that of older ones is not known."""

import sqlalchemy as sa
from alembic import op

revision = "0020"
down_revision = "0019"
branch_labels = None
depends_on = None

KNOWN = sa.text("made_by IS NOT NULL")


def upgrade() -> None:
    for table in ("jobs", "saved_searches"):
        op.add_column(table, sa.Column("made_by", sa.String(200), nullable=True))
    op.create_index(
        "ix_jobs_made_by_created_at_id",
        "jobs",
        ["made_by", "created_at", "id"],
        sqlite_where=KNOWN,
        postgresql_where=KNOWN,
    )


def downgrade() -> None:
    op.drop_index("ix_jobs_made_by_created_at_id", table_name="jobs")
    for table in ("jobs", "saved_searches"):
        op.drop_column(table, "made_by")
