"""Photos of listings, as standardised: re-encoded, upright, without metadata."""

from http import HTTPStatus

from fastapi import APIRouter, Response

from api.deps import PhotoId, ResourcesDep
from api.openapi import NO_SUCH
from api.photos.service import read_public_photo

router = APIRouter(prefix="/v1/photos", tags=["photos"])


@router.get(
    "/{sha256}",
    response_class=Response,
    responses={HTTPStatus.OK: {"content": {"image/jpeg": {}}}, **NO_SUCH},
)
def read(sha256: PhotoId, resources: ResourcesDep) -> Response:
    """A photo that an active listing shows; what a buyer searched with is nobody else's."""
    data = read_public_photo(resources, sha256)
    # Five minutes, though the bytes never change: photos of deleted listings must disappear.
    headers = {"Cache-Control": "public, max-age=300"}
    return Response(data, media_type="image/jpeg", headers=headers)
