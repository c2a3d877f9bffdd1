"""What was learned from the catalogue."""

from models.domain.job_results.base import JobResult
from models.domain.types import JobType, MatchLabel


class AdaptResult(JobResult):
    """What was learned from the catalogue: an encoder, by its label, or why there is none.

    `photos` counts those that were embedded at that time. `gain` is by how much the mean average
    precision was higher on listings that were held out. `int8` is the faster network that was
    changed to before, `int8_refusal` says why there is none; neither where none was due.
    `replaced` are the encoders of the network before, kept up to date for some time still.
    """

    job_type = JobType.ADAPT

    photos: int
    encoder: str | None = None
    refusal: str | None = None
    gain: float | None = None
    int8: str | None = None
    int8_refusal: str | None = None
    replaced: tuple[str, ...] = ()


class CalibrateResult(JobResult):
    """Which encoder's match labels were calibrated, by its label, or why they were not.

    `photos` counts those that it had embedded, `listings` those that were asked about. `withheld`
    are labels that were not right often enough, and are never given.
    """

    job_type = JobType.CALIBRATE

    encoder: str
    photos: int
    listings: int = 0
    refusal: str | None = None
    withheld: tuple[MatchLabel, ...] = ()
