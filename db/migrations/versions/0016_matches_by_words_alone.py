"""Matches of saved searches for words alone have no similarity, nor photo if there is none."""

import sqlalchemy as sa
from alembic import op

revision = "0016"
down_revision = "0015"
branch_labels = None
depends_on = None


def upgrade() -> None:
    _alter(nullable=True)


def downgrade() -> None:
    # An earlier release can't show them.
    op.execute("DELETE FROM saved_search_matches WHERE similarity IS NULL")
    _alter(nullable=False)


def _alter(*, nullable: bool) -> None:
    with op.batch_alter_table("saved_search_matches") as table:
        table.alter_column("photo_id", existing_type=sa.BigInteger(), nullable=nullable)
        table.alter_column("similarity", existing_type=sa.Double(), nullable=nullable)
