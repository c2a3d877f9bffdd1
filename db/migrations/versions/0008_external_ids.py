"""A listing keeps the id that its feed calls it by."""

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("listings", sa.Column("external_id", sa.Text(), nullable=True))
    op.create_index("ix_listings_external_id", "listings", ["external_id"])


def downgrade() -> None:
    op.drop_index("ix_listings_external_id", "listings")
    op.drop_column("listings", "external_id")
