"""`marketlens calibrate`: from which similarity on a result is what was searched for."""

import json
from dataclasses import dataclass
from time import monotonic
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from command_line.options import JsonReport, command_of
from command_line.resources import (
    check_database_exists,
    database_of,
    library_of,
    store_of,
    threads_of,
)
from db.vectors.encoders import encoder_named
from models.domain.types import EncoderSpec, MatchLabel
from models.encoders.encoder import Encoder
from models.encoders.runtimes import open_encoder
from models.matching.labels import Measured
from progress import Bars
from settings import Settings
from workers.encoders.calibrating import Calibrated, calibrate_encoder


@dataclass(frozen=True, slots=True, kw_only=True)
class CalibrateOptions:
    """The options of the command."""

    reference: Annotated[
        str | None,
        typer.Argument(
            metavar="ENCODER",
            help="The label or fingerprint of an encoder, or how it begins. The active one by "
            "default.",
        ),
    ] = None
    json_report: JsonReport = False


@command_of(CalibrateOptions)
def calibrate(options: CalibrateOptions) -> None:
    """Measure how sure results are, and label them: same item, very similar, related, none.

    The catalogue is searched by altered views of its own photos, with and without the listing, and
    by pictures of nothing that is sold. What is measured is right on listings that it was not
    fitted to. It happens by itself, too: for each encoder that becomes the active one.
    """
    started = monotonic()
    settings = Settings()
    check_database_exists(settings)
    library, threads = library_of(settings), threads_of(settings)

    def opened(spec: EncoderSpec) -> Encoder:
        encoder = open_encoder(library, spec, threads)
        encoder.load()
        return encoder

    with Bars() as bars, database_of(settings) as database:
        encoder_id = None
        if options.reference is not None:
            with database.read() as session:
                encoder_id = encoder_named(session, options.reference).id
        calibrated = calibrate_encoder(
            database,
            store_of(settings),
            library,
            opened,
            encoder_id=encoder_id,
            on_progress=bars.show,
        )
    seconds = monotonic() - started
    if options.json_report:
        report = {
            "encoder": calibrated.encoder,
            **calibrated.calibration.to_json(),
            "seconds": round(seconds, 2),
        }
        typer.echo(json.dumps(report))
    else:
        Console().print(_table(calibrated, seconds))


def _table(calibrated: Calibrated, seconds: float) -> Table:
    calibration = calibrated.calibration
    precision = calibration.precision
    table = Table(
        title=f"{calibrated.encoder}: {calibration.photos:,} photos, {calibration.listings:,} "
        f"listings asked about, {seconds:.0f} s",
        title_justify="left",
    )
    for column in ("Label", "From", "Right", "95% interval", "Of"):
        table.add_column(column)
    same, agreement = calibration.same_item, calibration.very_similar
    rows = (
        (
            MatchLabel.SAME_ITEM.value,
            same and f"{same.similarity:.3f}, distance ≤ {same.ratio:.0%} of the 6th's",
            precision.same_item,
        ),
        ("  among few", _cosine(calibration.same_item_alone), precision.same_item_alone),
        (
            MatchLabel.VERY_SIMILAR.value,
            " or ".join(
                part
                for part in (
                    _cosine(calibration.very_similar_alone),
                    agreement and f"{agreement:.0%} of the nearest 20 are of its category",
                )
                if part
            ),
            precision.very_similar,
        ),
        ("  among few", _cosine(calibration.very_similar_alone), precision.very_similar_alone),
    )
    for name, threshold, measured in rows:
        table.add_row(name, threshold or "withheld", *_measured(measured, "results"))
    table.add_row(MatchLabel.RELATED.value, _cosine(calibration.related))
    table.add_section()
    table.add_row("own items found", "", *_measured(precision.found, "views"))
    strangers = f"look < {calibration.stranger:.3f}"
    table.add_row(MatchLabel.NONE.value, strangers, *_measured(precision.strangers, "strangers"))
    table.add_row("  own kinds lost", "", *_measured(precision.lost, "views"))
    return table


def _cosine(similarity: float | None) -> str | None:
    return None if similarity is None else f"{similarity:.3f}"


def _measured(measured: Measured | None, of_what: str) -> tuple[str, str, str]:
    if measured is None:
        return "-", "", ""
    interval = f"{measured.low:.3f} … {measured.high:.3f}"
    return f"{measured.value:.3f}", interval, f"{measured.count:,} {of_what}"
