"""The match job: saved searches are embedded, and what has changed is matched with them."""

from collections.abc import Callable, Mapping
from datetime import datetime

from db.jobs import attempts
from db.jobs.claiming import Claim
from db.session import Database
from db.store.photo_store import PhotoStore
from models.domain.job_results.embeddings import MatchResult
from models.encoders.encoder import Encoder
from workers.saved_searches.catch_up import CaughtUp, catch_up
from workers.saved_searches.matching import SavedSearchMatcher


def run_match(
    claim: Claim,
    *,
    database: Database,
    store: PhotoStore,
    encoders: Mapping[int, Encoder],
    matcher: SavedSearchMatcher,
    heartbeat: Callable[[int, int], None],
    clock: Callable[[], datetime],
) -> None:
    """Do what is to be done until nothing is left, and end the job.

    Each step is stored as it is done: a killed attempt loses none, and the next one goes on. Raises
    Unavailable where photos of saved searches can't be read now.
    """
    total = CaughtUp()
    while step := catch_up(database, store, encoders, matcher):
        total += step
        heartbeat(total.listings, total.listings)
    if step.unavailable is not None:
        raise step.unavailable
    result = MatchResult(embedded=total.embedded, listings=total.listings)
    with database.write() as session:
        attempts.finish(
            session, claim, clock(), result=result, done=total.listings, total=total.listings
        )
