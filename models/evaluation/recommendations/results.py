"""The results of an evaluation of recommendations, as JSON and as tables for a terminal."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from rich.console import Group
from rich.markup import escape
from rich.table import Table

from models.evaluation.intervals import Estimate, span
from models.evaluation.recommendations.metrics import Metric

TITLES: Final = {
    Metric.RECALL: "recall@20",
    Metric.NDCG: "nDCG@20",
    Metric.HIT: "hit@20",
    Metric.NEVER_SOLD: "first finds",
    Metric.COVERAGE: "coverage",
    Metric.NOVELTY: "novelty",
}
"""The display name of each metric."""

DIGITS: Final = dict.fromkeys(Metric, 4) | {
    Metric.HIT: 3,
    Metric.COVERAGE: 3,
    Metric.NOVELTY: 1,
}
"""Decimals of each metric."""

COMPARED: Final = (Metric.RECALL, Metric.NDCG, Metric.HIT, Metric.NEVER_SOLD)
"""Metrics of which there are paired differences."""


@dataclass(frozen=True, slots=True)
class Contestant:
    """A recommender's figures, and how much less (or more) they are than those of the first.

    `more` are the differences of the first to this one, on the same draws of users; empty for the
    first itself. A metric that could not be measured is None.
    """

    name: str
    figures: dict[Metric, Estimate | None]
    more: dict[Metric, Estimate | None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Setup:
    """What was evaluated: the part of the events that is tested, and what counts.

    `kinds` are those of touches to be found, `first_day` and `last_day` ISO dates. `never_sold` of
    the `to_find` listings had not been touched before by anybody; `unlisted` touches were of
    listings of the same day, and `unknown` events of listings that are not in the catalogue.
    """

    kinds: Sequence[str]
    first_day: str
    last_day: str
    min_history: int
    all_listed: bool
    encoder: str
    catalogue: int
    events: int
    targets: int
    users: int
    to_find: int
    never_sold: int
    unlisted: int
    unknown: int
    seed: int


@dataclass(frozen=True, slots=True)
class Evaluation:
    """The recommender that is evaluated, the baselines, and the ablations of the first.

    `notes` say what was left out, and why.
    """

    setup: Setup
    evaluated: Contestant
    baselines: Sequence[Contestant]
    ablations: Sequence[Contestant] = ()
    notes: Sequence[str] = ()

    @property
    def all(self) -> list[Contestant]:
        """The evaluated one, the baselines, the ablations."""
        return [self.evaluated, *self.baselines, *self.ablations]


def as_json(evaluation: Evaluation) -> dict[str, object]:
    """The results as plain values; what could not be measured is null."""
    setup = evaluation.setup
    return {
        **{name: getattr(setup, name) for name in Setup.__dataclass_fields__},
        "kinds": list(setup.kinds),
        "recommender": _contestant(evaluation.evaluated),
        "baselines": [_contestant(one) for one in evaluation.baselines],
        "ablations": [_contestant(one) for one in evaluation.ablations],
        "notes": list(evaluation.notes),
    }


def _contestant(one: Contestant) -> dict[str, object]:
    shown: dict[str, object] = {"name": one.name, "metrics": _values(one.figures)}
    if one.more:
        shown["recommender_more"] = _values(one.more)
    return shown


def _values(figures: dict[Metric, Estimate | None]) -> dict[str, object]:
    return {
        metric.value: estimate
        and {"value": estimate.value, "low": estimate.low, "high": estimate.high}
        for metric, estimate in figures.items()
    }


def described(evaluation: Evaluation) -> str:
    """One line that describes what was evaluated."""
    setup = evaluation.setup
    return (
        f"{setup.targets:,} targets ({', '.join(setup.kinds)}) of {setup.users:,} users from "
        f"{setup.first_day} to {setup.last_day}, {setup.to_find:,} listings to find among "
        f"{setup.catalogue:,}, {setup.never_sold:,} of them never {' or '.join(setup.kinds)} before"
    )


def as_tables(evaluation: Evaluation) -> Group:
    """The results for a terminal, of 80 columns if need be."""
    parts: list[Table | str] = [
        f"{described(evaluation)}.\n",
        _table("", evaluation.all, COMPARED, is_difference=False),
    ]
    for title, others in (
        ("More than each baseline, by user", evaluation.baselines),
        ("More than without a part of it", evaluation.ablations),
    ):
        if others:
            parts.append(_table(title, others, COMPARED, is_difference=True))
    rest = [metric for metric in Metric if metric not in COMPARED]
    parts.append(_table("Of what is recommended", evaluation.all, rest, is_difference=False))
    return Group(*parts, *(escape(note) for note in evaluation.notes))


def _table(
    title: str, shown: Sequence[Contestant], metrics: Sequence[Metric], *, is_difference: bool
) -> Table:
    table = Table(title=title or None, title_justify="left")
    table.add_column("", no_wrap=True)
    for metric in metrics:
        table.add_column(TITLES[metric], justify="right")
    for one in shown:
        figures, sign = (one.more, "+") if is_difference else (one.figures, "")
        table.add_row(
            escape(one.name), *(cell(figures[metric], DIGITS[metric], sign) for metric in metrics)
        )
    return table


def cell(estimate: Estimate | None, digits: int, sign: str = "") -> str:
    """A figure above its interval, as text."""
    if estimate is None:
        return "-"
    return f"{estimate.value:{sign}.{digits}f}\n{span(estimate, sign, digits)}"
