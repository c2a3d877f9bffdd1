"""The results of an evaluation of recommendations as one self-contained HTML page."""

from collections.abc import Sequence
from html import escape
from typing import Final

from models.evaluation.html import HUES, difference, document, figure, plot, section
from models.evaluation.intervals import Estimate
from models.evaluation.recommendations.metrics import Metric
from models.evaluation.recommendations.results import (
    COMPARED,
    DIGITS,
    TITLES,
    Contestant,
    Evaluation,
    described,
)

TITLE: Final = "What recommendations find"

_FIGURES_NOTE: Final = (
    "The mean over targets, with its 95% interval, from drawing users with replacement, the same "
    "ones for every row. A target is a day on which a user touched listings that were new to them; "
    "all that is known is from before that day, and all listings that were listed by then are "
    "ranked, but the user's own earlier ones. First finds: the share found of what nobody had "
    "touched before. Coverage: the share of the catalogue that is recommended to anybody. Novelty: "
    "bits of information in what is recommended, by how often it was touched before."
)
_PLOTS_NOTE: Final = "The same, on an axis from 0 to the highest end of an interval."
_BASELINES_NOTE: Final = (
    "How much more the recommendations find than each baseline, on the same draws: an interval "
    "above 0 is a difference that other users would very likely show as well."
)
_ABLATIONS_NOTE: Final = (
    "How much more the recommendations find than without one of their parts, on the same draws."
)


def as_page(evaluation: Evaluation) -> str:
    """The results as the text of a page."""
    parts = [_heading(evaluation), _figures(evaluation), *_plots(evaluation)]
    if evaluation.baselines:
        parts.append(_differences("More than each baseline", _BASELINES_NOTE, evaluation.baselines))
    if evaluation.ablations:
        parts.append(_differences("Without its parts", _ABLATIONS_NOTE, evaluation.ablations))
    return document(TITLE, "\n".join(parts))


def _heading(evaluation: Evaluation) -> str:
    setup = evaluation.setup
    facts = [
        f"{setup.events:,} events; vectors of {setup.encoder}; at least {setup.min_history} "
        "listings touched before.",
        *evaluation.notes,
    ]
    shown = "".join(f'<p class="soft">{escape(fact)}</p>' for fact in facts)
    return f"<h1>{escape(TITLE)}</h1>\n<p>{escape(described(evaluation))}.</p>{shown}"


def _name(evaluation: Evaluation, one: Contestant) -> str:
    hue = evaluation.all.index(one) % HUES
    return f'<span class="name hue{hue}">{escape(one.name)}</span>'


def _figures(evaluation: Evaluation) -> str:
    rows = [
        [
            _name(evaluation, one),
            *(figure(one.figures[metric], DIGITS[metric]) for metric in Metric),
        ]
        for one in evaluation.all
    ]
    heads = ["Recommender", *(TITLES[metric] for metric in Metric)]
    return section("All targets", _FIGURES_NOTE, heads, rows)


def _plots(evaluation: Evaluation) -> list[str]:
    """A table for each metric with plots on one axis."""
    plots = []
    for metric in COMPARED:
        known = [e for one in evaluation.all if (e := one.figures[metric]) is not None]
        high = max((estimate.high for estimate in known), default=0.0) or 1.0
        rows = [
            [
                _name(evaluation, one),
                figure(estimate, DIGITS[metric]),
                _plotted([estimate] if estimate else [], 0.0, high, number),
            ]
            for number, one in enumerate(evaluation.all)
            for estimate in [one.figures[metric]]
        ]
        heads = ["Recommender", "Mean", f"0 to {high:.{DIGITS[metric]}f}"]
        plots.append(section(TITLES[metric], _PLOTS_NOTE, heads, rows))
    return plots


def _differences(title: str, note: str, others: Sequence[Contestant]) -> str:
    heads = [title]
    axes: dict[Metric, tuple[float, float]] = {}
    for metric in COMPARED:
        known = [e for one in others if (e := one.more[metric]) is not None]
        low = min((0.0, *(e.low for e in known)))
        high = max((0.0, *(e.high for e in known)))
        axes[metric] = (low, high) if high > low else (low, low + 1.0)
        digits = DIGITS[metric]
        heads += [TITLES[metric], f"{axes[metric][0]:.{digits}f} to {axes[metric][1]:.{digits}f}"]
    rows = [
        [
            escape(one.name),
            *(
                shown
                for metric in COMPARED
                for estimate in [one.more[metric]]
                for shown in (
                    difference(estimate, DIGITS[metric]),
                    _plotted([estimate] if estimate else [], *axes[metric]),
                )
            ),
        ]
        for one in others
    ]
    return section(title, note, heads, rows)


def _plotted(estimates: Sequence[Estimate], low: float, high: float, number: int = 0) -> str:
    return plot(estimates, low, high, number % HUES) if estimates else "-"
