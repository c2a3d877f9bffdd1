"""Listings say where they are, which feed they came with, and if their price is a placeholder."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "places",
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("latitude", sa.Double(), nullable=True),
        sa.Column("longitude", sa.Double(), nullable=True),
        sa.Column("looked_up_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("name", name="pk_places"),
    )
    op.add_column("listings", sa.Column("place", sa.Text(), nullable=True))
    op.add_column("listings", sa.Column("county", sa.Text(), nullable=True))
    op.add_column("listings", sa.Column("latitude", sa.Double(), nullable=True))
    op.add_column("listings", sa.Column("longitude", sa.Double(), nullable=True))
    op.add_column(
        "listings",
        sa.Column("price_suspect", sa.Boolean(), nullable=False, server_default=sa.false()),
    )
    op.add_column("listings", sa.Column("feed", sa.Text(), nullable=True))


def downgrade() -> None:
    for name in ("feed", "price_suspect", "longitude", "latitude", "county", "place"):
        op.drop_column("listings", name)
    op.drop_table("places")
