"""A listing knows the job that fetches photos of it."""

import sqlalchemy as sa
from alembic import op

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("listings", sa.Column("awaited_job", sa.Uuid(), nullable=True))


def downgrade() -> None:
    op.drop_column("listings", "awaited_job")
