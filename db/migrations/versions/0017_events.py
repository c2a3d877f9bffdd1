"""What buyers do with listings is stored."""

import sqlalchemy as sa
from alembic import op

revision = "0017"
down_revision = "0016"
branch_labels = None
depends_on = None

BIG_ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
TOUCH = sa.text("kind >= 2")
SHOWN = sa.text("kind = 1")
HIDDEN = sa.text("kind = 0")


def upgrade() -> None:
    op.create_table(
        "events",
        sa.Column("number", BIG_ID, nullable=False),
        sa.Column("event_key", sa.LargeBinary(), nullable=False),
        sa.Column("user_key", sa.LargeBinary(), nullable=False),
        sa.Column("listing_number", sa.BigInteger(), nullable=False),
        sa.Column("kind", sa.SmallInteger(), nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.Column("search_id", sa.Uuid(), nullable=True),
        sa.Column("position", sa.Integer(), nullable=True),
        sa.PrimaryKeyConstraint("number", name=op.f("pk_events")),
        sa.UniqueConstraint("event_key", name=op.f("uq_events_event_key")),
        sqlite_autoincrement=True,
    )
    op.create_index(
        "ix_events_touches_of_user",
        "events",
        ["user_key", "at", "kind", "listing_number"],
        sqlite_where=TOUCH,
        postgresql_where=TOUCH,
        postgresql_include=["number"],
    )
    op.create_index(
        "ix_events_shown_to_user",
        "events",
        ["user_key", "at", "listing_number", "kind"],
        sqlite_where=SHOWN,
        postgresql_where=SHOWN,
        postgresql_include=["number"],
    )
    op.create_index(
        "ix_events_hidden_by_user",
        "events",
        ["user_key", "at", "listing_number", "kind"],
        sqlite_where=HIDDEN,
        postgresql_where=HIDDEN,
        postgresql_include=["number"],
    )
    op.create_index(
        "ix_events_touches_of_listing",
        "events",
        ["listing_number", "at", "user_key", "kind"],
        sqlite_where=TOUCH,
        postgresql_where=TOUCH,
    )
    op.create_index("ix_events_at", "events", ["at"])
    op.create_table(
        "listing_popularity",
        sa.Column("listing_number", BIG_ID, autoincrement=False, nullable=False),
        sa.Column("users", sa.Integer(), nullable=False),
        sa.Column("score", sa.Double(), nullable=False),
        sa.PrimaryKeyConstraint("listing_number", name=op.f("pk_listing_popularity")),
    )
    op.create_index("ix_listing_popularity_score", "listing_popularity", ["score"])
    has_user = sa.text("user_key IS NOT NULL")
    op.add_column("jobs", sa.Column("user_key", sa.LargeBinary(), nullable=True))
    op.create_index(
        "ix_jobs_user_key",
        "jobs",
        ["user_key"],
        sqlite_where=has_user,
        postgresql_where=has_user,
    )


def downgrade() -> None:
    # An earlier release does not know this scope.
    op.execute("DELETE FROM api_keys WHERE CAST(scopes AS TEXT) LIKE '%\"events\"%'")
    op.drop_index("ix_jobs_user_key", "jobs")
    op.drop_column("jobs", "user_key")
    op.drop_table("listing_popularity")
    op.drop_table("events")
