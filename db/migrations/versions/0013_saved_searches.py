"""Searches can be saved: listings that become findable are matched with them."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

revision = "0013"
down_revision = "0012"
branch_labels = None
depends_on = None

BIG_ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
JSON = sa.JSON().with_variant(JSONB(), "postgresql")
TIME = sa.DateTime(timezone=True)


def upgrade() -> None:
    op.create_table(
        "saved_searches",
        sa.Column("number", BIG_ID, nullable=False),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("stated", JSON, nullable=False),
        sa.Column("payload", JSON, nullable=False),
        sa.Column("listing_photos", JSON, nullable=False),
        sa.Column("min_similarity", sa.Double(), nullable=True),
        sa.Column("after", sa.BigInteger(), nullable=False),
        sa.Column("webhook_url", sa.Text(), nullable=True),
        sa.Column("webhook_host", sa.Text(), nullable=True),
        sa.Column("webhook_secret", sa.Text(), nullable=True),
        sa.Column("webhook_disabled_at", TIME, nullable=True),
        sa.Column("created_at", TIME, nullable=False),
        sa.PrimaryKeyConstraint("number", name=op.f("pk_saved_searches")),
        sa.UniqueConstraint("id", name=op.f("uq_saved_searches_id")),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_saved_searches_created_at_id", "saved_searches", ["created_at", "id"])
    _create_vectors()
    op.create_table(
        "saved_search_changes",
        sa.Column("number", BIG_ID, nullable=False),
        sa.Column("saved_search", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("number", name=op.f("pk_saved_search_changes")),
        sqlite_autoincrement=True,
    )
    _create_matches()
    progress = op.create_table(
        "matching_progress",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("number", sa.BigInteger(), nullable=False),
        sa.Column("encoder_id", sa.Integer(), nullable=True),
        sa.Column("switched_at", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(
            ["encoder_id"], ["encoders.id"], name=op.f("fk_matching_progress_encoder_id_encoders")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_matching_progress")),
    )
    op.bulk_insert(progress, [{"id": 1, "number": 0, "switched_at": 0}])


def _create_vectors() -> None:
    op.create_table(
        "saved_search_vectors",
        sa.Column("encoder_id", sa.Integer(), nullable=False),
        sa.Column("saved_search", BIG_ID, nullable=False),
        sa.Column("vectors", sa.LargeBinary(), nullable=False),
        sa.Column("error_code", sa.String(64), nullable=True),
        sa.Column("error_detail", sa.Text(), nullable=True),
        sa.ForeignKeyConstraint(
            ["encoder_id"],
            ["encoders.id"],
            name=op.f("fk_saved_search_vectors_encoder_id_encoders"),
        ),
        sa.ForeignKeyConstraint(
            ["saved_search"],
            ["saved_searches.number"],
            name=op.f("fk_saved_search_vectors_saved_search_saved_searches"),
        ),
        sa.PrimaryKeyConstraint("encoder_id", "saved_search", name=op.f("pk_saved_search_vectors")),
    )
    op.create_index(
        op.f("ix_saved_search_vectors_saved_search"), "saved_search_vectors", ["saved_search"]
    )


def _create_matches() -> None:
    op.create_table(
        "saved_search_matches",
        sa.Column("saved_search", BIG_ID, nullable=False),
        sa.Column("listing_id", sa.Uuid(), nullable=False),
        sa.Column("photo_id", sa.BigInteger(), nullable=False),
        sa.Column("similarity", sa.Double(), nullable=False),
        sa.Column("created_at", TIME, nullable=False),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("next_attempt_at", TIME, nullable=True),
        sa.Column("delivered_at", TIME, nullable=True),
        sa.Column("error", sa.Text(), nullable=True),
        sa.ForeignKeyConstraint(
            ["saved_search"],
            ["saved_searches.number"],
            name=op.f("fk_saved_search_matches_saved_search_saved_searches"),
        ),
        sa.PrimaryKeyConstraint("saved_search", "listing_id", name=op.f("pk_saved_search_matches")),
    )
    op.create_index(
        "ix_saved_search_matches_saved_search_created_at_listing_id",
        "saved_search_matches",
        ["saved_search", "created_at", "listing_id"],
    )
    is_due = sa.text("next_attempt_at IS NOT NULL")
    op.create_index(
        "ix_saved_search_matches_due",
        "saved_search_matches",
        ["next_attempt_at"],
        sqlite_where=is_due,
        postgresql_where=is_due,
    )


def downgrade() -> None:
    # An earlier release does not know this kind of job.
    op.execute("DELETE FROM jobs WHERE type = 'match'")
    for table in (
        "matching_progress",
        "saved_search_matches",
        "saved_search_changes",
        "saved_search_vectors",
        "saved_searches",
    ):
        op.drop_table(table)
