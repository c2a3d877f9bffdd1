"""A job says which process has claimed it."""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("jobs", sa.Column("owner", sa.String(200), nullable=True))


def downgrade() -> None:
    # An earlier release does not know this kind of job.
    op.execute("DELETE FROM jobs WHERE type = 'adapt'")
    op.drop_column("jobs", "owner")
