"""What leaves, by kind."""

from enum import StrEnum
from typing import Final


class Kind(StrEnum):
    """A kind of what leaves after its time."""

    JOBS = "jobs"
    IDEMPOTENCY_KEYS = "idempotency_keys"
    EVENTS = "events"
    HIDDEN = "hidden"
    DELETED_LISTINGS = "deleted_listings"
    CHANGES = "changes"
    LISTING_CHANGES = "listing_changes"
    SAVED_SEARCH_CHANGES = "saved_search_changes"
    PHOTOS = "photos"
    PHOTO_FILES = "photo_files"
    UNFINISHED_FILES = "unfinished_files"
    ENCODER_VECTORS = "encoder_vectors"
    GENERATION_ROWS = "generation_rows"
    GENERATIONS = "generations"
    PLACES = "places"
    AUDIT = "audit"
    ERASURES = "erasures"


EXPLANATIONS: Final = {
    Kind.JOBS: "ended jobs, with what they were asked and have answered",
    Kind.IDEMPOTENCY_KEYS: "idempotency keys with the answers to them",
    Kind.EVENTS: "events",
    Kind.HIDDEN: "listings that users have hidden and that are not for sale any more",
    Kind.DELETED_LISTINGS: "deleted listings, with all that belongs to them",
    Kind.CHANGES: "changes of photos that all indexes have passed",
    Kind.LISTING_CHANGES: "changes of listings that everybody has passed",
    Kind.SAVED_SEARCH_CHANGES: "changes of saved searches that everybody has passed",
    Kind.PHOTOS: "photos that no listing has, with their vectors",
    Kind.PHOTO_FILES: "files of photos that nothing names any more, such as those of questions",
    Kind.UNFINISHED_FILES: "unfinished files of killed processes",
    Kind.ENCODER_VECTORS: "vectors of retired encoders",
    Kind.GENERATION_ROWS: "rows of generations that are no more",
    Kind.GENERATIONS: "generations of the index that are not kept",
    Kind.PLACES: "answers of geocoders",
    Kind.AUDIT: "entries of the audit log",
    Kind.ERASURES: "notes of erasures",
}
