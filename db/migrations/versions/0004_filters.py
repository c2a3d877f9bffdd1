"""Listings have sellers and can be filtered; photos have a perceptual hash."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

BIG_ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")

BY_CATEGORY = "ix_listings_filter_category"
BY_PRICE = "ix_listings_filter_price"
BY_PLACE = "ix_listings_filter_place"


def upgrade() -> None:
    op.add_column("listings", sa.Column("seller", sa.Text(), nullable=True))
    op.add_column("photos", sa.Column("phash", BIG_ID, nullable=True))
    op.drop_index("ix_listings_category_id", "listings")
    op.create_index(
        BY_CATEGORY,
        "listings",
        [
            "status",
            "category_id",
            "price",
            "currency",
            "latitude",
            "longitude",
            "seller",
            "id",
        ],
    )
    op.create_index(BY_PRICE, "listings", ["status", "price", "currency", "id"])
    op.create_index(BY_PLACE, "listings", ["status", "latitude", "longitude", "id"])
    # Generations of the format before can't be opened any more: the next build is the first again.
    op.execute("UPDATE generations SET status = 'removed' WHERE status IN ('live', 'retired')")


def downgrade() -> None:
    # An earlier release knows neither these states nor this kind of job nor this kind of index.
    op.execute("UPDATE generations SET status = 'removed' WHERE status IN ('live', 'retired')")
    op.execute("UPDATE listings SET status = 'active' WHERE status IN ('reserved', 'sold')")
    op.execute("DELETE FROM jobs WHERE type = 'duplicates'")
    for name in (BY_PLACE, BY_PRICE, BY_CATEGORY):
        op.drop_index(name, "listings")
    op.create_index("ix_listings_category_id", "listings", ["category_id"])
    op.drop_column("photos", "phash")
    op.drop_column("listings", "seller")
