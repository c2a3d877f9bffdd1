"""The report of an intake, as a table and as JSON."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import asdict, dataclass

from rich.markup import escape
from rich.table import Table

from etl.clean.rejects import Tally

REASONS_SHOWN = 10


@dataclass(frozen=True, slots=True)
class CategoryCount:
    """Categories of the accepted listings: roots, and the paths below them."""

    root: int
    sub: int


@dataclass(frozen=True, slots=True)
class IntakeReport:
    """How many of a feed's rows were read, accepted and rejected.

    `incomplete_photos` are accepted ones that lack up to a twentieth of their pixels. `reasons`
    counts rejected rows by file, field and reason; `notes` are sentences.
    """

    products: Tally
    photos: Tally
    categories: CategoryCount
    reasons: Counter[tuple[str, str, str]]
    notes: list[str]
    incomplete_photos: int = 0

    @property
    def rejected(self) -> int:
        """How many rows were rejected."""
        return self.reasons.total()


@dataclass(frozen=True, slots=True)
class Cost:
    """A run's duration in seconds, and the peak memory of it and its processes, in MB."""

    seconds: float
    peak_mb: float


def as_json(report: IntakeReport, written: dict[str, int], cost: Cost) -> dict[str, object]:
    """The report as plain values."""
    return {
        "products": asdict(report.products),
        "photos": asdict(report.photos),
        "incomplete_photos": report.incomplete_photos,
        "categories": asdict(report.categories),
        "written": written,
        "reasons": [
            {"file": file, "field": field, "reason": reason, "rows": rows}
            for (file, field, reason), rows in report.reasons.most_common()
        ],
        "seconds": round(cost.seconds, 2),
        "peak_mb": round(cost.peak_mb, 1),
    }


def summary(report: IntakeReport, title: str, lines: Mapping[str, str], cost: Cost) -> Table:
    """The report as a table, with additional lines."""
    table = Table(title=title, title_justify="left", show_header=False)
    table.add_row("Products", _tally(report.products))
    table.add_row("Photos", _tally(report.photos))
    if report.incomplete_photos:
        table.add_row("", f"{report.incomplete_photos:,} of them lack some of their pixels")
    table.add_row("Categories", f"{report.categories.root} roots, {report.categories.sub} below")
    for name, text in lines.items():
        table.add_row(name, text)
    rate = (report.products.read + report.photos.read) / cost.seconds
    table.add_row("Time", f"{cost.seconds:.1f} s, {rate:,.0f} rows a second")
    table.add_row("Memory", f"{cost.peak_mb:,.0f} MB at most")
    return table


def reasons(report: IntakeReport) -> Table:
    """Why rows were rejected, the most frequent reasons first."""
    table = Table("Rows", "File", "Field", "Reason", title="Rejected", title_justify="left")
    shown = report.reasons.most_common(REASONS_SHOWN)
    for (file, field, reason), count in shown:
        table.add_row(f"{count:,}", file, field, escape(reason))
    others = report.rejected - sum(count for _, count in shown)
    if others:
        table.add_row(f"{others:,}", "", "", "other reasons")
    return table


def _tally(tally: Tally) -> str:
    return f"{tally.read:,} read, {tally.accepted:,} accepted, {tally.rejected:,} rejected"
