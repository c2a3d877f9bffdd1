"""What has had its time leaves, and what is erased leaves no trace."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

revision = "0021"
down_revision = "0020"
branch_labels = None
depends_on = None

JSON = sa.JSON().with_variant(JSONB(), "postgresql")
BIG_ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
TIME = sa.DateTime(timezone=True)
AGEING = sa.text("kind > 0")
DELETED = sa.text("status = 'deleted'")
PENDING = sa.text("finished_at IS NULL")
# Else the copy that SQLite makes of a table may give the number of a removed row again.
NUMBERED = {"sqlite_autoincrement": True}


def upgrade() -> None:
    op.create_table(
        "highest_removed",
        sa.Column("of", sa.String(32), nullable=False),
        sa.Column("number", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("of", name=op.f("pk_highest_removed")),
    )
    op.create_table(
        "erasures",
        sa.Column("id", BIG_ID, nullable=False),
        sa.Column("kind", sa.String(16), nullable=False),
        sa.Column("listings", sa.Integer(), nullable=False),
        sa.Column("photos", sa.Integer(), nullable=False),
        sa.Column("requested_at", TIME, nullable=False),
        sa.Column("finished_at", TIME, nullable=True),
        sa.Column("pending", JSON, nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_erasures")),
        sqlite_autoincrement=True,
    )
    op.create_index(
        "ix_erasures_pending",
        "erasures",
        ["id"],
        sqlite_where=PENDING,
        postgresql_where=PENDING,
    )
    with op.batch_alter_table("changes", table_kwargs=NUMBERED) as changes:
        changes.drop_constraint("fk_changes_photo_id_photos", type_="foreignkey")
    with op.batch_alter_table("listing_changes", table_kwargs=NUMBERED) as changes:
        changes.drop_constraint("fk_listing_changes_listing_id_listings", type_="foreignkey")
        changes.alter_column("listing_id", existing_type=sa.Uuid(), nullable=True)
        changes.add_column(sa.Column("gone", sa.BigInteger(), nullable=True))
    op.create_index("ix_saved_search_matches_listing_id", "saved_search_matches", ["listing_id"])
    op.create_index(
        "ix_listings_deleted",
        "listings",
        ["updated_at"],
        sqlite_where=DELETED,
        postgresql_where=DELETED,
    )
    op.add_column("encoders", sa.Column("retired_at", TIME, nullable=True))
    op.execute("UPDATE encoders SET retired_at = CURRENT_TIMESTAMP WHERE status = 'retired'")
    op.add_column(
        "events", sa.Column("of_search", sa.Boolean(), server_default=sa.false(), nullable=False)
    )
    op.execute(
        "UPDATE events SET of_search = TRUE "
        "WHERE search_id IN (SELECT id FROM jobs WHERE type = 'search')"
    )
    op.drop_index("ix_events_at", "events")
    op.create_index(
        "ix_events_ageing", "events", ["at"], sqlite_where=AGEING, postgresql_where=AGEING
    )


def downgrade() -> None:
    op.drop_index("ix_events_ageing", "events")
    op.create_index("ix_events_at", "events", ["at"])
    op.drop_column("events", "of_search")
    op.drop_column("encoders", "retired_at")
    op.drop_index("ix_listings_deleted", "listings")
    op.drop_index("ix_saved_search_matches_listing_id", "saved_search_matches")
    # An earlier release finds a listing or a photo for each change.
    op.execute("DELETE FROM listing_changes WHERE listing_id IS NULL")
    op.execute("DELETE FROM listing_changes WHERE listing_id NOT IN (SELECT id FROM listings)")
    op.execute("DELETE FROM changes WHERE photo_id NOT IN (SELECT id FROM photos)")
    with op.batch_alter_table("listing_changes", table_kwargs=NUMBERED) as changes:
        changes.drop_column("gone")
        changes.alter_column("listing_id", existing_type=sa.Uuid(), nullable=False)
        changes.create_foreign_key(
            "fk_listing_changes_listing_id_listings", "listings", ["listing_id"], ["id"]
        )
    with op.batch_alter_table("changes", table_kwargs=NUMBERED) as changes:
        changes.create_foreign_key("fk_changes_photo_id_photos", "photos", ["photo_id"], ["id"])
    op.drop_table("erasures")
    op.drop_table("highest_removed")
