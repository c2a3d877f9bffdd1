"""The results of a comparison, as JSON and as tables for a terminal."""

from typing import Final

from rich.console import Group
from rich.markup import escape
from rich.table import Table

from models.domain.types import EncoderSpec
from models.evaluation.compare import METRICS, Comparison
from models.evaluation.intervals import Estimate, span

TITLES: Final = {
    "precision_at_1": "precision@1",
    "precision_at_10": "precision@10",
    "map": "mAP",
    "recall_at_1": "recall@1",
    "recall_at_5": "recall@5",
    "recall_at_10": "recall@10",
}
"""The display name of each metric."""


def as_json(comparison: Comparison) -> dict[str, object]:
    """The comparison as plain values; a metric that could not be measured is null."""
    first = comparison.encoders[0]
    return {
        "photos": comparison.photos,
        "listings": comparison.listings,
        "queries": len(comparison.searches[0].queries),
        "held_out": len(comparison.held_out),
        "seed": comparison.seed,
        "encoders": [
            {**_identity(encoder), **_figures_of(comparison, number)}
            for number, encoder in enumerate(comparison.encoders)
        ],
        "differences": [
            {
                "encoder": encoder.label,
                "baseline": first.label,
                "metrics": {
                    metric: _estimate(figures.to_first[number])
                    if (figures := comparison.metrics.get(metric))
                    else None
                    for metric in METRICS
                },
            }
            for number, encoder in enumerate(comparison.encoders[1:])
        ],
    }


def _identity(encoder: EncoderSpec) -> dict[str, object]:
    return {
        "encoder": encoder.label,
        "fingerprint": encoder.fingerprint,
        "dimension": encoder.dimension,
        "precision": encoder.precision.value,
    }


def _figures_of(comparison: Comparison, number: int) -> dict[str, object]:
    measured = comparison.metrics
    return {
        "metrics": {
            metric: {
                **_estimate(measured[metric].micro[number]),
                "macro": _estimate(measured[metric].macro[number]),
            }
            if metric in measured
            else None
            for metric in METRICS
        },
        "categories": [
            {
                "category": category,
                "queries": queries,
                "metrics": {
                    metric: _estimate(estimate)
                    if (estimate := comparison.of_category(category, metric, number))
                    else None
                    for metric in METRICS
                },
            }
            for category, queries in comparison.queries_in.items()
        ],
    }


def _estimate(estimate: Estimate) -> dict[str, float]:
    return {"value": estimate.value, "low": estimate.low, "high": estimate.high}


def as_tables(comparison: Comparison) -> Group:
    """The comparison for a terminal: all queries, then each category."""
    return Group(_overall(comparison), _categories(comparison))


def _overall(comparison: Comparison) -> Table:
    table = Table(title=described(comparison), title_justify="left")
    for column in ("Metric", "Encoder", "Mean", "95% interval", "Macro"):
        table.add_column(column)
    for metric, figures in comparison.metrics.items():
        title = TITLES[metric]
        for number, encoder in enumerate(comparison.encoders):
            micro, macro = figures.micro[number], figures.macro[number]
            label = escape(encoder.label)
            table.add_row(title, label, f"{micro.value:.3f}", span(micro), f"{macro.value:.3f}")
            title = ""
            if number:
                more = figures.to_first[number - 1]
                table.add_row("", "  more than the first", f"{more.value:+.3f}", span(more, "+"))
        table.add_section()
    return table


def described(comparison: Comparison) -> str:
    """One line that describes the photos and queries."""
    return (
        f"{comparison.photos:,} photos of {comparison.listings:,} listings, "
        f"{len(comparison.searches[0].queries):,} queries, "
        f"{len(comparison.held_out):,} held-out views"
    )


def _categories(comparison: Comparison) -> Table:
    table = Table(title="By category: precision@1, mAP", title_justify="left")
    table.add_column("Category")
    table.add_column("Queries", justify="right")
    for encoder in comparison.encoders:
        table.add_column(escape(encoder.label))
    for category, queries in comparison.queries_in.items():
        cells = [
            ", ".join(
                f"{estimate.value:.3f}" if estimate else "-"
                for metric in ("precision_at_1", "map")
                for estimate in [comparison.of_category(category, metric, number)]
            )
            for number in range(len(comparison.encoders))
        ]
        table.add_row(escape(category), f"{queries:,}", *cells)
    return table
