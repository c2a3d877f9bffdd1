"""`marketlens train`: a category head for an encoder, or a fine-tuned encoder with its head."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from enum import StrEnum
from functools import partial
from hashlib import sha256
from pathlib import Path
from time import monotonic
from typing import Annotated

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from command_line.options import JsonReport, command_of
from command_line.resources import library_of, threads_of
from models.encoders.networks.architectures import architecture_named
from models.encoders.runtimes import open_encoder
from models.evaluation.intervals import Estimate
from models.labels import LabelledPhotos, Level
from models.training.measure import SearchMetrics
from models.training.recipe import MetricLoss, Recipe
from models.training.runs import FineTuneDetails, RunMetrics, open_run
from models.training.workflows import fine_tune, train_probe
from progress import Bars
from settings import Settings
from workers.commands.default_encoder import active_or_configured, stored_vectors
from workers.commands.labelled_photos import labelled_photos
from workers.encoders.install import install_encoder

DEFAULTS = Recipe()
# Of a recipe, a head alone uses only the seed.
FINETUNE_ONLY = tuple(field.name for field in fields(Recipe) if field.name != "seed")


class Mode(StrEnum):
    """What is trained."""

    PROBE = "probe"
    FINETUNE = "finetune"


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainOptions:
    """The options of the command."""

    data: Annotated[
        Path | None,
        typer.Option(help="A folder that `marketlens clean` wrote; the database by default."),
    ] = None
    level: Annotated[
        Level, typer.Option(help="Tell apart the roots of the category tree, or what is below.")
    ] = Level.ROOT
    mode: Annotated[
        Mode,
        typer.Option(help="Train a head alone, or also the last stages of the network under it."),
    ] = Mode.PROBE
    encoder: Annotated[
        str | None,
        typer.Option(
            help="Whose vectors, or whose weights to begin with: a label, a fingerprint or a file; "
            "the active encoder by default."
        ),
    ] = None
    stages: Annotated[
        int | None,
        typer.Option(
            min=1,
            max=5,
            help="finetune: how many of the last stages learn, 5 for all.",
            show_default=str(DEFAULTS.stages),
        ),
    ] = None
    size: Annotated[
        int | None,
        typer.Option(
            min=32,
            max=512,
            help="finetune: the side, in pixels, of what the network sees.",
            show_default=str(DEFAULTS.size),
        ),
    ] = None
    epochs: Annotated[
        int | None,
        typer.Option(min=1, help="finetune: how often at most.", show_default=str(DEFAULTS.epochs)),
    ] = None
    batch: Annotated[
        int | None,
        typer.Option(min=2, help="finetune: photos a step.", show_default=str(DEFAULTS.batch)),
    ] = None
    lr: Annotated[
        float | None,
        typer.Option(
            min=0,
            help="finetune: the last stage's greatest learning rate.",
            show_default=str(DEFAULTS.lr),
        ),
    ] = None
    metric_loss: Annotated[
        MetricLoss | None,
        typer.Option(
            help="finetune: a loss that brings photos of one category together.",
            show_default=DEFAULTS.metric_loss.value,
        ),
    ] = None
    metric_weight: Annotated[
        float | None,
        typer.Option(
            min=0, help="finetune: what that loss counts.", show_default=str(DEFAULTS.metric_weight)
        ),
    ] = None
    patience: Annotated[
        int | None,
        typer.Option(
            min=1,
            help="finetune: end after so many epochs without a better one.",
            show_default=str(DEFAULTS.patience),
        ),
    ] = None
    seed: Annotated[int, typer.Option(min=0, help="The same number gives the same result.")] = 0
    out: Annotated[
        Path | None,
        typer.Option(help="The run's folder; one named by all the options by default."),
    ] = None
    json_report: JsonReport = False

    def recipe(self) -> Recipe:
        """How to train. Raises BadParameter where a head alone leaves no choice."""
        chosen = {name: getattr(self, name) for name in FINETUNE_ONLY}
        given = {name: value for name, value in chosen.items() if value is not None}
        if given and self.mode is Mode.PROBE:
            options = ", ".join(f"--{name.replace('_', '-')}" for name in given)
            raise typer.BadParameter(f"{options}: only for --mode finetune.")
        return Recipe(**given, seed=self.seed)


@command_of(TrainOptions)
def train(options: TrainOptions) -> None:
    """Train on listings' photos and categories. A killed run goes on when it is started again."""
    recipe, settings = options.recipe(), Settings()
    photos = labelled_photos(options.data, options.level, settings)
    started = monotonic()
    with Bars() as bars:
        folder, metrics = _train(photos, options, recipe, settings, bars)
    seconds = {**metrics.details.seconds, "total": monotonic() - started}
    Console(stderr=options.json_report).print(_table(folder, metrics, seconds))
    if options.json_report:
        typer.echo(json.dumps({"run": str(folder), **metrics.to_json(), "seconds": seconds}))
    else:
        _print_next_steps(options.mode, metrics.head.encoder)


def _train(
    photos: LabelledPhotos, options: TrainOptions, recipe: Recipe, settings: Settings, bars: Bars
) -> tuple[Path, RunMetrics]:
    """The run's folder and its metrics."""
    library, threads = library_of(settings), threads_of(settings)
    if options.encoder is None:
        spec = active_or_configured(settings, partial(bars.show, "weights", in_bytes=True))
    else:
        spec = install_encoder(library, options.encoder, settings.models_dir)
    hyperparameters = asdict(recipe) if options.mode is Mode.FINETUNE else {"seed": recipe.seed}
    asked = {
        "mode": options.mode,
        "level": options.level,
        "encoder": spec.fingerprint,
        **hyperparameters,
    }
    training = settings.data_dir / "training"
    digest = _digest({**asked, "photos": photos.digest})
    with (
        stored_vectors(settings) as stored,
        open_run(
            options.out or training / f"{options.mode}-{options.level}-{digest}",
            training / "cache",
            photos,
            asked,
            threads=threads,
            on_progress=bars.show,
            on_message=bars.say,
            stored=stored,
        ) as run,
    ):
        for path, listings in run.split.left_out.items():
            number = "1 listing is" if listings == 1 else f"{listings} listings are"
            bars.say(f"{path} is left out: {number} too few.")
        if options.mode is Mode.PROBE:
            metrics = train_probe(run, open_encoder(library, spec, threads), settings.models_dir)
        else:
            base = library.base_of(spec)
            weights, package = library.weights_of(base)
            architecture = package.architecture if package else architecture_named(base.name)
            metrics = fine_tune(run, architecture, weights, recipe, settings.models_dir)
    return run.folder, metrics


def _digest(values: Mapping[str, object]) -> str:
    return sha256(json.dumps(values, sort_keys=True).encode()).hexdigest()[:8]


def _table(folder: Path, metrics: RunMetrics, seconds: Mapping[str, float]) -> Table:
    head, details = metrics.head, metrics.details
    accuracy, calibration = head.accuracy, head.calibration
    photos, listings = metrics.photos, metrics.listings
    title = f"{head.encoder}, {len(head.categories)} categories"
    table = Table(title=title, title_justify="left", show_header=False)
    for part in photos:
        table.add_row(f"Photos, {part}", f"{photos[part]:,} of {listings[part]:,} listings")
    table.add_row("Accuracy, test", _with_interval(accuracy.test))
    table.add_row("", f"{accuracy.train:.3f} train, {accuracy.validation:.3f} validation")
    table.add_row("", f"{head.majority_accuracy:.3f} by always saying the most usual")
    table.add_row(
        "Calibration error",
        f"{calibration.error_after:.3f}, {calibration.error_before:.3f} before "
        f"temperature {calibration.temperature:.2f}",
    )
    _add_search(table, "Searches, test", head.search)
    if isinstance(details, FineTuneDetails):
        table.add_section()
        probe, gain = details.probe, details.gain
        table.add_row("Probe, same photos", _with_interval(probe.accuracy.test))
        table.add_row("  better by", _with_interval(gain.accuracy, "+"))
        _add_search(table, "Network as it was", probe.search)
        _add_search(table, "  better by", gain.search, "+")
    table.add_section()
    parts = ", ".join(f"{name} {value:.0f}" for name, value in seconds.items() if name != "total")
    table.add_row("Time", f"{seconds['total']:.0f} s ({parts})")
    table.add_row("In", escape(str(folder)))
    return table


def _add_search(table: Table, title: str, search: SearchMetrics | None, sign: str = "") -> None:
    if search is not None:
        table.add_row(title, f"mAP {_with_interval(search['map'], sign)}")
        table.add_row("", f"precision@1 {_with_interval(search['precision_at_1'], sign)}")


def _with_interval(estimate: Estimate, sign: str = "") -> str:
    ends = (estimate.value, estimate.low, estimate.high)
    value, low, high = (format(figure, f"{sign}.3f") for figure in ends)
    return f"{value} ({low} to {high})"


def _print_next_steps(mode: Mode, label: str) -> None:
    if mode is Mode.FINETUNE:
        typer.echo(
            f"The encoder {label} and its categories are kept. `marketlens encoder export {label}` "
            f"makes it faster, `marketlens encoder migrate {label}` changes searches to it."
        )
    else:
        typer.echo(f"This head predicts categories wherever {label} is the active encoder.")
