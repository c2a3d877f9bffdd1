"""`marketlens duplicates`: listings that show the same photo or the same item."""

import csv
import io
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from command_line.opened import database_of, store_of
from command_line.options import JsonReport, command_of
from models.domain.durable_files import atomic_file, make_folder
from models.domain.errors import SetupError
from models.domain.types import Relation
from progress import Bars
from settings import Settings
from workers.indexes.open import Indexes
from workers.near_duplicates.clusters import Cluster, Duplicates
from workers.near_duplicates.find import find_duplicates

SHOWN = 20
COLUMNS = ("cluster", "relation", "listing_id", "title", "seller", "status", "photo", "similarity")


@dataclass(frozen=True, slots=True, kw_only=True)
class DuplicatesOptions:
    """The options of the command."""

    csv_file: Annotated[
        Path | None,
        typer.Option(
            "--csv", dir_okay=False, help="Write all clusters to this file, one row a listing."
        ),
    ] = None
    json_report: JsonReport = False


@command_of(DuplicatesOptions)
def duplicates(options: DuplicatesOptions) -> None:
    """Find listings that show the same photo or the same item, and count their sellers."""
    settings, file = Settings(), options.csv_file
    store = store_of(settings)
    with database_of(settings) as database, Bars() as bars:
        indexes = Indexes(database, store, settings.generations_dir, settings.index_url)
        found = find_duplicates(database, store, indexes.open, bars.show)
    if file is not None:
        _write(file, found)
    if options.json_report:
        typer.echo(json.dumps(found.to_result().to_json()))
    else:
        Console().print(_table(found))
    if file is not None:
        typer.echo(f"{file} has all {len(found.clusters):,} clusters.", err=True)


def _write(path: Path, found: Duplicates) -> None:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(COLUMNS)
    for number, cluster in enumerate(found.clusters, start=1):
        for offer, similarity in cluster.members:
            writer.writerow(
                (
                    *(number, cluster.relation.value, offer.listing_id, offer.title, offer.seller),
                    *(offer.status.value, offer.sha256, f"{similarity:.6f}"),
                )
            )
    try:
        make_folder(path.parent)
        with atomic_file(path) as file:
            file.write(text.getvalue().encode())
    except OSError as error:
        raise SetupError(f"The clusters can't be written to {path}.") from error


def _table(found: Duplicates) -> Table:
    totals = found.totals()
    table = Table(
        title=f"Clusters of the same photo: {totals[Relation.SAME_PHOTO]:,}, "
        f"likely of the same item: {totals[Relation.SAME_ITEM]:,}; "
        f"{found.photos:,} photos, by {found.encoder}",
        title_justify="left",
    )
    for name in ("", "Listings", "Sellers", "Similarity", "Such as"):
        table.add_column(name, justify="left" if name in {"", "Such as"} else "right")
    for cluster in found.clusters[:SHOWN]:
        table.add_row(*_row(cluster))
    if len(found.clusters) > SHOWN:
        table.caption = f"The first {SHOWN} of {len(found.clusters):,}: --csv writes all."
    return table


def _row(cluster: Cluster) -> tuple[str, ...]:
    first = cluster.members[0]
    kind = cluster.relation.value.replace("_", " ")
    sellers = str(cluster.sellers) if cluster.sellers else "?"
    named = f"{escape(first.offer.title)} ({first.offer.listing_id})"
    return kind, str(len(cluster.members)), sellers, f"{first.similarity:.3f}", named
