"""The active encoder of a machine: chosen by the settings until photos have been embedded.

Imports neither torch nor faiss: commands that compute nothing import this.
"""

import logging
from contextlib import suppress
from datetime import datetime
from pathlib import Path

from db.session import Database
from db.tables import Encoder
from db.vectors.encoders import (
    activate_encoder,
    activate_initial_encoder,
    active_encoder,
    active_encoder_in_use,
    register_encoder,
)
from models.domain.errors import WeightsError, WeightsMissing
from models.domain.types import EncoderSpec
from models.encoders.library import AUTO, EncoderLibrary
from models.encoders.networks.architectures import architecture_named
from models.encoders.package import write_package
from models.encoders.specs import HOG
from models.encoders.weights import ProgressCallback

log = logging.getLogger(__name__)


def ensure_active_encoder(
    database: Database,
    library: EncoderLibrary,
    models_dir: Path,
    now: datetime,
    on_progress: ProgressCallback | None = None,
) -> Encoder:
    """The active encoder. Until a photo has been embedded, the configured one is made active.

    From then on the configured weights need not exist. One that was chosen automatically stays.
    Raises WeightsError.
    """
    with database.read() as session:
        active = active_encoder(session)
        is_in_use = active_encoder_in_use(session)
    if active is not None and (is_in_use or library.may_stay(active.spec)):
        # Earlier releases did not keep the files of an encoder that the settings name.
        with suppress(WeightsError):
            _try_to_keep_files(library, active.spec, models_dir)
        return active
    spec = library.configured(on_progress)
    _try_to_keep_files(library, spec, models_dir)
    with database.write() as session:
        return activate_initial_encoder(session, spec, now)


def force_configured_encoder(
    database: Database, library: EncoderLibrary, models_dir: Path, now: datetime
) -> Encoder:
    """Activate the configured encoder, even if it lacks vectors or an index.

    Raises WeightsError.
    """
    spec = library.configured()
    _try_to_keep_files(library, spec, models_dir)
    with database.write() as session:
        encoder_id = register_encoder(session, spec, now)
        return activate_encoder(session, encoder_id, now, force=True)


def keep_files(library: EncoderLibrary, spec: EncoderSpec, models_dir: Path) -> None:
    """Copy an encoder's files into the models folder: the settings may change, and name others."""
    base = library.base_of(spec)
    if base.name == HOG:
        return
    weights, package = library.weights_of(base)
    if package is None:
        write_package(models_dir, architecture_named(base.name), weights=weights, facts={})


def _try_to_keep_files(library: EncoderLibrary, spec: EncoderSpec, models_dir: Path) -> None:
    """Keep the files if possible: the settings name the originals, the folder may be read-only."""
    try:
        keep_files(library, spec, models_dir)
    except OSError as error:
        log.warning("the files of %s are not kept in %s: %s", spec.label, models_dir, error)


def require_files(library: EncoderLibrary, spec: EncoderSpec, models_dir: Path) -> None:
    """Raise WeightsMissing if this machine can't open the encoder."""
    if spec not in library.specs():
        raise WeightsMissing(
            f"The encoder {spec.label} is active, but {models_dir / spec.label} is not there: copy "
            "it from a machine that has it, or activate another encoder with --force."
        )


def encoder_mismatch_warning(
    active: EncoderSpec, library: EncoderLibrary, name: str, weights: Path | None
) -> str | None:
    """The warning that the settings, `name` and `weights`, ask for another encoder; None if not.

    Weights that are not given are no such request: a better encoder of the same network, or with
    `auto` of any network, may be active.
    """
    if name != AUTO and not active.name.startswith(name):
        wanted = name
    elif weights is not None and weights.is_file():
        spec = library.configured()
        if spec == library.base_of(active):  # what was adapted from it is no other wish
            return None
        wanted = spec.label
    else:
        return None
    return (
        f"Searches are made with {active.label}, the settings ask for {wanted}: "
        f"`marketlens encoder migrate {wanted}` changes to it."
    )
