"""Encoders have match labels, calibrated on the catalogue."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

revision = "0015"
down_revision = "0014"
branch_labels = None
depends_on = None

JSON = sa.JSON().with_variant(JSONB(), "postgresql")


def upgrade() -> None:
    op.add_column("encoders", sa.Column("matching", JSON, nullable=True))


def downgrade() -> None:
    op.drop_column("encoders", "matching")
