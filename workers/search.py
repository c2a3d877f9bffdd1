"""The search job: a photo or a listing in, listings that look like it out."""

from collections.abc import Callable
from datetime import datetime
from typing import Any

from db.jobs import Claim
from db.listings import count_active
from db.session import Database
from models.errors import NothingIndexed
from workers.live_index import LiveIndex
from workers.query import QueryEncoder, Stopwatch, asked_about, described, nearest_listings


def run_search(
    claim: Claim,
    *,
    database: Database,
    encoder: QueryEncoder,
    index: LiveIndex,
    clock: Callable[[], datetime],
) -> dict[str, Any]:
    """Do a search job and give its result, as the HTTP contract shows it."""
    watch = Stopwatch((clock() - claim.created_at).total_seconds() * 1e3)
    excluded, hashes = asked_about(claim.payload, database)
    vectors = encoder.vectors_of(hashes, watch)
    with database.read() as session:
        index.sync(session)
        if index.index.rows == 0 and count_active(session):
            raise NothingIndexed(
                f"No photo has been embedded by {encoder.spec.label} yet: "
                "`marketlens seed` queues what is missing."
            )
        watch.lap("sync")
        found = nearest_listings(session, index, vectors, claim.payload["limit"], excluded)
        watch.lap("search")
    results = described(found, database)
    watch.lap("rank")
    return {
        "generation": index.generation_id,
        "encoder": encoder.spec.label,
        "exact": index.index.exact,
        "took_ms": watch.stop(),
        "results": results,
    }
