"""`marketlens seed`."""

import os
from contextlib import ExitStack, closing
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from time import monotonic
from typing import Any
from uuid import uuid4

from sqlalchemy import make_url

from db.migrate import upgrade
from db.session import Database
from db.store.photo_store import PhotoStore
from etl.commands.peak_memory import PeakMemory
from etl.commands.shared import local_feed, named, tell, used_alone
from etl.load.follow_up import Outcome, embed_and_index
from etl.load.geocode import Gazetteer, Geocoder
from etl.load.loader import Loaded, Loader, Rehearsal, Rules
from etl.load.pipeline import Stage, seed
from etl.load.sources import Workplace
from etl.report import Cost, IntakeReport, as_json
from models.encoders.library import EncoderLibrary
from progress import Bars
from settings import Settings
from workers.commands.job_executor import job_executor
from workers.encoders.bootstrap import settle_encoder
from workers.queue.embed_jobs import EmbedJobs


@dataclass(frozen=True, slots=True)
class SeedOptions:
    """The options of the command; see its help."""

    feed: str | None
    prune: bool
    force: bool
    inline: bool
    wait: bool
    reindex: bool
    dry_run: bool
    json_report: bool


@dataclass(frozen=True, slots=True)
class _Run:
    """One run, with what it has opened."""

    settings: Settings
    options: SeedOptions
    bars: Bars
    stack: ExitStack
    folder: Path
    rules: Rules

    @property
    def rejects(self) -> Path:
        """Where rejected rows are listed."""
        return self.settings.data_dir / "reports" / f"{self.rules.feed}-rejects.csv"


def run_seed(source: str, settings: Settings, bars: Bars, options: SeedOptions) -> bool:
    """Take a feed in and tell of it; returns whether something is left to look at."""
    started = monotonic()
    rules = Rules(named(options.feed, source), prune=options.prune, force=options.force)
    if not options.dry_run:
        # Before anything is fetched: raises WeightsError.
        _settle_encoder(settings, bars)
    with PeakMemory() as peak, ExitStack() as stack:
        folder = stack.enter_context(
            local_feed(source, settings.data_dir / "feeds", bars, dry_run=options.dry_run)
        )
        run = _Run(settings, options, bars, stack, folder, rules)
        report, loaded, outcome = _rehearse(run) if options.dry_run else _seed(run)
    cost = Cost(monotonic() - started, peak.mb)
    return tell(
        report,
        cost,
        title="Would be seeded" if options.dry_run else "Seeded",
        lines=_lines(loaded, outcome),
        rejects=None if options.dry_run else run.rejects,
        problems=loaded.problems + outcome.problems,
        json_report=_as_json(report, loaded, outcome, cost) if options.json_report else None,
    )


def _settle_encoder(settings: Settings, bars: Bars) -> None:
    library = EncoderLibrary(settings.encoder, settings.weights, settings.models_dir)
    on_progress = partial(bars.show, "weights", in_bytes=True)
    if _makes_database(settings):
        # Without an encoder, none is made.
        library.configured(on_progress)
    upgrade(settings.sqlalchemy_url)
    with closing(Database(settings.sqlalchemy_url)) as database:
        settle_encoder(database, library, settings.models_dir, _now(), on_progress)


def _seed(run: _Run) -> tuple[IntakeReport, Loaded, Outcome]:
    settings, options, stack = run.settings, run.options, run.stack
    place = Workplace(
        scratch=stack.enter_context(used_alone(settings.data_dir / "intake" / run.rules.feed)),
        ledger=settings.data_dir / "ledger.db",
        rejects=run.rejects,
        store=PhotoStore(settings.photo_store_url),
        max_photo_bytes=settings.max_upload_bytes,
        processes=_processes(),
    )
    database = stack.enter_context(closing(Database(settings.sqlalchemy_url)))
    executor = stack.enter_context(
        job_executor(database, settings, run.bars.say, inline=options.inline)
    )
    embed_jobs = EmbedJobs(database, executor, clock=_now, new_id=uuid4)
    loader = Loader(database, embed_jobs, run.rules, _now)
    report = _take_in(run, database, loader, place)
    if not options.wait:
        return report, loader.loaded, Outcome()
    outcome = embed_and_index(
        database,
        executor,
        list(embed_jobs.open),
        reindex=options.reindex,
        bars=run.bars,
        clock=_now,
        new_id=uuid4,
    )
    return report, loader.loaded, outcome


def _rehearse(run: _Run) -> tuple[IntakeReport, Loaded, Outcome]:
    scratch = Path(run.stack.enter_context(TemporaryDirectory(prefix="marketlens-")))
    place = Workplace(
        scratch=scratch,
        ledger=scratch / "photos.db",
        rejects=None,
        store=None,
        max_photo_bytes=run.settings.max_upload_bytes,
        processes=_processes(),
    )
    url = _database_url(run.settings, scratch)
    database = run.stack.enter_context(closing(Database(url)))
    rehearsal = Rehearsal(database, run.rules)
    return _take_in(run, database, rehearsal, place), rehearsal.loaded, Outcome()


def _database_url(settings: Settings, scratch: Path) -> str:
    """The database to compare with: an empty one where a seed would make one."""
    if not _makes_database(settings):
        return settings.sqlalchemy_url
    empty = f"sqlite:///{scratch / 'empty.db'}"
    upgrade(empty)
    return empty


def _makes_database(settings: Settings) -> bool:
    """Whether a seed would be the first to need the database, and make its file."""
    url = make_url(settings.sqlalchemy_url)
    return url.get_backend_name() == "sqlite" and not Path(url.database or "").exists()


def _take_in(
    run: _Run, database: Database, sink: Loader | Rehearsal, place: Workplace
) -> IntakeReport:
    gazetteer = Gazetteer(database, None if run.options.dry_run else _geocoder(run.settings), _now)
    report = seed(
        run.folder,
        sink,
        place,
        locate=partial(
            gazetteer.locate, on_progress=lambda done, total: run.bars.show("places", done, total)
        ),
        on_progress=lambda stage, done, total: run.bars.show(
            stage, done, total, in_bytes=stage is Stage.TABLES
        ),
    )
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


def _now() -> datetime:
    return datetime.now(UTC)


def _lines(loaded: Loaded, outcome: Outcome) -> dict[str, str]:
    listings = [f"{count:,} {what}" for what, count in asdict(loaded.listings).items()]
    return {
        "Listings": ", ".join([*listings, f"{loaded.pruned:,} pruned"]),
        "New": f"{loaded.photos:,} photos, {loaded.categories:,} categories",
        "Embedding": f"{loaded.queued:,} photos queued, {outcome.embedded:,} done",
    }


def _as_json(report: IntakeReport, loaded: Loaded, outcome: Outcome, cost: Cost) -> dict[str, Any]:
    listings = loaded.listings
    written = {
        "listings": listings.created + listings.updated + loaded.pruned,
        "photos": loaded.photos,
        "categories": loaded.categories,
    }
    return as_json(report, written, cost) | {
        "listings": asdict(listings) | {"pruned": loaded.pruned},
        "queued": loaded.queued,
        "embedded": outcome.embedded,
    }
