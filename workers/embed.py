"""The embed job: photos in, vectors in the database."""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from PIL import Image

from db import jobs
from db.embeddings import add_embeddings, having_vector
from db.jobs import Claim
from db.listing_photos import photo_hashes
from db.photos import PhotoStore
from db.session import Database
from models.encoders.base import Encoder
from models.errors import InvalidInput, InvalidPhoto, NotFound
from models.photos import decode

NOTHING_SEEN = "The encoder finds nothing to compare in this photo."


@dataclass
class _Decoded:
    ids: list[int] = field(default_factory=list)
    photos: list[Image.Image] = field(default_factory=list)
    errors: list[dict[str, Any]] = field(default_factory=list)


def run_embed(
    claim: Claim,
    *,
    database: Database,
    store: PhotoStore,
    encoder: Encoder,
    encoder_id: int,
    clock: Callable[[], datetime],
) -> None:
    """Embed the photos that have no vector yet; store vectors and end the job as one.

    A photo that can't be read, or in which the encoder finds nothing, is an error of its own and
    does not fail the others.
    """
    photo_ids: list[int] = claim.payload["photo_ids"]
    with database.read() as session:
        # Where nothing was found before, it is looked for again: whoever asks is told so.
        done = having_vector(session, encoder_id, photo_ids)
        hashes = photo_hashes(session, [item for item in photo_ids if item not in done])
    decoded = _decode(hashes, store)
    vectors = dict(zip(decoded.ids, encoder.embed(decoded.photos), strict=True))
    blank = [photo_id for photo_id, vector in vectors.items() if not vector.any()]
    errors = decoded.errors + [
        {"photo": hashes[photo_id], "code": InvalidPhoto.code, "detail": NOTHING_SEEN}
        for photo_id in blank
    ]
    with database.write() as session:
        jobs.finish(
            session,
            claim,
            clock(),
            result={"embedded": len(vectors) - len(blank), "errors": errors},
            done=len(photo_ids) - len(errors),
            failed=len(errors),
        )
        add_embeddings(session, encoder_id, vectors)


def _decode(hashes: dict[int, str], store: PhotoStore) -> _Decoded:
    decoded = _Decoded()
    for photo_id, sha256 in hashes.items():
        try:
            photo = decode(store.get(sha256))
        except (InvalidInput, NotFound) as error:
            decoded.errors.append({"photo": sha256, "code": error.code, "detail": str(error)})
        else:
            decoded.ids.append(photo_id)
            decoded.photos.append(photo)
    return decoded
