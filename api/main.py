"""Creates the application. Importing this opens nothing and imports nothing heavy."""

import os
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path
from threading import Semaphore
from typing import Final

from anyio import CapacityLimiter
from fastapi import FastAPI, Request, Response
from fastapi.concurrency import run_in_threadpool
from fastapi.staticfiles import StaticFiles
from fastapi_offline import FastAPIOffline
from starlette.types import ASGIApp

from api.access.key_uses import KeyUses
from api.admin import routes as admin
from api.caller import is_loopback
from api.deps import Resources
from api.draining import STATE, Draining, LastOfConnection
from api.embeddings import routes as embeddings
from api.events import routes as events
from api.health import routes as health
from api.idempotency.replay import handle_replays
from api.jobs import routes as jobs
from api.jobs.backlog import Backlog
from api.jobs.ended_jobs import EndedJobs
from api.limits.bulk_slots import BulkSlots
from api.limits.headers import RateLimitHeaders
from api.limits.limiter import RateLimiter
from api.limits.rates import Kind, Rates
from api.limits.sharing import SharedCounts
from api.limits.shedding import ShedQueries
from api.listings import routes as listings
from api.metrics import routes as metrics
from api.metrics.service import MetricsOfMachine
from api.middleware.body_limit import LimitBody
from api.middleware.content_encoding import IdentityOnly
from api.middleware.methods import Methods
from api.middleware.observed import NoteRoute, Observed, with_id
from api.middleware.same_origin import SameOriginOnly
from api.middleware.security_headers import SecurityHeaders
from api.openapi import describe_problems
from api.photos import routes as photos
from api.predictions import routes as predictions
from api.problems import handle_errors
from api.recommendations import routes as recommendations
from api.saved_searches import routes as saved_searches
from api.searches import routes as searches
from api.users import routes as users
from db.group_commit import GroupCommit
from db.postgres_connections import ANSWERING
from db.session import Database
from db.store.photo_store import PhotoStore
from db.store.webhooks import hosts_of
from models.domain.processes import be_nice
from settings import Settings
from workers.queue.background_publisher import BackgroundPublisher
from workers.queue.broker import Broker
from workers.queue.publisher import JobPublisher

WEB = Path(__file__).parent / "web"

UPLOADS: Final = 16
LARGE_BATCHES: Final = 2
SMALL_BATCHES: Final = 8
"""Of events: small ones take no longer than the commit that they share."""
BULK_THREADS: Final = 2
BULK_NICENESS: Final = 10


def create_app(settings: Settings | None = None) -> FastAPI:
    """The application, with the settings of this process unless others are given."""
    settings = settings or Settings()
    resources = _resources_of(settings)

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[dict[str, Draining]]:
        del app
        await run_in_threadpool(resources.store.remember)
        async with (
            resources.ended_jobs.listening(),
            resources.backlog.watching(),
            resources.key_uses.writing(),
            resources.shared_counts.sharing(),
        ):
            # The server tells it when it is to stop.
            yield {STATE: resources.draining}
        resources.bulk.shutdown(cancel_futures=True)
        resources.publisher.close()
        resources.database.close()

    # FastAPI's own documentation page loads its script from a public CDN.
    app = FastAPIOffline(
        redoc_url=None,
        favicon_url="/static/favicon.svg",
        title="Marketlens",
        summary="Finds the listings whose photos look like a photo.",
        version="1",
        lifespan=lifespan,
    )
    app.state.resources = resources
    app.state.metrics = MetricsOfMachine(resources, settings.data_dir)
    app.add_middleware(NoteRoute)
    app.add_middleware(
        LimitBody, photo_bytes=settings.max_upload_bytes, bulk_bytes=settings.max_batch_bytes
    )
    app.add_middleware(IdentityOnly)
    app.add_middleware(Methods)
    if resources.allow_anonymous:
        app.add_middleware(SameOriginOnly)
    app.add_middleware(RateLimitHeaders)
    app.add_middleware(ShedQueries, backlog=resources.backlog)
    app.add_middleware(Observed)
    app.add_middleware(with_id)
    app.add_middleware(LastOfConnection, draining=resources.draining)
    handle_errors(app)
    handle_replays(app)
    for routes in (
        *(health, metrics, searches, saved_searches, recommendations, embeddings, predictions),
        *(listings, photos, events, users, jobs, admin),
    ):
        app.include_router(routes.router)
    _serve_page(app)
    describe_problems(app)
    _protect(app, settings.hsts_seconds)
    return app


def _resources_of(settings: Settings) -> Resources:
    database = Database(settings.sqlalchemy_url, ANSWERING)
    broker = Broker(settings.broker_url, database)
    publisher = BackgroundPublisher(JobPublisher(broker))
    ended_jobs = EndedJobs(broker, database)
    limiter = RateLimiter(_rates_of(settings))
    return Resources(
        database=database,
        accepted=GroupCommit(database, publisher.publish),
        events=GroupCommit(database, len),
        many_events=CapacityLimiter(LARGE_BATCHES),
        few_events=CapacityLimiter(SMALL_BATCHES),
        events_kept=timedelta(days=settings.events_kept_days),
        store=PhotoStore(settings.photo_store_url),
        publisher=publisher,
        ended_jobs=ended_jobs,
        draining=Draining([ended_jobs.let_go]),
        backlog=Backlog(database, database.now, settings.max_wait_seconds),
        key_uses=KeyUses(database, database.now),
        rate_limiter=limiter,
        shared_counts=SharedCounts(broker, limiter),
        bulk_slots=BulkSlots(settings.bulk_at_once),
        max_upload_bytes=settings.max_upload_bytes,
        uploads=CapacityLimiter(UPLOADS),
        bulk=ThreadPoolExecutor(BULK_THREADS, "bulk", be_nice, (BULK_NICENESS,)),
        decoding=Semaphore(len(os.sched_getaffinity(0))),
        fetches_photos=settings.photo_urls == "all",
        webhook_hosts=hosts_of(settings.webhook_hosts),
        allow_anonymous=is_loopback(settings.host) and not settings.proxies,
        ranking=settings.rank_defaults,
        exclude_seen=settings.exclude_seen,
    )


def _protect(app: FastAPI, hsts_seconds: int) -> None:
    """Add security headers to all that the application answers, also where it breaks."""
    build = app.build_middleware_stack

    def built() -> ASGIApp:
        return SecurityHeaders(build(), hsts_seconds)

    # Starlette answers what broke outside of all middleware that `add_middleware` adds.
    app.build_middleware_stack = built  # type: ignore[method-assign]


def _rates_of(settings: Settings) -> Rates:
    of_key = {
        Kind.READS: settings.rate_reads,
        Kind.SEARCHES: settings.rate_searches,
        Kind.WRITES: settings.rate_writes,
        Kind.BULK: settings.rate_bulk,
    }
    return Rates.stated(of_key, settings.rate_address)


def _serve_page(app: FastAPI) -> None:
    files = StaticFiles(directory=WEB)
    app.mount("/static", files, name="static")

    @app.get("/", include_in_schema=False)
    async def page(request: Request) -> Response:
        return await files.get_response("index.html", request.scope)
