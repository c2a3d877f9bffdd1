"""Makes the application. Importing this starts nothing and imports nothing heavy."""

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from http import HTTPStatus
from pathlib import Path

from anyio import CapacityLimiter
from fastapi import FastAPI
from fastapi.responses import FileResponse
from fastapi.staticfiles import StaticFiles
from fastapi_offline import FastAPIOffline

from api.deps import Desk, is_loopback
from api.errors import handle_errors, responses
from api.limits import LimitBody, SafeHeaders
from api.origin import OwnPagesOnly
from api.routes import (
    admin,
    embeddings,
    health,
    jobs,
    listings,
    photos,
    predictions,
    searches,
)
from api.schemas import Problem
from db.session import Database
from db.store.photo_store import PhotoStore
from settings import Settings
from workers.queue.publisher import JobPublisher

WEB = Path(__file__).parent / "web"


def create_app(settings: Settings | None = None) -> FastAPI:
    """The application, with the settings of this process unless others are given."""
    settings = settings or Settings()
    desk = Desk(
        database=Database(settings.sqlalchemy_url),
        store=PhotoStore(settings.photo_store_url),
        publisher=JobPublisher(settings.broker_url),
        max_upload_bytes=settings.max_upload_bytes,
        decoding=CapacityLimiter(len(os.sched_getaffinity(0))),
        open_to_all=is_loopback(settings.host),
    )

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        del app
        yield
        desk.publisher.close()
        desk.database.close()

    # FastAPI's own documentation page would load its script from a public CDN.
    app = FastAPIOffline(
        redoc_url=None,
        favicon_url="/static/favicon.svg",
        title="Marketlens",
        summary="Finds the listings whose photos look like a photo.",
        version="1",
        lifespan=lifespan,
    )
    app.state.desk = desk
    app.add_middleware(
        LimitBody, photo_bytes=settings.max_upload_bytes, bulk_bytes=settings.max_batch_bytes
    )
    if desk.open_to_all:
        app.add_middleware(OwnPagesOnly)
    app.add_middleware(SafeHeaders)
    handle_errors(app)
    for route in (health, searches, embeddings, predictions, listings, photos, jobs, admin):
        app.include_router(route.router)
    _serve_page(app)
    _describe_problems(app)
    return app


def _serve_page(app: FastAPI) -> None:
    app.mount("/static", StaticFiles(directory=WEB), name="static")

    @app.get("/", include_in_schema=False)
    def page() -> FileResponse:
        return FileResponse(WEB / "index.html")


def _describe_problems(app: FastAPI) -> None:
    """Put the problem document into OpenAPI once, where every error response refers to it."""
    describe = app.openapi
    (invalid,) = responses(HTTPStatus.UNPROCESSABLE_ENTITY).values()

    def described() -> dict[str, object]:
        schema = describe()
        schemas = schema["components"]["schemas"]
        schemas["Problem"] = Problem.model_json_schema()
        # FastAPI's own description of a failed validation, which `handle_errors` answers here.
        if schemas.pop("HTTPValidationError", None):
            del schemas["ValidationError"]
            for call in (call for path in schema["paths"].values() for call in path.values()):
                if "422" in call["responses"]:
                    call["responses"]["422"] = invalid
        return schema

    app.openapi = described  # type: ignore[method-assign] # FastAPI's documented way to extend it
