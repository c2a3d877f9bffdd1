"""Learns an adaptation from the catalogue, and keeps it as an encoder if it is better."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import numpy as np

from db.session import Database
from db.store.photo_store import PhotoStore
from db.vectors.encoders import active_encoder, find_encoder
from models.adaptation.adapted_package import AdaptedPackage, write_adapted_package
from models.adaptation.trial import Trial, learn_from, learnable, try_adaptation
from models.domain.errors import Conflict
from models.domain.types import EncoderSpec
from models.encoders.library import EncoderLibrary
from models.evaluation.summary import as_json
from models.labels import LabelledPhotos, Level
from workers.encoders.labelled_vectors import UNKNOWN, labelled_vectors

MOST_PHOTOS: Final = 100_000
"""Photos that are learned from at most: 800 MB of 2,048 numbers each."""

OnProgress = Callable[[str, int, int], None]


@dataclass(frozen=True, slots=True, eq=False)
class Adapted:
    """What was learned: the trial on listings held out, and the encoder, None if it was refused.

    `tested` are the photos that the trial searched.
    """

    trial: Trial
    tested: LabelledPhotos
    package: AdaptedPackage | None


def adapt_encoder(
    database: Database,
    store: PhotoStore,
    library: EncoderLibrary,
    *,
    on_progress: OnProgress,
    base_spec: EncoderSpec | None = None,
    force: bool = False,
) -> Adapted:
    """Learn a map of the stored vectors of the active encoder, or of its base, and try it.

    Another `base_spec` may be given. With `force` the map is kept although the trial refuses it.
    Raises Conflict where there is no active
    encoder, InvalidInput where there is too little to learn from.
    """
    with database.read() as session:
        active = active_encoder(session)
        if active is None:
            raise Conflict("There is no active encoder yet: nothing is embedded.")
        base_spec = base_spec or library.base_of(active.spec)
        base = find_encoder(session, base_spec)
    if base is None:
        raise Conflict(f"{base_spec.label}, which is to be adapted, is not registered.")
    labelled = labelled_vectors(database, store, base.id, Level.SUB, MOST_PHOTOS)
    rows = np.flatnonzero(learnable(labelled.photos, UNKNOWN))
    photos, vectors = labelled.photos.take(rows.tolist()), labelled.vectors[rows]

    def on_search(done: int, total: int) -> None:
        on_progress("trying", done, total)

    trial = try_adaptation(base_spec, photos, vectors, on_progress=on_search)
    tested = photos.take(trial.tested.tolist())
    if trial.refusal is not None and not force:
        return Adapted(trial, tested, None)
    on_progress("learning", 0, 1)
    adaptation = learn_from(photos, vectors)
    on_progress("learning", 1, 1)
    facts = {
        "adaptation": {
            "photos": len(photos),
            "listings": len(set(photos.listings)),
            "categories": len(set(photos.categories)),
            "trial": as_json(trial.comparison),
        }
    }
    package = write_adapted_package(
        library.models_dir, base_spec, adaptation.to_bytes(), adaptation.dimension, facts
    )
    return Adapted(trial, tested, package)
