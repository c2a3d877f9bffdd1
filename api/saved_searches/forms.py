"""Reads the body of a search that is to be saved."""

from fastapi import Request

from api.saved_searches.schemas import SavedByPhotos, SavedSearchForm, SavedSearchIn
from api.searches.forms import read_stated


async def read_saved_search(
    request: Request, max_photo_bytes: int
) -> SavedByPhotos | SavedSearchIn:
    """A search by photos (multipart, or one as the body), or by what is stored.

    Raises UnsupportedBody, MalformedBody, InvalidInput and TooLarge.
    """
    stated = await read_stated(request, SavedSearchIn, SavedSearchForm, max_photo_bytes)
    if isinstance(stated, SavedSearchIn):
        return stated
    examples, options = stated
    return SavedByPhotos(*examples, options)
