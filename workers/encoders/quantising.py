"""The int8 network of an encoder, exported by a process of its own if it is faster and as good."""

import json
from typing import Final

from db.session import Database
from db.store.photo_store import PhotoStore
from db.vectors.encoders import find_encoder
from models.domain.errors import WeightsError
from models.domain.processes import ProgramFailed, run_program
from models.domain.types import EncoderSpec, EncoderStatus, Precision
from models.encoders.library import EncoderLibrary
from models.encoders.networks.architectures import ARCHITECTURES
from models.labels import Level
from workers.encoders.labelled_vectors import labelled_vectors

PROGRAM: Final = "workers.encoders.int8_program"
"""The program; it prints one JSON object: `ENCODER` with the label, or `REFUSED` with a reason."""
ENCODER: Final = "encoder"
REFUSED: Final = "refused"

PHOTOS: Final = 2_600
"""Photos drawn to calibrate and compare: as many as an export uses, with whole listings."""


class NotQuantised(Exception):
    """There is no int8 network that is faster and as good; the text says why."""


def wants_int8(database: Database, library: EncoderLibrary, spec: EncoderSpec) -> bool:
    """Whether this is a float32 network of which no int8 one was in use, or given up, before."""
    if spec.name not in ARCHITECTURES or spec.precision is not Precision.FLOAT32:
        return False
    try:
        made = library.int8_of(spec)
    except WeightsError:  # its files are not on this machine
        return False
    if made is None:
        return True
    with database.read() as session:
        row = find_encoder(session, made)
    return row is None or (row.activated_at is None and row.status is not EncoderStatus.RETIRED)


def quantise(
    database: Database, store: PhotoStore, library: EncoderLibrary, spec: EncoderSpec, threads: int
) -> EncoderSpec:
    """Export this float32 network in int8, calibrated and compared on photos of the catalogue.

    One that was exported before is taken. Takes about a minute and a gigabyte, in another process.
    Raises NotQuantised.
    """
    with database.read() as session:
        row = find_encoder(session, spec)
    if row is None:
        raise NotQuantised(f"{spec.label} has embedded nothing.")
    photos = labelled_vectors(database, store, row.id, Level.SUB, PHOTOS).photos
    given = {
        "hashes": photos.hashes,
        "listings": photos.listings,
        "categories": photos.categories,
    }
    try:
        answer = run_program(
            PROGRAM,
            str(library.models_dir),
            store.url,
            spec.label,
            str(threads),
            given=json.dumps(given),
        )
    except ProgramFailed as error:
        raise NotQuantised(f"The export of {spec.label} in int8 has failed ({error}).") from error
    if REFUSED in answer:
        raise NotQuantised(str(answer[REFUSED]))
    return library.find(str(answer[ENCODER]))
