"""Accepts embeddings of photos."""

from functools import partial

from api.deps import Resources
from api.jobs.service import accept_and_publish
from api.photos.decoders import Decode
from api.photos.service import store_photo
from api.uploads.spool import Upload
from db.tables import Job
from models.domain.job_payloads import EmbeddingPayload


async def accept_embedding(resources: Resources, photo: Upload) -> Job:
    """Accept an embedding of a photo. Raises InvalidPhoto, UnsupportedPhoto and Overloaded."""
    return await resources.decoders.run(partial(_accept, resources, photo), resources.uploads)


def _accept(resources: Resources, photo: Upload, decode: Decode) -> Job:
    stored = store_photo(resources, photo, decode)
    return accept_and_publish(resources, EmbeddingPayload(photo=stored.sha256), total=1)
