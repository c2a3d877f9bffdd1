"""What has had its time now, without removing it."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final

from db.events.forget import expired_amount, next_old_hidden
from db.id_set import IdSet
from db.retention import encoders, jobs, logs, photos, small
from db.retention.amounts import Amount
from db.retention.erasures import deleted_amount
from db.retention.removed import Numbered
from workers.generations.prune import would_prune
from workers.retention import files, steps
from workers.retention.kinds import Kind
from workers.retention.run import Retention

_LOGS: Final = {
    Kind.CHANGES: Numbered.CHANGES,
    Kind.LISTING_CHANGES: Numbered.LISTING_CHANGES,
    Kind.SAVED_SEARCH_CHANGES: Numbered.SAVED_SEARCH_CHANGES,
}
_ROW_BYTES: Final = 100


def due(retention: Retention, kind: Kind) -> Amount:
    """How much of a kind `Retention.remove` would remove now. Raises Unavailable."""
    if kind in _LOGS:
        return _log(retention, kind)
    return _DUE[kind](retention)


def _jobs(retention: Retention) -> Amount:
    with retention.pace.database.read() as session:
        kept = jobs.last_of_types(session)
        return jobs.ended_amount(session, retention.pace.clock() - retention.policy.jobs, kept)


def _keys(retention: Retention) -> Amount:
    with retention.pace.database.read() as session:
        return small.keys_amount(session, retention.pace.clock())


def _events(retention: Retention) -> Amount:
    with retention.pace.database.read() as session:
        return expired_amount(session, retention.pace.clock() - retention.policy.events)


def _hidden(retention: Retention) -> Amount:
    count, position = 0, None
    while True:
        with retention.pace.database.read() as session:
            kept_since = retention.pace.clock() - retention.policy.events
            position, numbers = next_old_hidden(session, kept_since, position)
        count += len(numbers)
        if position is None:
            return Amount(count, count * _ROW_BYTES)


def _deleted(retention: Retention) -> Amount:
    before = retention.pace.clock() - retention.policy.deleted_listings
    with retention.pace.database.read() as session:
        return deleted_amount(session, before)


def _log(retention: Retention, kind: Kind) -> Amount:
    log = _LOGS[kind]
    with retention.pace.database.read() as session:
        up_to = logs.passed(session, log, shared_index=retention.policy.shared_index)
        amount = logs.passed_amount(session, log, up_to)
        if kind is not Kind.CHANGES or logs.count_changes(session) < steps.COMPACT_FROM:
            return amount
    superseded, seen, below = 0, IdSet(), 2**62
    while below > up_to:
        with retention.pace.database.read() as session:
            below, numbers = logs.superseded(session, below, seen)
        superseded += sum(number > up_to for number in numbers)
    return amount + Amount(superseded, superseded * _ROW_BYTES)


def _photos(retention: Retention) -> Amount:
    amount = Amount()
    for photo_ids in steps.orphans(retention.pace):
        with retention.pace.database.read() as session:
            amount += Amount(len(photo_ids), photos.vector_bytes(session, photo_ids))
    return amount


def _photo_files(retention: Retention) -> Amount:
    pace = retention.pace
    return files.unused_amount(pace.database, retention.places.store, pace.clock())


def _unfinished(retention: Retention) -> Amount:
    places = retention.places
    found = files.leftovers(places.store, list(places.folders), retention.pace.clock())
    here = [path for path in found if isinstance(path, Path)]
    return Amount(len(found), sum(path.stat().st_size for path in here))


def _vectors(retention: Retention) -> Amount:
    before = retention.pace.clock() - retention.policy.retired_encoders
    amount = Amount()
    with retention.pace.database.read() as session:
        for encoder_id in encoders.expired_encoders(session, before):
            amount += encoders.vectors_amount(session, encoder_id)
    return amount


def _generation_rows(retention: Retention) -> Amount:
    before = retention.pace.clock() - retention.policy.jobs
    with retention.pace.database.read() as session:
        count = encoders.count_generation_rows(session, before)
    return Amount(count, count * _ROW_BYTES)


def _generations(retention: Retention) -> Amount:
    places = retention.places
    pruned = would_prune(
        retention.pace.database,
        places.generations_dir,
        places.store,
        keep=retention.policy.generations,
    )
    sizes = (
        file.stat().st_size
        for generation in pruned.files.removed
        for file in (places.generations_dir / str(generation)).glob("*")
    )
    return Amount(len({*pruned.retired, *pruned.files.removed}), sum(sizes))


def _places(retention: Retention) -> Amount:
    with retention.pace.database.read() as session:
        return small.places_amount(session, retention.pace.clock() - retention.policy.places)


def _erasures(retention: Retention) -> Amount:
    with retention.pace.database.read() as session:
        return small.erasures_amount(session, retention.pace.clock() - retention.policy.audit)


def _audit(retention: Retention) -> Amount:
    with retention.pace.database.read() as session:
        return small.audit_amount(session, retention.pace.clock() - retention.policy.audit)


_DUE: Final[Mapping[Kind, Callable[[Retention], Amount]]] = {
    Kind.JOBS: _jobs,
    Kind.IDEMPOTENCY_KEYS: _keys,
    Kind.EVENTS: _events,
    Kind.HIDDEN: _hidden,
    Kind.DELETED_LISTINGS: _deleted,
    Kind.PHOTOS: _photos,
    Kind.PHOTO_FILES: _photo_files,
    Kind.UNFINISHED_FILES: _unfinished,
    Kind.ENCODER_VECTORS: _vectors,
    Kind.GENERATION_ROWS: _generation_rows,
    Kind.GENERATIONS: _generations,
    Kind.PLACES: _places,
    Kind.AUDIT: _audit,
    Kind.ERASURES: _erasures,
}
