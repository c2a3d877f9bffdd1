"""Which encoder a machine works with: the database's choice, and the settings' before there is one.

Light: commands that compute nothing import this.
"""

import logging
from contextlib import suppress
from datetime import datetime
from pathlib import Path

from db.session import Database
from db.tables import Encoder
from db.vectors.encoders import (
    activate_encoder,
    active_encoder,
    adopt_encoder,
    is_settled,
    register_encoder,
)
from models.domain.errors import WeightsError, WeightsMissing
from models.domain.types import EncoderSpec
from models.encoders.library import EncoderLibrary
from models.encoders.package import write_package
from models.encoders.specs import HOG, RESNET50, RESNET50_TRANSFORM
from models.encoders.weights import ProgressCallback

log = logging.getLogger(__name__)


def settle_encoder(
    database: Database,
    library: EncoderLibrary,
    models_dir: Path,
    now: datetime,
    on_progress: ProgressCallback | None = None,
) -> Encoder:
    """The active encoder. Until a photo has been embedded, that is the one the settings ask for.

    From then on the settings' weights need not be there. Raises WeightsError.
    """
    with database.read() as session:
        active = active_encoder(session) if is_settled(session) else None
    if active is not None:
        # From settings that named it, perhaps before encoders were kept.
        with suppress(WeightsError):
            _try_to_keep_files(library, active.spec, models_dir)
        return active
    spec = library.configured(on_progress)
    _try_to_keep_files(library, spec, models_dir)
    with database.write() as session:
        return adopt_encoder(session, spec, now)


def impose_encoder(
    database: Database, library: EncoderLibrary, models_dir: Path, now: datetime
) -> Encoder:
    """Make the encoder that the settings ask for the active one, whatever it lacks.

    Raises WeightsError.
    """
    spec = library.configured()
    _try_to_keep_files(library, spec, models_dir)
    with database.write() as session:
        encoder_id = register_encoder(session, spec, now)
        return activate_encoder(session, encoder_id, now, force=True)


def keep_files(library: EncoderLibrary, spec: EncoderSpec, models_dir: Path) -> None:
    """Have an encoder's files among the models, so that it outlives a change of the settings."""
    if spec.name == HOG:
        return
    weights, package = library.weights_of(spec)
    if package is None:
        write_package(models_dir, weights=weights, transform=RESNET50_TRANSFORM, facts={})


def _try_to_keep_files(library: EncoderLibrary, spec: EncoderSpec, models_dir: Path) -> None:
    """As long as the settings name them, nobody needs the copy; the folder may be read-only."""
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


def wish(
    active: EncoderSpec, library: EncoderLibrary, name: str, weights: Path | None
) -> str | None:
    """What to do if the settings, `name` and `weights`, ask for another encoder; None if not.

    Weights that nobody named are no wish: the default stays when a better encoder is active.
    """
    if name != active.name:
        wanted = name
    elif name == RESNET50 and weights is not None and weights.is_file():
        spec = library.configured()
        if spec == active:
            return None
        wanted = spec.label
    else:
        return None
    return (
        f"Searches are made with {active.label}, the settings ask for {wanted}: "
        f"`marketlens encoder migrate {wanted}` changes to it."
    )
