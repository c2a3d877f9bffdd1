"""Stores uploaded photos, and serves those that listings show."""

from api.deps import Resources
from api.photos.decoders import Decode
from api.uploads.spool import Upload
from db.catalogue.listing_photos import PhotoData, is_public
from models.domain.errors import NotFound


def store_photo(resources: Resources, upload: Upload, decode: Decode) -> PhotoData:
    """Standardise a photo and store it, durably. Raises what `decode` raises, and Unavailable."""
    photo = decode(upload)
    sha256 = resources.store.put(photo.data)
    return PhotoData(sha256, photo.width, photo.height, photo.incomplete)


def require_public(resources: Resources, sha256: str) -> None:
    """Raises NotFound unless an active listing shows this photo."""
    with resources.database.read() as session:
        if not is_public(session, sha256):
            raise NotFound("There is no such photo.")
