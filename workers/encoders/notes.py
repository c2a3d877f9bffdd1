"""How an encoder was made, in sentences, from the facts that are kept with it."""

from collections.abc import Iterator, Mapping

from pydantic import AliasChoices, BaseModel, ConfigDict, Field, ValidationError

from models.domain.types import MatchLabel
from models.matching.labels import Calibration


class _Facts(BaseModel):
    model_config = ConfigDict(extra="ignore")


class _Speeds(_Facts):
    # Earlier releases compared with torch always, and called it so.
    source: float = Field(validation_alias=AliasChoices("source", "torch"))
    exported: float


class _Estimate(_Facts):
    value: float
    low: float
    high: float


class _Metrics(_Facts):
    map: _Estimate | None
    recall_at_1: _Estimate | None


class _Difference(_Facts):
    metrics: _Metrics


class _Trial(_Facts):
    differences: tuple[_Difference, ...]


class _Adaptation(_Facts):
    photos: int
    listings: int
    categories: int
    trial: _Trial


class _Kept(_Facts):
    photos_per_s: _Speeds | None = None
    adaptation: _Adaptation | None = None
    training: dict[str, object] | None = None


def encoder_notes(facts: Mapping[str, object]) -> Iterator[str]:
    """A sentence for each way in which it was changed; facts of other releases give none."""
    try:
        kept = _Kept.model_validate(facts)
    except ValidationError:
        return
    if kept.training is not None:
        yield f"fine-tuned, {kept.training.get('epochs')} epochs at most."
    if kept.photos_per_s is not None:
        speeds = kept.photos_per_s
        yield f"exported: {speeds.exported:.0f} photos/s, {speeds.source:.0f} by its source."
    if kept.adaptation is not None:
        learned = kept.adaptation
        yield (
            f"learned from {learned.photos:,} photos of {learned.listings:,} listings in "
            f"{learned.categories:,} categories{_gains(learned.trial)}."
        )


def _gains(trial: _Trial) -> str:
    if not trial.differences:
        return ""
    metrics = trial.differences[0].metrics
    named = (("mAP", metrics.map), ("recall@1", metrics.recall_at_1))
    gains = [
        f"{name} {gain.value:+.3f} ({gain.low:+.3f} … {gain.high:+.3f})"
        for name, gain in named
        if gain is not None
    ]
    return f"; on listings that it had not learned from: {', '.join(gains)}"


def label_notes(calibration: Calibration) -> str:
    """A sentence about an encoder's match labels: from where on, and how often right.

    The same item is told from a cosine on, the very similar from a share of neighbours.
    """
    precision, same = calibration.precision, calibration.same_item
    near, agreement = calibration.very_similar_alone, calibration.very_similar
    very_similar = " or ".join(
        part
        for part in (
            near and f"from {near:.2f}",
            agreement and f"from {agreement:.0%} agreement of neighbours",
        )
        if part
    )
    labels = (
        (MatchLabel.SAME_ITEM, same and f"from {same.similarity:.2f}", precision.same_item),
        (MatchLabel.VERY_SIMILAR, very_similar, precision.very_similar),
    )
    parts = [
        f"{label} {threshold} (right {measured.value:.0%})"
        if threshold and measured
        else f"{label} withheld"
        for label, threshold, measured in labels
    ]
    return f"match labels: {', '.join(parts)}, related from {calibration.related:.2f}."
