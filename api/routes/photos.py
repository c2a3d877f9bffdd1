"""Photos of listings, as standardised: re-encoded, upright, without metadata."""

from http import HTTPStatus

from fastapi import APIRouter, Response

from api.deps import DeskDep, PhotoId
from api.errors import responses
from db.catalogue.listing_photos import is_public
from models.domain.errors import NotFound

router = APIRouter(prefix="/v1/photos", tags=["photos"])


@router.get(
    "/{sha256}",
    response_class=Response,
    responses={
        HTTPStatus.OK: {"content": {"image/jpeg": {}}},
        **responses(HTTPStatus.NOT_FOUND),
    },
)
def read(sha256: PhotoId, desk: DeskDep) -> Response:
    """A photo that an active listing shows; what a buyer searched with is nobody else's."""
    with desk.database.read() as session:
        if not is_public(session, sha256):
            raise NotFound("There is no such photo.")
    # Not for ever, though the bytes never change: a deleted listing's photos are to vanish.
    headers = {"Cache-Control": "public, max-age=300"}
    return Response(desk.store.get(sha256), media_type="image/jpeg", headers=headers)
