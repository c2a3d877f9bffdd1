"""`marketlens index evaluate`."""

import json
from dataclasses import dataclass
from enum import StrEnum
from typing import Annotated

import typer
from rich.console import Console
from sqlalchemy.orm import Session

from command_line.opened import database_of, store_of
from command_line.options import JsonReport, command_of
from db.tables import Generation
from db.vectors import generations
from db.vectors.encoders import get_encoder
from models.domain.errors import Conflict
from models.index.faiss_index import set_threads
from models.index.generation import open_generation
from progress import Bars
from settings import Settings
from workers.commands.arguments import encoder_of_index
from workers.commands.index.tables import facts
from workers.generations.publish import fetch_generation
from workers.indexes.check import IndexCheck, check_index


class Reference(StrEnum):
    """What an index is compared with."""

    EXACT = "exact"


@dataclass(frozen=True, slots=True, kw_only=True)
class EvaluateOptions:
    """The options of the command."""

    generation_id: Annotated[
        int | None,
        typer.Argument(min=1, metavar="[ID]", help="See `index list`; the live one by default."),
    ] = None
    against: Annotated[
        Reference, typer.Option(help="Exact search over every live photo in the database.")
    ] = Reference.EXACT
    queries: Annotated[int, typer.Option(min=1, help="Live photos to search by.")] = 200
    seed: Annotated[int, typer.Option(min=0, help="Draws the queries.")] = 0
    json_report: JsonReport = False


@command_of(EvaluateOptions)
def evaluate(options: EvaluateOptions) -> None:
    """Measure the recall of searches now, with every change since the generation was built."""
    settings = Settings()
    with database_of(settings) as database, Bars() as bars:
        with database.read() as session:
            row = _generation(session, options.generation_id)
            encoder = get_encoder(session, row.encoder_id)
        folder = settings.generations_dir
        fetch_generation(store_of(settings), folder, row.id, row.manifest_sha256)
        opened = open_generation(
            folder / str(row.id), row.manifest_sha256, fingerprint=encoder.fingerprint
        )
        set_threads(1)  # as a search worker
        check = check_index(
            database,
            opened,
            encoder.id,
            queries=options.queries,
            seed=options.seed,
            on_progress=bars.show,
        )
    if options.json_report:
        asked = {"generation": row.id, "against": options.against.value, "seed": options.seed}
        typer.echo(json.dumps(asked | check.to_json() | {"built_with": row.recall_at_10}))
    else:
        lines = _lines(row, check, options.seed)
        Console().print(facts(f"Generation {row.id} against exact search", lines))


def _lines(row: Generation, check: IndexCheck, seed: int) -> dict[str, str]:
    recall = check.recall_at_10
    return {
        "Live photos": f"{check.rows:,}, {check.fresh:,} of them newer; {check.gone:,} are gone",
        "Recall@10": f"{recall.value:.4f} ({recall.low:.4f} … {recall.high:.4f})",
        "When it was built": f"{row.recall_at_10:.4f}",
        "A search": f"p50 {check.p50_ms:.2f} ms, p95 {check.p95_ms:.2f} ms",
        "Measured by": f"{check.queries:,} searches, seed {seed}",
    }


def _generation(session: Session, generation_id: int | None) -> Generation:
    if generation_id is None:
        row = generations.live(session, encoder_of_index(session, None).id)
        if row is None:
            raise Conflict("There is no live generation: `marketlens index build` makes one.")
        return row
    row = generations.get(session, generation_id)
    if row.status not in generations.USABLE:
        raise Conflict(f"A generation that is {row.status} can't be searched.")
    return row
