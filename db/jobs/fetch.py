"""Embed jobs whose photos are at URLs: accepted, and what was fetched for them recorded.

Such a job has two stages. In the first its photos are fetched; then it is queued again, in the
transaction that sets the listing's photos, and embeds them like any other.
"""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final, NamedTuple
from uuid import UUID

from sqlalchemy import tuple_, update
from sqlalchemy.orm import Session

from db.catalogue.listing_photos import (
    PhotoData,
    await_photos,
    ensure_photos,
    lock_awaiting,
    set_photos,
    stored_photos,
)
from db.jobs import accepting, attempts, transitions
from db.jobs.claiming import Claim
from db.jobs.embed import accept_embed_jobs
from db.statements import chunks
from db.tables import Job
from models.domain.errors import Unavailable
from models.domain.job_payloads import EmbedPayload, FailedUrl, PhotosToFetch, is_sha256
from models.domain.job_results.embeddings import BatchResult, EmbedResult, PhotoError, RowError
from models.domain.types import JobStatus, JobType
from models.domain.urls import redact

SUPERSEDED: Final = "superseded"
_NOT_AWAITED: Final = "The listing was removed, or other photos of it were stated."


@dataclass(frozen=True, slots=True)
class Fetched:
    """What became of a job's URLs: photos in the store, by URL, and why there are no others.

    `failed` would fail again, `unavailable` may be there later.
    """

    photos: Mapping[str, PhotoData] = field(default_factory=dict)
    failed: Sequence[FailedUrl] = ()
    unavailable: Sequence[FailedUrl] = ()


@dataclass(frozen=True, slots=True)
class Recorded:
    """Whether the job has ended, and the jobs that are to be published."""

    ended: bool
    due: Sequence[Job]


class Failure(NamedTuple):
    """Why a job fails: a code, and a sentence."""

    code: str
    detail: str


def accept_fetch_job(
    session: Session,
    photos: PhotosToFetch,
    *,
    job_id: UUID,
    now: datetime,
    embedding: Sequence[int] = (),
    parent_id: UUID | None = None,
    made_by: str | None = None,
) -> Job:
    """Store a job that fetches a listing's photos, sets them in their order, and embeds them.

    It also waits until the stored photos in `embedding` are embedded.
    """
    payload = EmbedPayload(photo_ids=tuple(embedding), fetch=photos)
    total = len(embedding) + len(photos.urls)
    accepted = accepting.accept(
        session,
        payload,
        job_id=job_id,
        now=now,
        total=total,
        parent_id=parent_id,
        made_by=made_by,
    )
    await_photos(session, photos.listing_id, job_id)
    return accepted


def renew_leases(
    session: Session, claims: Collection[Claim], now: datetime, lease: timedelta
) -> set[UUID]:
    """Renew the leases of claims; the jobs of those that still own theirs."""
    renewed: set[UUID] = set()
    for chunk in chunks((claim.job_id, claim.attempt) for claim in claims):
        renewed.update(
            session.scalars(
                update(Job)
                .where(tuple_(Job.id, Job.attempt).in_(chunk), Job.status == JobStatus.RUNNING)
                .values(lease_expires_at=now + lease)
                .returning(Job.id)
                .execution_options(synchronize_session=False)
            )
        )
    return renewed


def record_fetched(
    session: Session,
    claim: Claim,
    payload: EmbedPayload,
    fetched: Fetched,
    *,
    now: datetime,
    new_id: Callable[[], UUID],
    max_attempts: int,
) -> Recorded:
    """Set the listing's photos to those that are there, and queue the job again.

    It embeds them next, unless some may be there later and it has attempts left: then it fetches
    those, while another job embeds what is there. Where the listing no longer awaits it, it ends.
    Raises ClaimLost.
    """
    wanted = payload.fetch
    if wanted is None:
        raise ValueError("the job has nothing to fetch")
    if not lock_awaiting(session, wanted.listing_id, claim.job_id):
        _end_superseded(session, claim, wanted, now)
        return Recorded(ended=True, due=[])
    new = _set_photos(session, claim, wanted, fetched, now)
    fetches_again = bool(fetched.unavailable) and claim.tries < max_attempts
    settled = fetched.failed if fetches_again else [*fetched.failed, *fetched.unavailable]
    remaining = EmbedPayload(
        photo_ids=(*payload.photo_ids, *new.values()),
        fetch=PhotosToFetch(
            listing_id=wanted.listing_id,
            photos=tuple(
                fetched.photos[photo].sha256 if photo in fetched.photos else photo
                for photo in wanted.photos
            ),
            failed=(*wanted.failed, *settled),
            row=wanted.row,
        ),
    )
    values: dict[str, object] = {
        "status": JobStatus.QUEUED,
        "lease_expires_at": None,
        "payload": remaining.to_json(),
    }
    if fetches_again:
        later = now + timedelta(seconds=2**claim.tries)
        attempts.update_owned(session, claim, {**values, "publish_after": later})
        return Recorded(False, accept_embed_jobs(session, new.values(), now=now, new_id=new_id))
    # Embedding has attempts of its own.
    values |= {"attempts_before": claim.attempt, "publish_after": now + accepting.PUBLISH_GRACE}
    parent_id = attempts.update_owned(session, claim, values)
    if remaining.fetch is not None:
        _record_row_errors(session, parent_id, remaining.fetch)
    due = Job(id=claim.job_id, type=JobType.EMBED, attempt=claim.attempt)
    return Recorded(ended=False, due=[due])


def end_embedded(
    session: Session,
    claim: Claim,
    payload: EmbedPayload,
    now: datetime,
    *,
    embedded: int,
    errors: Sequence[PhotoError],
    failure: Failure | None = None,
) -> None:
    """End an embed job; `errors` are those of photos that were there. Raises ClaimLost.

    With a `failure` it fails, although photos may have been embedded. It also does if a photo may
    be fetched later: to retry it fetches that one.
    """
    errors = [*(url_errors(payload.fetch) if payload.fetch else []), *errors]
    result = EmbedResult(embedded=embedded, errors=tuple(errors))
    failed_urls = payload.fetch.failed if payload.fetch else ()
    done = len(payload.photo_ids) + len(failed_urls) - len(errors)
    unavailable = [failed for failed in failed_urls if failed.code == Unavailable.code]
    to_retry = payload.model_copy(update={"one_by_one": None})
    if payload.fetch is not None and unavailable:
        refused = tuple(failed for failed in failed_urls if failed not in unavailable)
        fetch = payload.fetch.model_copy(update={"failed": refused})
        to_retry = to_retry.model_copy(update={"fetch": fetch})
        failure = Failure(Unavailable.code, unavailable[0].detail)
    if failure is None:
        attempts.finish(session, claim, now, result=result, done=done, failed=len(errors))
        return
    parent_id = attempts.update_owned(
        session,
        claim,
        {
            "status": JobStatus.FAILED,
            "error_code": failure.code,
            "error_detail": failure.detail,
            "result": result.to_json(),
            "payload": to_retry.to_json(),
            "done": done,
            "failed": len(errors),
            "finished_at": now,
            "lease_expires_at": None,
        },
    )
    transitions.advance_parent(session, parent_id, now)


def url_errors(wanted: PhotosToFetch) -> list[PhotoError]:
    """Why photos were not fetched."""
    return [
        PhotoError(
            url=redact(failed.url),
            position=wanted.photos.index(failed.url),
            code=failed.code,
            detail=failed.detail,
        )
        for failed in wanted.failed
    ]


def _set_photos(
    session: Session, claim: Claim, wanted: PhotosToFetch, fetched: Fetched, now: datetime
) -> dict[str, int]:
    """Set the listing's photos that are there, in their order; the ids of those fetched, by URL."""
    stored = stored_photos(session, filter(is_sha256, wanted.photos))
    there = {**stored, **fetched.photos}
    ids = ensure_photos(
        session, list({photo.sha256: photo for photo in there.values()}.values()), now
    )
    shown = [ids[there[photo].sha256] for photo in wanted.photos if photo in there]
    set_photos(session, {wanted.listing_id: shown})
    if fetched.unavailable:
        await_photos(session, wanted.listing_id, claim.job_id)
    return {url: ids[photo.sha256] for url, photo in fetched.photos.items()}


def _end_superseded(session: Session, claim: Claim, wanted: PhotosToFetch, now: datetime) -> None:
    failed = tuple(FailedUrl(url=url, code=SUPERSEDED, detail=_NOT_AWAITED) for url in wanted.urls)
    errors = tuple(url_errors(wanted.model_copy(update={"failed": (*wanted.failed, *failed)})))
    result = EmbedResult(embedded=0, errors=errors)
    attempts.finish(session, claim, now, result=result, failed=len(errors))


def _record_row_errors(session: Session, parent_id: UUID | None, wanted: PhotosToFetch) -> None:
    """State in the bulk request's result which photos of its row there are not."""
    if parent_id is None or wanted.row is None:
        return
    # Locked after the child, as where a child ends.
    parent = session.get(Job, parent_id, with_for_update=True, populate_existing=True)
    if parent is None or parent.result is None:
        return
    result = BatchResult.model_validate(parent.result)
    others = [error for error in result.errors if error.row != wanted.row]
    own = [
        RowError(row=wanted.row, code=failed.code, detail=failed.detail) for failed in wanted.failed
    ]
    if own or len(others) < len(result.errors):
        errors = tuple(sorted([*others, *own], key=lambda error: error.row))
        parent.result = result.model_copy(update={"errors": errors}).to_json()
        session.flush()
