"""Maps every error to a response `application/problem+json` (RFC 9457)."""

import logging
from http import HTTPStatus

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from fastapi.routing import APIRoute
from starlette.exceptions import HTTPException

from models.domain import errors
from observability import context
from observability.metrics import PROBLEMS

log = logging.getLogger(__name__)

MEDIA_TYPE = "application/problem+json"
RETRY_AFTER_S = 5
IN_FLIGHT_RETRY_AFTER_S = 1

STATUS_OF: dict[type[errors.MarketlensError], HTTPStatus] = {
    errors.MarketlensError: HTTPStatus.INTERNAL_SERVER_ERROR,
    errors.InvalidInput: HTTPStatus.UNPROCESSABLE_ENTITY,
    errors.InvalidPhoto: HTTPStatus.UNPROCESSABLE_ENTITY,
    errors.UnsupportedPhoto: HTTPStatus.UNSUPPORTED_MEDIA_TYPE,
    errors.UnsupportedBody: HTTPStatus.UNSUPPORTED_MEDIA_TYPE,
    errors.MalformedBody: HTTPStatus.BAD_REQUEST,
    errors.MalformedIdempotencyKey: HTTPStatus.BAD_REQUEST,
    errors.IdempotencyKeyReused: HTTPStatus.UNPROCESSABLE_ENTITY,
    errors.InvalidFeed: HTTPStatus.UNPROCESSABLE_ENTITY,
    errors.TooLarge: HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
    errors.Unauthenticated: HTTPStatus.UNAUTHORIZED,
    errors.KeyExpired: HTTPStatus.UNAUTHORIZED,
    errors.Forbidden: HTTPStatus.FORBIDDEN,
    errors.NotFound: HTTPStatus.NOT_FOUND,
    errors.Conflict: HTTPStatus.CONFLICT,
    errors.ReindexRunning: HTTPStatus.CONFLICT,
    errors.ChangedMeanwhile: HTTPStatus.PRECONDITION_FAILED,
    errors.IdempotencyInFlight: HTTPStatus.CONFLICT,
    errors.CursorExpired: HTTPStatus.GONE,
    errors.Overloaded: HTTPStatus.TOO_MANY_REQUESTS,
    errors.RateLimited: HTTPStatus.TOO_MANY_REQUESTS,
    errors.Unavailable: HTTPStatus.SERVICE_UNAVAILABLE,
    errors.NotReady: HTTPStatus.SERVICE_UNAVAILABLE,
    errors.Misconfigured: HTTPStatus.SERVICE_UNAVAILABLE,
    errors.NothingIndexed: HTTPStatus.SERVICE_UNAVAILABLE,
    errors.WeightsError: HTTPStatus.INTERNAL_SERVER_ERROR,
    errors.WeightsMissing: HTTPStatus.INTERNAL_SERVER_ERROR,
    errors.WeightsRefused: HTTPStatus.INTERNAL_SERVER_ERROR,
    errors.FidelityTooLow: HTTPStatus.INTERNAL_SERVER_ERROR,
    errors.ExportTooSlow: HTTPStatus.INTERNAL_SERVER_ERROR,
    errors.GenerationError: HTTPStatus.INTERNAL_SERVER_ERROR,
    errors.GenerationCorrupt: HTTPStatus.INTERNAL_SERVER_ERROR,
    errors.RecallTooLow: HTTPStatus.INTERNAL_SERVER_ERROR,
    errors.UnreadableRecord: HTTPStatus.INTERNAL_SERVER_ERROR,
    errors.SetupError: HTTPStatus.INTERNAL_SERVER_ERROR,
}

HEADERS_OF = {
    HTTPStatus.UNAUTHORIZED: {"WWW-Authenticate": "Bearer"},
    HTTPStatus.SERVICE_UNAVAILABLE: {"Retry-After": str(RETRY_AFTER_S)},
}

Responses = dict[int | str, dict[str, object]]
"""OpenAPI response objects of an operation, by status."""


def problem(
    status: int, code: str, detail: str, headers: dict[str, str] | None = None, **members: object
) -> JSONResponse:
    """A problem document; `code` is stable, `detail` is a sentence for people."""
    phrase = HTTPStatus(status)
    PROBLEMS.count(code)
    body = {
        "type": f"urn:marketlens:problem:{code}",
        "title": phrase.phrase,
        "status": int(status),
        "code": code,
        "detail": detail,
        **members,
    }
    sent = {**HEADERS_OF.get(phrase, {}), **(headers or {})}
    return JSONResponse(body, status_code=status, headers=sent, media_type=MEDIA_TYPE)


def problem_of(error: errors.MarketlensError) -> JSONResponse:
    """The problem document of one of the product's errors."""
    headers = None
    if isinstance(error, errors.Overloaded):
        headers = {"Retry-After": str(error.retry_after_s)}
    elif isinstance(error, errors.IdempotencyInFlight):
        headers = {"Retry-After": str(IN_FLIGHT_RETRY_AFTER_S)}
    return problem(STATUS_OF[type(error)], error.code, str(error), headers)


def handle_errors(app: FastAPI) -> None:
    """Answer every error of this application with a problem document."""

    # Coroutines, as they wait for nothing: a function would be run in a thread, and what is refused
    # while many wait for those would wait as well.
    @app.exception_handler(errors.MarketlensError)
    async def _ours(request: Request, error: errors.MarketlensError) -> JSONResponse:
        del request
        return problem_of(error)

    @app.exception_handler(RequestValidationError)
    async def _invalid(request: Request, error: RequestValidationError) -> JSONResponse:
        del request
        fields = [
            {"field": ".".join(str(part) for part in item["loc"]), "detail": item["msg"]}
            for item in error.errors()
        ]
        named = "; ".join(f"{item['field']}: {item['detail']}" for item in fields[:3])
        return problem(
            HTTPStatus.UNPROCESSABLE_ENTITY, errors.InvalidInput.code, named, errors=fields
        )

    @app.exception_handler(HTTPException)
    async def _http(request: Request, error: HTTPException) -> JSONResponse:
        del request
        code = HTTPStatus(error.status_code).name.lower()
        headers = dict(error.headers) if error.headers else None
        return problem(error.status_code, code, str(error.detail), headers)

    @app.exception_handler(Exception)
    async def _unexpected(request: Request, error: Exception) -> JSONResponse:
        # Not the path itself, which may have a user's id in it.
        route = request.scope.get("route")
        path = route.path if isinstance(route, APIRoute) else "a file"
        log.error("%s %s broke", request.method, path, exc_info=error)
        # This answer leaves outside of the middleware that adds it.
        request_id = context.request_id()
        return problem(
            HTTPStatus.INTERNAL_SERVER_ERROR,
            "internal",
            "Something broke; it has been logged.",
            None if request_id is None else {context.REQUEST_ID_HEADER: request_id},
        )


def responses(*statuses: HTTPStatus) -> Responses:
    """The error responses of a route, for its OpenAPI description."""
    return {
        status.value: {
            "description": status.phrase,
            "content": {MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/Problem"}}},
        }
        for status in statuses
    }
