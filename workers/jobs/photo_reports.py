"""What is wrong with the photos that a prediction is made from, and what they show."""

from collections.abc import Sequence
from typing import Final

from db.store.photo_store import PhotoStore
from models.adaptation.adapted_encoder import base_of, feature_map_of
from models.domain.errors import InvalidInput, NotFound
from models.domain.job_results.predictions import FoundSubject, PhotoReport
from models.encoders.encoder import Encoder
from models.photo_decoding import decode
from models.subjects.find import find_subjects
from models.subjects.quality import flaws, photo_quality

MOST_PHOTOS: Final = 4
"""Of a listing: each costs as much as an embedding."""
DECIMALS: Final = 3


def photo_reports(
    store: PhotoStore, encoder: Encoder, hashes: Sequence[str]
) -> tuple[PhotoReport, ...]:
    """A report of each of the first photos, by SHA-256; of those that can't be read, none.

    Reads and decodes photos and runs the network: not to be called within a transaction. Raises
    WeightsError.
    """
    reports = (_report(store, encoder, sha256) for sha256 in hashes[:MOST_PHOTOS])
    return tuple(report for report in reports if report is not None)


def _report(store: PhotoStore, encoder: Encoder, sha256: str) -> PhotoReport | None:
    try:
        photo = decode(store.get(sha256))
    except (InvalidInput, NotFound):
        return None
    features = feature_map_of(encoder, photo)
    shown = None if features is None else find_subjects(features)
    quality = photo_quality(photo, None if shown is None else shown.contrast)
    return PhotoReport(
        photo=sha256,
        flaws=tuple(flaws(quality, base_of(encoder).spec.name)),
        blur=round(quality.blur, DECIMALS),
        brightness=round(quality.brightness, DECIMALS),
        short_side=quality.short_side,
        contrast=None if quality.contrast is None else round(quality.contrast, DECIMALS),
        subjects=tuple(
            FoundSubject(region=one.region, share=round(one.share, DECIMALS))
            for one in (() if shown is None else shown.found)
        ),
    )
