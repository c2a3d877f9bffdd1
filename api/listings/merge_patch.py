"""JSON Merge Patch (RFC 7396) of listings."""

from collections.abc import Mapping
from typing import Final

from pydantic import JsonValue
from pydantic_core import from_json, to_json

from api.forms import parsed_json
from api.listings.schemas import ListingIn, ListingPhotosIn
from api.naming import unknown_name
from db.catalogue.listings import ListingData, ListingView
from models.domain.errors import InvalidInput, MalformedBody
from models.domain.searches.attributes import AttributeValue, attribute_name

JsonObject = dict[str, JsonValue]

ATTRIBUTES: Final = "attributes"
PHOTOS: Final = "photos"
_MEMBERS: Final = (*ListingIn.model_fields, PHOTOS)


def merge_patch(target: JsonValue, patch: JsonValue) -> JsonValue:
    """The target as changed by the patch: the function MergePatch of RFC 7396, section 2."""
    if not isinstance(patch, dict):
        return patch
    merged = dict(target) if isinstance(target, dict) else {}
    for name, value in patch.items():
        if value is None:
            merged.pop(name, None)
        else:
            merged[name] = merge_patch(merged.get(name), value)
    return merged


def read_patch(body: bytes) -> JsonObject:
    """A listing's patch. Raises MalformedBody if it is not JSON, and InvalidInput."""
    try:
        patch: JsonValue = from_json(body, allow_inf_nan=False)
    except ValueError as error:
        raise MalformedBody(f"The body is not JSON: {error}.") from error
    if not isinstance(patch, dict):
        raise InvalidInput("The body is not an object of JSON with what is to be changed.")
    for name in patch:
        if name not in _MEMBERS:
            raise InvalidInput(f"The field {unknown_name(name, _MEMBERS)}")
    stated = patch.get(ATTRIBUTES)
    return {**patch, ATTRIBUTES: _by_stored_name(stated)} if isinstance(stated, dict) else patch


def _by_stored_name(stated: Mapping[str, JsonValue]) -> JsonObject:
    """Attributes by their names as they are stored, which those to be changed have."""
    named: JsonObject = {}
    for written, value in stated.items():
        try:
            name = attribute_name(written)
        except ValueError as error:
            raise InvalidInput(f"{ATTRIBUTES}: {error}") from error
        if name in named:
            raise InvalidInput(f"{ATTRIBUTES}: the attribute {name!r} is stated twice")
        named[name] = value
    return named


def document_of(view: ListingView) -> JsonObject:
    """A stored listing as its seller would state it, without its photos."""
    row = view.listing
    return {
        "title": row.title,
        "description": row.description,
        "category": view.category,
        "price": None if row.price is None else str(row.price),
        "currency": row.currency,
        "location": row.location,
        "latitude": row.latitude,
        "longitude": row.longitude,
        "seller": row.seller,
        "status": row.status.value,
        ATTRIBUTES: {name: _json_of(value) for name, value in view.attributes.items()},
    }


def _json_of(value: AttributeValue) -> JsonValue:
    return [*value] if isinstance(value, list) else value


def patched(view: ListingView, patch: JsonObject) -> ListingData:
    """The listing as changed by the patch, by the rules of one that is put. Raises InvalidInput."""
    metadata = {name: value for name, value in patch.items() if name != PHOTOS}
    merged = merge_patch(document_of(view), metadata)
    stated = parsed_json(to_json(merged), ListingIn, "The body")
    return stated.to_data(view.listing.id)


def photos_in(patch: JsonObject) -> list[str] | None:
    """The photos that the patch states, None if it leaves them. Raises InvalidInput."""
    if PHOTOS not in patch:
        return None
    return parsed_json(to_json({PHOTOS: patch[PHOTOS]}), ListingPhotosIn, "The body").photos
