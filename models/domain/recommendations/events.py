"""What buyers do with listings. Standard library only.

The meaning of impressions and positions follows OpenSearch's User Behavior Insights.
"""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Final
from uuid import UUID

MAX_EVENT_ID: Final = 200
"""In characters."""
MAX_POSITION: Final = 1_000_000


class EventKind(StrEnum):
    """What a user did with a listing, or, of an impression, was shown."""

    IMPRESSION = "impression"
    VIEWED = "viewed"
    SAVED = "saved"
    CONTACTED = "contacted"
    PURCHASED = "purchased"
    HIDDEN = "hidden"


@dataclass(frozen=True, slots=True)
class Touch:
    """A listing that a user has shown an interest in, or none, and when."""

    listing_id: UUID
    kind: EventKind
    at: datetime
