"""Learned weights as `marketlens rank` shows them, in tables and as JSON."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from rich.table import Table

from db.ranking.rankers import stored_weights
from db.tables import Ranker
from models.domain.recommendations.options import DEFAULT_WEIGHTS
from models.domain.recommendations.rankers import Interval, Measured
from models.domain.searches.options import RankPart, RankWeights
from models.domain.types import RankerStatus
from workers.commands.rank.arguments import DEFAULT


@dataclass(frozen=True, slots=True, kw_only=True)
class RankerRow:
    """Weights as the commands show them; times are ISO 8601.

    `measured` is what their trial has found; None of the default ones.
    """

    id: int | str
    status: str
    created_at: str | None = None
    activated_at: str | None = None
    weights: Mapping[str, float]
    measured: Mapping[str, object] | None = None


def default_row(*, is_active: bool) -> RankerRow:
    """The row of the default weights."""
    status = RankerStatus.ACTIVE if is_active else RankerStatus.REGISTERED
    return RankerRow(id=DEFAULT, status=status.value, weights=_by_part(DEFAULT_WEIGHTS))


def ranker_row(ranker: Ranker) -> RankerRow:
    """The row of learned weights."""
    activated = ranker.activated_at
    return RankerRow(
        id=ranker.id,
        status=ranker.status.value,
        created_at=ranker.created_at.isoformat(timespec="seconds"),
        activated_at=None if activated is None else activated.isoformat(timespec="seconds"),
        weights=_by_part(stored_weights(ranker.weights)),
        measured=Measured.model_validate(ranker.measured).model_dump(mode="json"),
    )


def learned_row(ranker_id: int | None, weights: RankWeights, measured: Measured) -> RankerRow:
    """The row of weights that were just learned; without an id, of refused ones."""
    return RankerRow(
        id="learned" if ranker_id is None else ranker_id,
        status=RankerStatus.REGISTERED.value,
        weights=_by_part(weights),
        measured=measured.model_dump(mode="json"),
    )


def rankers_table(rows: Sequence[RankerRow]) -> Table:
    """One line for each: what it gained in its trial, over what was in use then."""
    table = Table(title="Weights", title_justify="left", box=None, padding=(0, 2, 0, 0))
    for name in ("ID", "Status", "Learned", "nDCG@20", "More than"):
        table.add_column(name, no_wrap=True)
    for row in rows:
        if row.measured is None:
            table.add_row(str(row.id), row.status)
            continue
        measured = Measured.model_validate(row.measured)
        table.add_row(
            str(row.id),
            row.status,
            f"{row.created_at:.10}",
            f"{measured.learned.value:.4f}",
            f"{_named(measured.compared_with)}: {_difference(measured.gain)}",
        )
    return table


def weights_table(row: RankerRow, before: RankWeights | None = None) -> Table:
    """The share that each part has of a score, beside that before, or else by default."""
    table = Table(title=f"Weights {row.id}", title_justify="left", box=None, padding=(0, 2, 0, 0))
    table.add_column("Part", no_wrap=True)
    for name in ("Share", "By default" if before is None else "In use"):
        table.add_column(name, justify="right")
    others = _by_part(before or DEFAULT_WEIGHTS)
    for part in RankPart:
        if part in row.weights or part in others:
            table.add_row(part.value, _share(row.weights, part), _share(others, part))
    return table


def sentences_of(row: RankerRow) -> Iterator[str]:
    """What the trial of learned weights has found."""
    if row.measured is None:
        return
    measured = Measured.model_validate(row.measured)
    yield (
        f"Learned from {measured.learned_from:,} choices before {measured.tried_from:%Y-%m-%d}, "
        f"and tried on {measured.tried_on:,} later ones of {measured.users:,} users."
    )
    yield (
        f"nDCG@20 {_estimate(measured.learned)}; of {_named(measured.compared_with)} weights "
        f"{_estimate(measured.in_use)}; difference {_difference(measured.gain)}."
    )
    kept = [part for part in row.weights if part not in measured.learned_parts]
    if kept:
        yield f"As before, since the choices say nothing about them: {', '.join(kept)}."
    if measured.looked_at:
        places = ", ".join(
            f"{place + 1}: {share:.2f}" for place, share in measured.looked_at.items()
        )
        yield f"How often places are looked at, from that of: {places}."


def _by_part(weights: RankWeights) -> dict[str, float]:
    return {part.value: weights.of(part) for part in RankPart if weights.of(part)}


def _named(ranker_id: int | None) -> str:
    return DEFAULT if ranker_id is None else str(ranker_id)


def _share(weights: Mapping[str, float], part: RankPart) -> str:
    whole = sum(weights.values())
    return f"{weights.get(part, 0.0) / whole:.1%}" if whole else "-"


def _estimate(interval: Interval) -> str:
    return f"{interval.value:.4f} ({interval.low:.4f} … {interval.high:.4f})"


def _difference(interval: Interval) -> str:
    return f"{interval.value:+.4f} ({interval.low:+.4f} … {interval.high:+.4f})"
