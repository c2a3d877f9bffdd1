"""The reindex job where workers share an index on a server: it is repaired in place."""

from collections.abc import Callable
from contextlib import closing
from datetime import datetime

from db.jobs import attempts
from db.jobs.claiming import Claim
from db.session import Database
from db.vectors.embeddings import count_live
from models.domain.job_payloads import ReindexPayload
from models.domain.job_results.indexes import RepairedIndex
from workers.indexes.open import Indexes
from workers.jobs.heartbeat import Heartbeat
from workers.jobs.reindex import encoder_to_index


def run_repair(
    claim: Claim,
    payload: ReindexPayload,
    *,
    database: Database,
    indexes: Indexes,
    heartbeat: Heartbeat,
    clock: Callable[[], datetime],
) -> None:
    """Make the shared index hold an encoder's live photos and no other; searches go on meanwhile.

    The encoder is the active one, or the one that the job names. Raises what `encoder_to_index` and
    `Indexes.open_shared` do.
    """
    with database.read() as session:
        encoder = encoder_to_index(session, payload)
        total = count_live(session, encoder.id)
    with closing(indexes.open_shared(encoder)) as shared:
        repaired = shared.repair(lambda rows: heartbeat(rows, total))
        rows = shared.index.rows
    result = RepairedIndex(rows=rows, added=repaired.added, removed=repaired.removed)
    with database.write() as session:
        attempts.finish(session, claim, clock(), result=result, done=rows, total=max(rows, total))
