"""What a seed did, for people and for programs."""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from typing import Any
from uuid import UUID

from rich.markup import escape
from rich.table import Table

from db.listings import Written
from etl.rejects import Reject, Tally

REASONS_SHOWN = 10


@dataclass(frozen=True, slots=True)
class CategoryCount:
    """Categories of the accepted listings: roots, and the paths below them."""

    root: int
    sub: int


@dataclass(frozen=True, slots=True)
class SeedReport:
    """What became of a feed.

    `queued` is how many photos this run has queued for embedding; `jobs` are the open jobs that
    will embed the feed's photos, those that an earlier run had left included.
    """

    products: Tally
    photos: Tally
    categories: CategoryCount
    written: Written
    queued: int
    jobs: Sequence[UUID]
    rejects: Sequence[Reject]


def as_json(report: SeedReport, *, embedded: int, seconds: float) -> dict[str, Any]:
    """The report as plain values; `embedded` counts photos."""
    return {
        "products": asdict(report.products),
        "photos": asdict(report.photos),
        "categories": asdict(report.categories),
        "written": asdict(report.written),
        "queued": report.queued,
        "embedded": embedded,
        "seconds": round(seconds, 2),
    }


def summary(report: SeedReport, *, embedded: int, seconds: float) -> Table:
    """The report as a table."""
    table = Table(title="Seeded", title_justify="left", show_header=False)
    table.add_row("Products", _tally(report.products))
    table.add_row("Photos", _tally(report.photos))
    table.add_row("Categories", f"{report.categories.root} roots, {report.categories.sub} below")
    written = (f"{count:,} {what}" for what, count in asdict(report.written).items())
    table.add_row("Listings", ", ".join(written))
    table.add_row("Embedding", f"{report.queued:,} photos queued, {embedded:,} done")
    table.add_row("Time", f"{seconds:.1f} s")
    return table


def reasons(rejects: Iterable[Reject]) -> Table:
    """Why rows were rejected, the most frequent reasons first."""
    table = Table("Rows", "File", "Field", "Reason", title="Rejected", title_justify="left")
    counts = Counter((reject.file, reject.field, reject.reason) for reject in rejects)
    shown = counts.most_common(REASONS_SHOWN)
    for (file, field, reason), count in shown:
        table.add_row(f"{count:,}", file, field, escape(reason))
    others = counts.total() - sum(count for _, count in shown)
    if others:
        table.add_row(f"{others:,}", "", "", "other reasons")
    return table


def _tally(tally: Tally) -> str:
    return f"{tally.read:,} read, {tally.accepted:,} accepted, {tally.rejected:,} rejected"
