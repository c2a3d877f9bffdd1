"""Accepts embeddings of photos."""

from api.deps import Resources
from api.jobs.service import accept_and_publish
from api.photos.service import store_photo
from api.uploads.spool import Upload
from db.tables import Job
from models.domain.job_payloads import EmbeddingPayload


def accept_embedding(resources: Resources, photo: Upload) -> Job:
    """Accept an embedding of a photo. Raises InvalidPhoto or UnsupportedPhoto."""
    stored = store_photo(resources, photo)
    return accept_and_publish(resources, EmbeddingPayload(photo=stored.sha256), total=1)
