"""The embedding job: gives the vector of a photo."""

from collections.abc import Callable
from datetime import datetime
from typing import Final

from db.jobs import Claim
from models.domain.job_payloads import EmbeddingPayload
from models.domain.job_results import EmbeddingResult
from workers.search.query_encoder import QueryEncoder
from workers.search.stopwatch import Stopwatch

# Finer than half precision, in which the catalogue keeps its vectors.
EMBEDDING_DECIMALS: Final = 6


def run_embedding(
    claim: Claim,
    payload: EmbeddingPayload,
    *,
    encoder: QueryEncoder,
    clock: Callable[[], datetime],
) -> EmbeddingResult:
    """Do an embedding job and give its result.

    Raises InvalidPhoto where the encoder finds nothing to compare in the photo.
    """
    watch = Stopwatch((clock() - claim.created_at).total_seconds() * 1e3)
    (vector,) = encoder.vectors_of([payload.photo], watch)
    return EmbeddingResult(
        encoder=encoder.spec.label,
        fingerprint=encoder.spec.fingerprint,
        dimension=encoder.spec.dimension,
        embedding=tuple(round(value, EMBEDDING_DECIMALS) for value in vector.tolist()),
        took_ms=watch.stop(),
    )
