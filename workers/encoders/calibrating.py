"""Calibrates an encoder's match labels on the catalogue, and stores them with the encoder."""

import logging
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from random import Random
from typing import Final

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from db.catalogue.perceptual_hashes import phashes_of
from db.session import Database
from db.statements import chunks
from db.store.photo_store import PhotoStore
from db.tables import Encoder as EncoderRow
from db.vectors.embeddings import count_live
from db.vectors.encoders import active_encoder, find_encoder, get_encoder, set_matching
from models.adaptation.adaptation import Adaptation, read_adaptation
from models.adaptation.adapted_encoder import AdaptedEncoder
from models.domain.errors import Conflict, InvalidInput, InvalidPhoto, NotFound
from models.domain.types import EncoderSpec
from models.encoders.encoder import Encoder
from models.encoders.library import EncoderLibrary
from models.encoders.package import verify_file
from models.labels import LabelledPhotos, Level
from models.matching.calibrate import Catalogue, HeldOut, calibrate, searches_of
from models.matching.labels import Calibration
from models.matching.strangers import strangers
from models.matching.views import altered_view
from models.photo_decoding import decode
from workers.encoders.labelled_vectors import UNKNOWN, labelled_vectors

log = logging.getLogger(__name__)

MIN_LISTINGS: Final = 200
"""Listings with photos under which nothing is calibrated: too few to be sure of any share."""
LISTINGS: Final = 1_000
"""The most that are asked about: a share of 95% is known to within two points then."""
MOST_PHOTOS: Final = 100_000
"""Photos that are searched among, at most: 800 MB of 2,048 numbers each."""
AT_ONCE: Final = 16
"""Photos that are in memory at the same time."""
SEED: Final = 0

OnProgress = Callable[[str, int, int], None]
OpenEncoder = Callable[[EncoderSpec], Encoder]
"""Gives an encoder. Raises WeightsError if this machine lacks its files."""


@dataclass(frozen=True, slots=True)
class Calibrated:
    """The label of an encoder, and its calibration, which is stored."""

    encoder: str
    calibration: Calibration


def calibrate_encoder(
    database: Database,
    store: PhotoStore,
    library: EncoderLibrary,
    open_encoder: OpenEncoder,
    *,
    encoder_id: int | None = None,
    on_progress: OnProgress,
) -> Calibrated:
    """Calibrate the active encoder, or another that has embedded the catalogue, and store it.

    Raises Conflict where there is no active encoder, InvalidInput where the catalogue is too small,
    and WeightsError.
    """
    encoder, base = _encoder(database, library, encoder_id)
    labelled = labelled_vectors(database, store, base.id, Level.SUB, MOST_PHOTOS, SEED)
    listings = len(set(labelled.photos.listings))
    if listings < MIN_LISTINGS:
        raise InvalidInput(
            f"Match labels need {MIN_LISTINGS} listings whose photos {base.spec.label} has "
            f"embedded; there are {listings:,}."
        )
    with database.read() as session:
        phashes = phashes_of(session, labelled.photos.hashes)
        photos = count_live(session, encoder.id)
    catalogue = Catalogue(
        labelled.photos,
        labelled.vectors,
        [phashes.get(sha256) for sha256 in labelled.photos.hashes],
        UNKNOWN,
    )
    opened = open_encoder(encoder.spec)
    held_out = _held_out(labelled.photos, _base_of(opened), on_progress)
    adaptation = _adaptation(library, encoder.spec)
    calibration = calibrate(
        catalogue,
        held_out,
        adaptation,
        seed=SEED,
        on_searched=_counted(on_progress, searches_of(held_out, adaptation)),
    ).model_copy(update={"photos": photos})
    with database.write() as session:
        set_matching(session, encoder.id, calibration.to_json())
    return Calibrated(encoder.spec.label, calibration)


def _encoder(
    database: Database, library: EncoderLibrary, encoder_id: int | None
) -> tuple[EncoderRow, EncoderRow]:
    """The encoder, and the one whose vectors it maps, which may be itself."""
    with database.read() as session:
        if encoder_id is None:
            encoder = active_encoder(session)
            if encoder is None:
                raise Conflict("There is no active encoder yet: nothing is embedded.")
        else:
            encoder = get_encoder(session, encoder_id)
        base = find_encoder(session, library.base_of(encoder.spec))
    if base is None:
        raise Conflict(f"{encoder.spec.label} is adapted from an encoder that is not registered.")
    return encoder, base


def _base_of(encoder: Encoder) -> Encoder:
    return encoder.base if isinstance(encoder, AdaptedEncoder) else encoder


def _adaptation(library: EncoderLibrary, spec: EncoderSpec) -> Adaptation | None:
    package = library.adapted(spec)
    if package is None:
        return None
    verify_file(package.map, package.map_sha256)
    return read_adaptation(package.map, package.base)


def _held_out(photos: LabelledPhotos, encoder: Encoder, on_progress: OnProgress) -> HeldOut:
    """Altered views of one photo each of drawn listings, and strangers, as the encoder sees them.

    Photos that can't be read are left out. Raises InvalidInput if too many can't be.
    """
    rows = _drawn(photos)
    seen: list[int] = []
    views: list[NDArray[np.float32]] = []
    for some in chunks(rows, AT_ONCE):
        readable = dict(_views(photos, some))
        if readable:
            views.append(encoder.embed(list(readable.values())))
            seen += readable
        on_progress("views", len(seen), len(rows))
    vectors = np.concatenate(views) if views else np.empty((0, encoder.spec.dimension), np.float32)
    is_seen = vectors.any(axis=1)
    if is_seen.sum() < MIN_LISTINGS // 2:
        raise InvalidInput(
            f"Match labels need photos to make views of: of {len(rows):,} only {is_seen.sum():,} "
            "can be read."
        )
    drawn = np.concatenate([encoder.embed(some) for some in chunks(strangers(), AT_ONCE)])
    return HeldOut(np.array(seen)[is_seen], vectors[is_seen], drawn[drawn.any(axis=1)])


def _drawn(photos: LabelledPhotos) -> list[int]:
    """The row of a photo of each of `LISTINGS` listings, drawn."""
    rng = np.random.default_rng(SEED)
    order = rng.permutation(len(photos)).tolist()
    one_each = {photos.listings[row]: row for row in order}
    return list(one_each.values())[:LISTINGS]


def _views(photos: LabelledPhotos, rows: list[int]) -> Iterator[tuple[int, Image.Image]]:
    for row in rows:
        try:
            yield row, altered_view(decode(photos.read(row)), Random(row))
        except (NotFound, InvalidPhoto) as error:
            log.warning("photo %s is left out: %s", photos.hashes[row], error)


def _counted(on_progress: OnProgress, total: int) -> Callable[[int], None]:
    done = 0

    def on_searched(count: int) -> None:
        nonlocal done
        done += count
        on_progress("searching", done, total)

    return on_searched
