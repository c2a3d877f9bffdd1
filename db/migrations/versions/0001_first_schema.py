"""The first schema."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

JSON = sa.JSON().with_variant(postgresql.JSONB(), "postgresql")
MOMENT = sa.DateTime(timezone=True)
BIG_ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    op.create_table(
        "api_keys",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("name", sa.String(length=200), nullable=False),
        sa.Column("sha256", sa.String(length=64), nullable=False),
        sa.Column("scopes", JSON, nullable=False),
        sa.Column("created_at", MOMENT, nullable=False),
        sa.Column("revoked_at", MOMENT, nullable=True),
        sa.PrimaryKeyConstraint("id", name="pk_api_keys"),
        sa.UniqueConstraint("sha256", name="uq_api_keys_sha256"),
    )
    op.create_table(
        "categories",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("parent_id", sa.Integer(), nullable=True),
        sa.Column("name", sa.String(length=200), nullable=False),
        sa.Column("path", sa.String(length=1000), nullable=False),
        sa.ForeignKeyConstraint(
            ["parent_id"], ["categories.id"], name="fk_categories_parent_id_categories"
        ),
        sa.PrimaryKeyConstraint("id", name="pk_categories"),
        sa.UniqueConstraint("path", name="uq_categories_path"),
        sqlite_autoincrement=True,
    )
    op.create_table(
        "encoders",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("name", sa.String(length=64), nullable=False),
        sa.Column("fingerprint", sa.String(length=64), nullable=False),
        sa.Column("dimension", sa.Integer(), nullable=False),
        sa.Column("created_at", MOMENT, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_encoders"),
        sa.UniqueConstraint("fingerprint", name="uq_encoders_fingerprint"),
    )
    op.create_table(
        "jobs",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column(
            "type",
            sa.Enum(
                "search", "embed", "batch", "reindex", name="jobtype", native_enum=False, length=16
            ),
            nullable=False,
        ),
        sa.Column(
            "status",
            sa.Enum(
                "queued",
                "running",
                "succeeded",
                "failed",
                "cancelled",
                name="jobstatus",
                native_enum=False,
                length=16,
            ),
            nullable=False,
        ),
        sa.Column("parent_id", sa.Uuid(), nullable=True),
        sa.Column("payload", JSON, nullable=False),
        sa.Column("result", JSON, nullable=True),
        sa.Column("error_code", sa.String(length=64), nullable=True),
        sa.Column("error_detail", sa.Text(), nullable=True),
        sa.Column("total", sa.Integer(), nullable=False),
        sa.Column("done", sa.Integer(), nullable=False),
        sa.Column("failed", sa.Integer(), nullable=False),
        sa.Column("attempt", sa.Integer(), nullable=False),
        sa.Column("attempts_before", sa.Integer(), nullable=False),
        sa.Column("published", sa.Integer(), nullable=False),
        sa.Column("publish_after", MOMENT, nullable=False),
        sa.Column("lease_expires_at", MOMENT, nullable=True),
        sa.Column("created_at", MOMENT, nullable=False),
        sa.Column("started_at", MOMENT, nullable=True),
        sa.Column("finished_at", MOMENT, nullable=True),
        sa.ForeignKeyConstraint(["parent_id"], ["jobs.id"], name="fk_jobs_parent_id_jobs"),
        sa.PrimaryKeyConstraint("id", name="pk_jobs"),
    )
    op.create_index("ix_jobs_created_at_id", "jobs", ["created_at", "id"], unique=False)
    op.create_index("ix_jobs_parent_id", "jobs", ["parent_id"], unique=False)
    op.create_index(
        "ix_jobs_status_publish_after", "jobs", ["status", "publish_after"], unique=False
    )
    op.create_index(
        "uq_jobs_open_reindex",
        "jobs",
        ["type"],
        unique=True,
        sqlite_where=sa.text("type = 'reindex' AND status IN ('queued', 'running')"),
        postgresql_where=sa.text("type = 'reindex' AND status IN ('queued', 'running')"),
    )

    op.create_table(
        "photos",
        sa.Column("id", BIG_ID, nullable=False),
        sa.Column("sha256", sa.String(length=64), nullable=False),
        sa.Column("width", sa.Integer(), nullable=False),
        sa.Column("height", sa.Integer(), nullable=False),
        sa.Column("created_at", MOMENT, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_photos"),
        sa.UniqueConstraint("sha256", name="uq_photos_sha256"),
        sqlite_autoincrement=True,
    )
    op.create_table(
        "changes",
        sa.Column("number", BIG_ID, nullable=False),
        sa.Column("photo_id", BIG_ID, nullable=False),
        sa.ForeignKeyConstraint(["photo_id"], ["photos.id"], name="fk_changes_photo_id_photos"),
        sa.PrimaryKeyConstraint("number", name="pk_changes"),
        sqlite_autoincrement=True,
    )
    op.create_table(
        "consumption",
        sa.Column("queue", sa.String(length=16), nullable=False),
        sa.Column("seen_at", MOMENT, nullable=False),
        sa.Column("encoder_id", sa.Integer(), nullable=True),
        sa.ForeignKeyConstraint(
            ["encoder_id"], ["encoders.id"], name="fk_consumption_encoder_id_encoders"
        ),
        sa.PrimaryKeyConstraint("queue", name="pk_consumption"),
    )
    op.create_table(
        "embeddings",
        sa.Column("encoder_id", sa.Integer(), nullable=False),
        sa.Column("photo_id", BIG_ID, nullable=False),
        sa.Column("vector", sa.LargeBinary(), nullable=False),
        sa.ForeignKeyConstraint(
            ["encoder_id"], ["encoders.id"], name="fk_embeddings_encoder_id_encoders"
        ),
        sa.ForeignKeyConstraint(["photo_id"], ["photos.id"], name="fk_embeddings_photo_id_photos"),
        sa.PrimaryKeyConstraint("encoder_id", "photo_id", name="pk_embeddings"),
    )
    op.create_index("ix_embeddings_photo_id", "embeddings", ["photo_id"], unique=False)

    op.create_table(
        "generations",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("encoder_id", sa.Integer(), nullable=False),
        sa.Column("job_id", sa.Uuid(), nullable=True),
        sa.Column(
            "status",
            sa.Enum(
                "building",
                "live",
                "retired",
                "removed",
                "refused",
                "failed",
                name="generationstatus",
                native_enum=False,
                length=16,
            ),
            nullable=False,
        ),
        sa.Column("factory", sa.String(length=200), nullable=True),
        sa.Column("rows", sa.Integer(), nullable=True),
        sa.Column("last_change", sa.BigInteger(), nullable=True),
        sa.Column("recall_at_10", sa.Double(), nullable=True),
        sa.Column("p50_ms", sa.Double(), nullable=True),
        sa.Column("bytes", sa.BigInteger(), nullable=True),
        sa.Column("manifest_sha256", sa.String(length=64), nullable=True),
        sa.Column("error", sa.Text(), nullable=True),
        sa.Column("created_at", MOMENT, nullable=False),
        sa.Column("activated_at", MOMENT, nullable=True),
        sa.ForeignKeyConstraint(
            ["encoder_id"], ["encoders.id"], name="fk_generations_encoder_id_encoders"
        ),
        sa.ForeignKeyConstraint(["job_id"], ["jobs.id"], name="fk_generations_job_id_jobs"),
        sa.PrimaryKeyConstraint("id", name="pk_generations"),
        sqlite_autoincrement=True,
    )
    op.create_index(
        "uq_generations_live",
        "generations",
        ["encoder_id"],
        unique=True,
        sqlite_where=sa.text("status = 'live'"),
        postgresql_where=sa.text("status = 'live'"),
    )

    op.create_table(
        "listings",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("title", sa.Text(), nullable=False),
        sa.Column("description", sa.Text(), nullable=False),
        sa.Column("category_id", sa.Integer(), nullable=True),
        sa.Column("price", sa.Numeric(precision=14, scale=2), nullable=True),
        sa.Column("currency", sa.String(length=3), nullable=True),
        sa.Column("location", sa.Text(), nullable=True),
        sa.Column(
            "status",
            sa.Enum("active", "deleted", name="listingstatus", native_enum=False, length=16),
            nullable=False,
        ),
        sa.Column("created_at", MOMENT, nullable=False),
        sa.Column("updated_at", MOMENT, nullable=False),
        sa.ForeignKeyConstraint(
            ["category_id"], ["categories.id"], name="fk_listings_category_id_categories"
        ),
        sa.PrimaryKeyConstraint("id", name="pk_listings"),
    )
    op.create_index("ix_listings_category_id", "listings", ["category_id"], unique=False)
    op.create_index("ix_listings_created_at_id", "listings", ["created_at", "id"], unique=False)

    op.create_table(
        "listing_photos",
        sa.Column("listing_id", sa.Uuid(), nullable=False),
        sa.Column("photo_id", BIG_ID, nullable=False),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(
            ["listing_id"], ["listings.id"], name="fk_listing_photos_listing_id_listings"
        ),
        sa.ForeignKeyConstraint(
            ["photo_id"], ["photos.id"], name="fk_listing_photos_photo_id_photos"
        ),
        sa.PrimaryKeyConstraint("listing_id", "photo_id", name="pk_listing_photos"),
    )
    op.create_index("ix_listing_photos_photo_id", "listing_photos", ["photo_id"], unique=False)


def downgrade() -> None:

    op.drop_table("listing_photos")

    op.drop_table("listings")

    op.drop_table("generations")

    op.drop_table("embeddings")
    op.drop_table("consumption")
    op.drop_table("changes")
    op.drop_table("photos")

    op.drop_table("jobs")
    op.drop_table("encoders")
    op.drop_table("categories")
    op.drop_table("api_keys")
