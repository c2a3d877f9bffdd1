"""The reindex job where workers share an index: what is wrong in it is put right in place."""

from collections.abc import Callable
from contextlib import closing
from datetime import datetime, timedelta

from db import jobs
from db.consumption import record_consumption
from db.jobs import Claim
from db.session import Database
from db.vectors.embeddings import count_live
from workers.indexes.shared import open_shared, reconcile
from workers.jobs.reindex import encoder_to_index
from workers.queue.messages import Queue


def run_mend(
    claim: Claim,
    *,
    database: Database,
    url: str,
    lease: timedelta,
    clock: Callable[[], datetime],
) -> None:
    """Make the index on the server at `url` hold an encoder's live photos and no other.

    The encoder is the active one, or the one that the job names. Searches go on meanwhile. Raises
    what `encoder_to_index` and `open_shared` do.
    """
    with database.read() as session:
        encoder = encoder_to_index(session, claim.payload)
        total = count_live(session, encoder.id)

    def heartbeat(rows: int) -> None:
        with database.write() as session:
            jobs.heartbeat(session, claim, clock(), lease, done=rows, total=max(rows, total))
            # It takes no probes while it runs, but the queue is being consumed all the same.
            record_consumption(session, Queue.INDEX, clock(), None)

    with closing(open_shared(url, encoder.spec, database, encoder.id)) as shared:
        mended = reconcile(shared.index, database, encoder.id, heartbeat)
        rows = shared.index.rows
    with database.write() as session:
        result = {"rows": rows, "added": mended.added, "removed": mended.removed}
        jobs.finish(session, claim, clock(), result=result, done=rows)
