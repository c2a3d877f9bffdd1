"""The calibrate job: how right an encoder's match labels are, and from which similarity on."""

import logging
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from db.jobs import attempts
from db.jobs.claiming import Claim
from db.session import Database
from db.store.photo_store import PhotoStore
from db.vectors.embeddings import count_live
from db.vectors.encoders import active_encoder, get_encoder
from models.domain.errors import Conflict, InvalidInput
from models.domain.job_payloads import CalibratePayload
from models.domain.job_results.encoders import CalibrateResult
from models.encoders.library import EncoderLibrary
from models.matching.labels import withheld_labels
from workers.encoders.calibrating import OpenEncoder, calibrate_encoder
from workers.jobs.heartbeat import Heartbeat, kept_alive

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class CalibrateTools:
    """What a calibrate job works with."""

    database: Database
    store: PhotoStore
    library: EncoderLibrary
    open_encoder: OpenEncoder
    clock: Callable[[], datetime]


def run_calibrate(
    claim: Claim, payload: CalibratePayload, tools: CalibrateTools, heartbeat: Heartbeat
) -> None:
    """Do a calibrate job, and end it with what was calibrated, or why nothing was.

    Raises Conflict where there is no active encoder, NotFound where the one that the job names is
    not there, and WeightsError.
    """
    with kept_alive(heartbeat):
        result = _result(payload, tools, heartbeat)
    withheld = ", ".join(result.withheld) or "none"
    outcome = result.refusal or f"calibrated, withheld: {withheld}"
    log.info("match labels of %s: %s", result.encoder, outcome)
    with tools.database.write() as session:
        attempts.finish(
            session,
            claim,
            tools.clock(),
            result=result,
            done=result.listings,
            total=result.listings,
        )


def _result(
    payload: CalibratePayload, tools: CalibrateTools, heartbeat: Heartbeat
) -> CalibrateResult:
    def on_progress(step: str, done: int, total: int) -> None:
        del step
        heartbeat(done, total)

    with tools.database.read() as session:
        encoder = (
            active_encoder(session)
            if payload.encoder_id is None
            else get_encoder(session, payload.encoder_id)
        )
        photos = 0 if encoder is None else count_live(session, encoder.id)
    if encoder is None:
        raise Conflict("There is no active encoder yet: nothing is embedded.")
    try:
        calibrated = calibrate_encoder(
            tools.database,
            tools.store,
            tools.library,
            tools.open_encoder,
            encoder_id=encoder.id,
            on_progress=on_progress,
        )
    except InvalidInput as error:  # the catalogue is too small
        return CalibrateResult(encoder=encoder.spec.label, photos=photos, refusal=str(error))
    calibration = calibrated.calibration
    return CalibrateResult(
        encoder=calibrated.encoder,
        photos=calibration.photos,
        listings=calibration.listings,
        withheld=withheld_labels(calibration),
    )
