"""Photos of listings, as standardised: re-encoded, upright, without metadata."""

from http import HTTPStatus

from fastapi import APIRouter, Depends, Request, Response

from api.conditional import is_held
from api.deps import PhotoId, ResourcesDep
from api.limits.dependency import limit_address
from api.openapi import NO_SUCH, TOO_MANY
from api.photos.service import require_public

router = APIRouter(
    prefix="/v1/photos",
    tags=["photos"],
    dependencies=[Depends(limit_address)],
    responses=TOO_MANY,
)


@router.get(
    "/{sha256}",
    response_class=Response,
    responses={
        HTTPStatus.OK: {"content": {"image/jpeg": {}}},
        HTTPStatus.NOT_MODIFIED: {"description": "`If-None-Match` names it."},
        **NO_SUCH,
    },
)
def read(sha256: PhotoId, request: Request, resources: ResourcesDep) -> Response:
    """A photo that an active listing shows; what a buyer searched with is nobody else's."""
    require_public(resources, sha256)
    tag = f'"{sha256}"'
    # Five minutes, though the bytes never change: photos of deleted listings must disappear.
    headers = {"Cache-Control": "public, max-age=300", "ETag": tag}
    if is_held(tag, request.headers.getlist("if-none-match")):
        return Response(status_code=HTTPStatus.NOT_MODIFIED, headers=headers)
    return Response(resources.store.get(sha256), media_type="image/jpeg", headers=headers)
