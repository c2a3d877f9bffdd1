"""Stores uploaded photos, and serves those that listings show."""

from api.deps import Resources
from db.catalogue.listing_photos import PhotoData, is_public
from models.domain.errors import NotFound
from models.photo_decoding import standardise


def store_photo(resources: Resources, data: bytes) -> PhotoData:
    """Standardise a photo and store it, durably. Raises InvalidPhoto or UnsupportedPhoto."""
    with resources.decoding:
        photo = standardise(data)
    return PhotoData(resources.store.put(photo.data), photo.width, photo.height)


def require_public(resources: Resources, sha256: str) -> None:
    """Raises NotFound unless an active listing shows this photo."""
    with resources.database.read() as session:
        if not is_public(session, sha256):
            raise NotFound("There is no such photo.")
