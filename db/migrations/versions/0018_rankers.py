"""Weights of recommendations that were learned."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

revision = "0018"
down_revision = "0017"
branch_labels = None
depends_on = None

JSON = sa.JSON().with_variant(JSONB(), "postgresql")


def upgrade() -> None:
    op.create_table(
        "rankers",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("weights", JSON, nullable=False),
        sa.Column("measured", JSON, nullable=False),
        sa.Column("status", sa.String(16), server_default="registered", nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("activated_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("replaced_id", sa.Integer(), nullable=True),
        sa.ForeignKeyConstraint(
            ["replaced_id"], ["rankers.id"], name=op.f("fk_rankers_replaced_id_rankers")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_rankers")),
        sqlite_autoincrement=True,
    )
    op.create_index(
        "uq_rankers_active",
        "rankers",
        ["status"],
        unique=True,
        sqlite_where=sa.text("status = 'active'"),
        postgresql_where=sa.text("status = 'active'"),
    )


def downgrade() -> None:
    op.drop_table("rankers")
