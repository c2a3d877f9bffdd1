"""The report of an intake, as a table and as JSON."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field

from rich.markup import escape
from rich.table import Table

from etl.clean.reading import TableReading
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
    counts rejected rows by file, field and reason, `left_out` values of accepted ones, and
    `not_offered` rows that the shop does not offer, which is no fault. `notes` are sentences,
    `readings` say how the tables' columns were understood.
    """

    products: Tally
    photos: Tally
    categories: CategoryCount
    reasons: Counter[tuple[str, str, str]]
    notes: list[str]
    incomplete_photos: int = 0
    left_out: Counter[tuple[str, str, str]] = field(default_factory=Counter)
    not_offered: Counter[tuple[str, str, str]] = field(default_factory=Counter)
    readings: list[TableReading] = field(default_factory=list)

    @property
    def is_flawless(self) -> bool:
        """Whether no row was rejected and no value left out."""
        return not self.reasons and not self.left_out

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
        "reasons": as_counted(report.reasons),
        "left_out": as_counted(report.left_out),
        "not_offered": as_counted(report.not_offered),
        "tables": [asdict(reading) for reading in report.readings],
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


def understood(reading: TableReading) -> Table:
    """How the columns of a table were understood."""
    found = ", ".join(f"{name}: {text}" for name, text in reading.details.items())
    title = escape(f"{reading.file} ({found})")
    table = Table("Column", "Field", "Examples", "", title=title, title_justify="left")
    for column in reading.columns:
        examples = "\n".join(map(escape, column.examples))
        table.add_row(escape(column.column), column.field or "—", examples, escape(column.advice))
    return table


def reasons(report: IntakeReport) -> Table:
    """Why rows were rejected, the most frequent reasons first."""
    return reasons_table(report.reasons, "Rejected")


def left_out(report: IntakeReport) -> Table:
    """Which values of accepted rows were left out and why, the most frequent reasons first."""
    return reasons_table(report.left_out, "Accepted without a value")


def not_offered(report: IntakeReport) -> Table:
    """Which rows were not taken in because the shop does not offer them."""
    return reasons_table(report.not_offered, "Not offered by the shop, and not taken in")


def reasons_table(counts: Counter[tuple[str, str, str]], title: str) -> Table:
    """Rows by file, field and reason, the most frequent first."""
    table = Table("Rows", "File", "Field", "Reason", title=title, title_justify="left")
    shown = counts.most_common(REASONS_SHOWN)
    for (file, field_, reason), count in shown:
        table.add_row(f"{count:,}", escape(file), field_, escape(reason))
    others = counts.total() - sum(count for _, count in shown)
    if others:
        table.add_row(f"{others:,}", "", "", "other reasons")
    return table


def _tally(tally: Tally) -> str:
    return f"{tally.read:,} read, {tally.accepted:,} accepted, {tally.rejected:,} rejected"


def as_counted(counts: Counter[tuple[str, str, str]]) -> list[dict[str, object]]:
    """The same as plain values."""
    return [
        {"file": file, "field": field_, "reason": reason, "rows": rows}
        for (file, field_, reason), rows in counts.most_common()
    ]
