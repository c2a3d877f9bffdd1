"""What kind a request is of, for which its key has a rate of its own, and how many are allowed."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from limits import RateLimitItem, parse

OFF: Final = "off"
"""A rate that limits nothing."""


class Kind(StrEnum):
    """Kinds of requests by what they cost."""

    READS = "reads"
    SEARCHES = "searches"
    WRITES = "writes"
    BULK = "bulk"


ADDRESS: Final = "address"
"""What the limit of an address is called, where others are called by the kind of request."""
QUERY_PATHS: Final = frozenset(
    f"/v1/{name}" for name in ("searches", "recommendations", "embeddings", "predictions")
)
BULK_PATH: Final = "/v1/listings:batch"


def kind_of(method: str, path: str) -> Kind:
    """The kind of a request: searches are all queries that a worker answers."""
    if method in {"GET", "HEAD"}:
        return Kind.READS
    if method == "POST" and path in QUERY_PATHS:
        return Kind.SEARCHES
    return Kind.BULK if method == "POST" and path == BULK_PATH else Kind.WRITES


def rate_of(stated: str) -> RateLimitItem | None:
    """A rate such as `600/minute`, None for `off`. Raises ValueError for what is none."""
    return None if stated == OFF else parse(stated)


@dataclass(frozen=True, slots=True)
class Rates:
    """What a key may do, by the kind of request, and an address in all; None limits nothing."""

    of_key: Mapping[Kind, RateLimitItem | None]
    of_address: RateLimitItem | None

    @classmethod
    def stated(cls, of_key: Mapping[Kind, str], of_address: str) -> "Rates":
        """Rates as settings state them. Raises ValueError."""
        return cls({kind: rate_of(rate) for kind, rate in of_key.items()}, rate_of(of_address))
