"""The photos that callers state for a listing, and the jobs that make it findable by them."""

from collections.abc import Sequence
from uuid import UUID, uuid4

from sqlalchemy.orm import Session

from api.deps import Resources
from api.listings.photo_references import is_photo_url
from db.catalogue.listing_photos import PhotoData, ensure_photos, set_photos, stored_photos
from db.jobs import accepting
from db.jobs.embed import accept_embed_jobs
from db.jobs.fetch import accept_fetch_job
from db.store.photo_urls import NOT_ALLOWED
from db.tables import Job
from db.vectors.unembedded import not_embedded_yet
from models.domain.errors import InvalidInput
from models.domain.job_payloads import EmbedPayload, PhotosToFetch, is_sha256

StatedPhoto = PhotoData | str
"""A stored photo, or the URL of one."""


def check_urls(resources: Resources, references: Sequence[str]) -> None:
    """Raises InvalidInput if one is a URL, where photos are not fetched from there."""
    if not resources.fetches_photos and any(map(is_photo_url, references)):
        raise InvalidInput(NOT_ALLOWED)


def resolved(session: Session, references: Sequence[str]) -> list[StatedPhoto]:
    """The photos, stored ones by their SHA-256 and others by URL. Raises InvalidInput.

    Any photo that a listing has ever shown may be named: who knows its SHA-256 has its bytes.
    """
    stored = stored_photos(session, filter(is_sha256, references))
    for reference in references:
        if is_sha256(reference) and reference not in stored:
            raise InvalidInput(f"photos: {reference} is no stored photo.")
    return [stored.get(reference, reference) for reference in references]


def state_photos(
    session: Session, resources: Resources, listing_id: UUID, photos: Sequence[StatedPhoto]
) -> list[Job]:
    """Set a new listing's photos and accept their embedding.

    The last of the jobs ends when all photos have been embedded. All are to be published.
    """
    photo_ids = _set_photos(session, resources, listing_id, photos)
    fetching = _fetch(session, resources, listing_id, photos, photo_ids)
    if fetching:
        return fetching
    now = resources.now()
    payload = EmbedPayload(photo_ids=tuple(photo_ids))
    return [
        accepting.accept(
            session,
            payload,
            job_id=uuid4(),
            now=now,
            total=len(photo_ids),
            made_by=resources.caller.name,
        )
    ]


def restate_photos(
    session: Session, resources: Resources, listing_id: UUID, photos: Sequence[StatedPhoto]
) -> list[Job]:
    """Set a listing's photos and accept the embedding of those that are not embedded yet.

    As `state_photos`; there is no job if all are.
    """
    photo_ids = not_embedded_yet(session, _set_photos(session, resources, listing_id, photos))
    fetching = _fetch(session, resources, listing_id, photos, photo_ids)
    return fetching or accept_embed_jobs(
        session,
        photo_ids,
        now=resources.now(),
        new_id=uuid4,
        made_by=resources.caller.name,
    )


def _set_photos(
    session: Session, resources: Resources, listing_id: UUID, photos: Sequence[StatedPhoto]
) -> list[int]:
    """Set the photos that are stored; their ids."""
    stored = [photo for photo in photos if isinstance(photo, PhotoData)]
    ids = ensure_photos(session, stored, resources.now())
    photo_ids = [ids[photo.sha256] for photo in stored]
    set_photos(session, {listing_id: photo_ids})
    return photo_ids


def _fetch(
    session: Session,
    resources: Resources,
    listing_id: UUID,
    photos: Sequence[StatedPhoto],
    photo_ids: Sequence[int],
) -> list[Job]:
    """Jobs that embed these stored photos at once, and then those at URLs; none without such."""
    if not any(isinstance(photo, str) for photo in photos):
        return []
    now = resources.now()
    names = named(photos)
    fetching = accept_fetch_job(
        session,
        PhotosToFetch(listing_id=listing_id, photos=names),
        job_id=uuid4(),
        now=now,
        embedding=photo_ids,
        made_by=resources.caller.name,
    )
    # Not after the others: their hosts may be slow.
    at_once = accept_embed_jobs(
        session, photo_ids, now=now, new_id=uuid4, made_by=resources.caller.name
    )
    return [*at_once, fetching]


def named(photos: Sequence[StatedPhoto]) -> tuple[str, ...]:
    """Photos by their SHA-256 or URL, each once."""
    return tuple(
        dict.fromkeys(photo if isinstance(photo, str) else photo.sha256 for photo in photos)
    )
