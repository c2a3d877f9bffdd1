"""`marketlens seed`."""

import os
from contextlib import ExitStack, closing
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from time import monotonic
from typing import Annotated
from uuid import uuid4

import typer
from sqlalchemy import URL

from command_line.options import DryRun, Inline, JsonReport, command_of, force_option
from command_line.private_data import keep_private
from command_line.resources import database_exists, database_of, library_of, store_of
from db.schema_migration import upgrade
from db.session import Database
from etl.clean.currencies import checked_home_currency
from etl.commands.intake import (
    AttributeNames,
    Refetch,
    Source,
    attribute_names,
    exclusive_folder,
    last_source,
    local_feed,
    named,
    note_source,
    photo_urls,
    print_report,
)
from etl.commands.peak_memory import PeakMemory
from etl.fetch.source_url import former_feed_name
from etl.load.follow_up import Outcome, embed_and_index
from etl.load.geocode import Gazetteer, Geocoder, offline_gazetteer
from etl.load.loader import DryRunLoader, Loaded, Loader, LoadOptions
from etl.load.pipeline import Stage, run_intake
from etl.load.sources import IntakeContext
from etl.report import Cost, IntakeReport, as_json
from models.domain.clock import utc_now
from models.domain.errors import ExitCode
from progress import Bars
from settings import Settings
from workers.commands.job_executor import job_executor
from workers.encoders.active_encoder import ensure_active_encoder
from workers.queue.embed_jobs import EmbedJobs


@dataclass(frozen=True, slots=True, kw_only=True)
class SeedOptions:
    """The options of the command."""

    source: Source
    feed: Annotated[
        str | None,
        typer.Option(help="The feed's name, for --prune and for ids; that of its folder if none."),
    ] = None
    prune: Annotated[
        bool, typer.Option("--prune", help="Take out the feed's listings that it lists no more.")
    ] = False
    force: Annotated[
        bool, force_option("Let go of most of the feed's listings or photos, if need be.")
    ] = False
    attributes: AttributeNames = None
    refetch: Refetch = False
    inline: Inline = False
    wait: Annotated[bool, typer.Option(help="Wait until the photos are embedded.")] = True
    reindex: Annotated[bool, typer.Option(help="Then build an index of them.")] = True
    dry_run: DryRun = False
    json_report: JsonReport = False


@dataclass(frozen=True, slots=True)
class _Run:
    """The state of one run of the command."""

    settings: Settings
    options: SeedOptions
    bars: Bars
    stack: ExitStack
    folder: Path
    load_options: LoadOptions

    @property
    def rejects(self) -> Path:
        """Where rejected rows are listed."""
        return self.settings.data_dir / "reports" / f"{self.load_options.feed}-rejects.csv"


@command_of(SeedOptions)
def seed(options: SeedOptions) -> ExitCode:
    """Take in a marketplace's feed: clean it, store it, and queue its photos for embedding."""
    if options.inline and not options.wait:
        raise typer.BadParameter("--inline does the work here: it can't go with --no-wait.")
    started = monotonic()
    settings, dry_run = Settings(), options.dry_run
    load_options = _load_options(settings, options)
    checked_home_currency(settings.currency)
    with Bars() as bars, PeakMemory() as peak, ExitStack() as stack:
        if not dry_run:
            store_of(settings)
            # Before anything is fetched: raises WeightsError.
            _ensure_active_encoder(settings, bars)
        folder = stack.enter_context(
            local_feed(options.source, settings.data_dir / "feeds", bars, dry_run=dry_run)
        )
        run = _Run(settings, options, bars, stack, folder, load_options)
        report, loaded, outcome = _dry_run(run) if dry_run else _seed(run)
    cost = Cost(monotonic() - started, peak.mb)
    return print_report(
        report,
        cost,
        title="Would be seeded" if dry_run else "Seeded",
        lines=_lines(loaded, outcome),
        rejects=None if dry_run else run.rejects,
        problems=loaded.problems + outcome.problems,
        json_report=_as_json(report, load_options, loaded, outcome, cost)
        if options.json_report
        else None,
    )


def _load_options(settings: Settings, options: SeedOptions) -> LoadOptions:
    feed = named(options.feed, options.source)
    return LoadOptions(
        feed,
        prune=options.prune,
        force=options.force,
        former_feed="" if options.feed else former_feed_name(options.source),
        last_source=last_source(_feed_folder(settings, feed)),
    )


def _feed_folder(settings: Settings, feed: str) -> Path:
    return settings.data_dir / "intake" / feed


def _ensure_active_encoder(settings: Settings, bars: Bars) -> None:
    library = library_of(settings)
    on_progress = partial(bars.show, "weights", in_bytes=True)
    if not database_exists(settings):
        # A missing encoder fails here, before a database is created.
        library.configured(on_progress)
    upgrade(settings.sqlalchemy_url)
    keep_private(settings.data_dir)
    with database_of(settings) as database:
        ensure_active_encoder(database, library, settings.models_dir, utc_now(), on_progress)


def _seed(run: _Run) -> tuple[IntakeReport, Loaded, Outcome]:
    settings, options, stack = run.settings, run.options, run.stack
    folder = stack.enter_context(exclusive_folder(_feed_folder(settings, run.load_options.feed)))
    context = IntakeContext(
        scratch=folder,
        ledger=settings.data_dir / "ledger.db",
        rejects=run.rejects,
        store=store_of(settings),
        max_photo_bytes=settings.max_upload_bytes,
        processes=_processes(),
        feed=run.load_options.feed,
        currency=settings.currency,
        attributes=attribute_names(options.attributes),
        urls=stack.enter_context(photo_urls(settings)),
        refetch=options.refetch,
    )
    database = stack.enter_context(database_of(settings))
    executor = stack.enter_context(
        job_executor(database, settings, run.bars.say, inline=options.inline)
    )
    embed_jobs = EmbedJobs(database, executor, clock=database.now, new_id=uuid4)
    loader = Loader(database, embed_jobs, run.load_options, utc_now, run.bars.say)
    report = _run_intake(run, database, loader, context)
    note_source(folder, options.source)
    if not options.wait:
        return report, loader.loaded, Outcome()
    outcome = embed_and_index(
        database,
        executor,
        list(embed_jobs.open),
        reindex=options.reindex,
        bars=run.bars,
        clock=database.now,
        new_id=uuid4,
    )
    return report, loader.loaded, outcome


def _dry_run(run: _Run) -> tuple[IntakeReport, Loaded, Outcome]:
    scratch = Path(run.stack.enter_context(TemporaryDirectory(prefix="marketlens-")))
    context = IntakeContext(
        scratch=scratch,
        ledger=scratch / "photos.db",
        rejects=None,
        store=None,
        max_photo_bytes=run.settings.max_upload_bytes,
        processes=_processes(),
        feed=run.load_options.feed,
        currency=run.settings.currency,
        attributes=attribute_names(run.options.attributes),
    )
    url = _database_url(run.settings, scratch)
    database = run.stack.enter_context(closing(Database(url)))
    loader = DryRunLoader(database, run.load_options, run.bars.say)
    return _run_intake(run, database, loader, context), loader.loaded, Outcome()


def _database_url(settings: Settings, scratch: Path) -> str:
    """The database to compare with; a temporary empty one if there is none yet."""
    if database_exists(settings):
        return settings.sqlalchemy_url
    empty = URL.create("sqlite", database=str(scratch / "empty.db")).render_as_string()
    upgrade(empty)
    return empty


def _run_intake(
    run: _Run, database: Database, sink: Loader | DryRunLoader, context: IntakeContext
) -> IntakeReport:
    settings = run.settings
    gazetteer = Gazetteer(
        database,
        None if run.options.dry_run else _geocoder(settings),
        utc_now,
        partial(offline_gazetteer, currency=settings.currency)
        if settings.gazetteer == "towns"
        else None,
    )
    report = run_intake(
        run.folder,
        sink,
        context,
        locate=partial(
            gazetteer.locate, on_progress=lambda done, total: run.bars.show("places", done, total)
        ),
        on_progress=lambda stage, done, total: run.bars.show(
            stage, done, total, in_bytes=stage is Stage.TABLES
        ),
    )
    report.notes.extend(sink.loaded.notes)
    if gazetteer.failed:
        sink.loaded.problems.append(
            f"The geocoder gave no answer for {gazetteer.failed:,} places; seed again to ask it "
            "once more."
        )
    return report


def _geocoder(settings: Settings) -> Geocoder | None:
    if settings.geocoder is None:
        return None
    key = settings.geocoder_key
    return Geocoder(
        settings.geocoder,
        user_agent=settings.geocoder_user_agent,
        url=settings.geocoder_url,
        api_key=key.get_secret_value() if key else None,
    )


def _processes() -> int:
    return len(os.sched_getaffinity(0))


def _lines(loaded: Loaded, outcome: Outcome) -> dict[str, str]:
    listings = [f"{count:,} {what}" for what, count in asdict(loaded.listings).items()]
    return {
        "Listings": ", ".join([*listings, f"{loaded.pruned:,} pruned"]),
        "New": f"{loaded.photos:,} photos, {loaded.categories:,} categories",
        "Embedding": f"{loaded.queued:,} photos queued, {outcome.embedded:,} done",
    }


def _as_json(
    report: IntakeReport, load_options: LoadOptions, loaded: Loaded, outcome: Outcome, cost: Cost
) -> dict[str, object]:
    listings = loaded.listings
    written = {
        "listings": listings.created + listings.updated + loaded.pruned,
        "photos": loaded.photos,
        "categories": loaded.categories,
    }
    pruned = {"feed": load_options.feed, "listings": loaded.pruned}
    return as_json(report, written, cost) | {
        "listings": asdict(listings) | {"pruned": loaded.pruned},
        "queued": loaded.queued,
        "embedded": outcome.embedded,
        **({"prune": pruned} if load_options.prune else {}),
    }
