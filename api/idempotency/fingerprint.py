"""What tells a repeated request from another one."""

from collections.abc import Iterable
from hashlib import sha256
from typing import Final

from anyio import to_thread
from fastapi import Request
from starlette.datastructures import UploadFile

from api.forms import MULTIPART, media_type
from api.multipart import Form, parsed_form
from models.domain.errors import MalformedBody

# More than any call takes: one with too many is refused by it.
_MAX_FILES: Final = 10_000
_BLOCK: Final = 1 << 20


async def fingerprint(request: Request) -> str:
    """A hash of method, path, query, media type and body.

    Of a form it is that of its parts: clients choose another boundary each time.
    """
    kind = media_type(request.headers.get("content-type"))
    # The request keeps a body that was read as a whole, so that it can be read again.
    body = await request.body()
    content = await _hash_of_form(request) if kind == MULTIPART else None
    if content is None:
        content = await to_thread.run_sync(_hash_of, [body])
    query: bytes = request.scope["query_string"]
    head = (request.method, request.url.path, kind, content)
    return _hash_of([query, *(field.encode() for field in head)])


async def _hash_of_form(request: Request) -> str | None:
    try:
        async with parsed_form(request, max_files=_MAX_FILES) as form:
            return await to_thread.run_sync(hash_of_parts, form)
    except MalformedBody:
        return None  # it is refused when it is read for what it says


def hash_of_parts(form: Form) -> str:
    """A hash of the parts of a form, in their order, each with what it says of itself."""
    return _hash_of(field for name, part in form.all for field in _fields_of(name, part))


def _fields_of(name: str, part: UploadFile) -> Iterable[bytes]:
    yield name.encode(errors="surrogateescape")
    yield (part.filename or "").encode(errors="surrogateescape")
    for header in ("content-type", "content-transfer-encoding"):
        yield part.headers.get(header, "").encode(errors="surrogateescape")
    part.file.seek(0)
    content = sha256()
    while block := part.file.read(_BLOCK):
        content.update(block)
    yield content.digest()


def _hash_of(fields: Iterable[bytes]) -> str:
    """A hash of fields; others that are the same when put together have another one."""
    hashed = sha256()
    for field in fields:
        hashed.update(len(field).to_bytes(8, "big"))
        hashed.update(field)
    return hashed.hexdigest()
