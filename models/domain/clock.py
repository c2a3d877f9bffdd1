"""The time. What needs it takes it, or a function that tells it, as an argument."""

from datetime import UTC, datetime


def utc_now() -> datetime:
    """The time, in UTC."""
    return datetime.now(UTC)
