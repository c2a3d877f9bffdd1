"""Encoders have a status, and one of them is the active one; waiting jobs are found by type."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

CONTRACTS = "Nothing: an earlier release leaves each encoder's status as it is made, registered."

JSON = sa.JSON().with_variant(postgresql.JSONB(), "postgresql")

# Until now searches were made with whatever encoder the settings named. Which one that was is told
# by the index that was made live last.
ADOPT = """
UPDATE encoders SET
    status = 'active',
    activated_at = (
        SELECT max(activated_at) FROM generations
        WHERE encoder_id = encoders.id AND status = 'live'
    )
WHERE id = (
    SELECT encoder_id FROM generations WHERE status = 'live'
    ORDER BY activated_at DESC, id DESC LIMIT 1
)
"""


def upgrade() -> None:
    op.add_column(
        "encoders",
        sa.Column(
            "precision",
            sa.Enum("float32", "int8", name="precision", native_enum=False, length=16),
            nullable=False,
            server_default="float32",
        ),
    )
    op.add_column(
        "encoders",
        sa.Column(
            "status",
            sa.Enum(
                "registered",
                "followed",
                "active",
                "retired",
                name="encoderstatus",
                native_enum=False,
                length=16,
            ),
            nullable=False,
            server_default="registered",
        ),
    )
    op.add_column("encoders", sa.Column("activated_at", sa.DateTime(timezone=True), nullable=True))
    op.add_column("encoders", sa.Column("comparison", JSON, nullable=True))
    op.create_index("ix_jobs_status_type_created_at", "jobs", ["status", "type", "created_at"])
    op.execute(ADOPT)
    op.create_index(
        "uq_encoders_active",
        "encoders",
        ["status"],
        unique=True,
        sqlite_where=sa.text("status = 'active'"),
        postgresql_where=sa.text("status = 'active'"),
    )


def downgrade() -> None:
    op.drop_index("ix_jobs_status_type_created_at", "jobs")
    op.drop_index("uq_encoders_active", "encoders")
    for name in ("comparison", "activated_at", "status", "precision"):
        op.drop_column("encoders", name)
