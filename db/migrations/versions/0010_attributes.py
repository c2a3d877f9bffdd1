"""Listings have attributes, and a number that indexes know them by; their changes are a feed."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None

CONTRACTS = (
    "On SQLite an earlier release can't store a listing, as it states no number: stop it before."
    " On PostgreSQL a sequence numbers what it stores."
)

BIG_ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
JSON = sa.JSON().with_variant(JSONB(), "postgresql")


def upgrade() -> None:
    connection = op.get_bind()
    op.add_column(
        "listings", sa.Column("attributes", JSON, nullable=False, server_default=sa.text("'{}'"))
    )
    op.add_column(
        "listings", sa.Column("number", BIG_ID, nullable=False, server_default=sa.text("0"))
    )
    if connection.dialect.name == "postgresql":
        op.execute("CREATE SEQUENCE listing_numbers OWNED BY listings.number")
        op.execute("ALTER TABLE listings ALTER number SET DEFAULT nextval('listing_numbers')")
        op.execute("UPDATE listings SET number = nextval('listing_numbers')")
    else:
        op.execute("UPDATE listings SET number = rowid")
    op.create_index("uq_listings_number", "listings", ["number"], unique=True)
    op.create_table(
        "listing_changes",
        sa.Column("number", BIG_ID, nullable=False),
        sa.Column("listing_id", sa.Uuid(), nullable=False),
        sa.ForeignKeyConstraint(
            ["listing_id"],
            ["listings.id"],
            name=op.f("fk_listing_changes_listing_id_listings"),
        ),
        sa.PrimaryKeyConstraint("number", name=op.f("pk_listing_changes")),
        sqlite_autoincrement=True,
    )


def downgrade() -> None:
    op.drop_table("listing_changes")
    op.drop_index("uq_listings_number", "listings")
    op.drop_column("listings", "number")
    op.drop_column("listings", "attributes")
