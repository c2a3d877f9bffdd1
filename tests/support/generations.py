"""What the generations that tests build have in common."""

from datetime import UTC, datetime

DIMENSION = 16
BUILT_AT = datetime(2025, 1, 2, tzinfo=UTC)
