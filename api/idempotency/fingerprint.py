"""What tells a repeated request from another one."""

from collections.abc import Iterable
from hashlib import sha256
from typing import Final

from anyio import to_thread
from fastapi import Request

from api.forms import MULTIPART, media_type
from api.multipart import Form, parsed_form
from api.uploads.body import body_of
from api.uploads.parts import Part
from api.uploads.spool import Upload
from models.domain.errors import MalformedBody

# More than any call takes: one with too many is refused by it.
_MAX_FILES: Final = 5_000
_BLOCK: Final = 1 << 20


async def fingerprint(request: Request) -> str:
    """A hash of method, path, query, media type and body.

    Of a form it is that of its parts: clients choose another boundary each time.
    """
    kind = media_type(request.headers.get("content-type"))
    if kind == MULTIPART:
        content = await _hash_of_form(request)
    else:
        body = await body_of(request).whole(request)
        content = await to_thread.run_sync(lambda: _hash_of([_hash_of_upload(body)]))
    query: bytes = request.scope["query_string"]
    head = (request.method, request.url.path, kind, content)
    return _hash_of([query, *(field.encode() for field in head)])


async def _hash_of_form(request: Request) -> str:
    try:
        form = await parsed_form(request, max_files=_MAX_FILES)
    except MalformedBody:
        return ""  # it is refused when it is read for what it says
    return await to_thread.run_sync(hash_of_parts, form)


def hash_of_parts(form: Form) -> str:
    """A hash of the parts of a form, in their order, each with what it says of itself."""
    return _hash_of(field for part in form.all for field in _fields_of(part))


def _fields_of(part: Part) -> Iterable[bytes]:
    for stated in (part.name, part.filename, part.content_type, part.transfer):
        yield stated.encode(errors="surrogateescape")
    yield _hash_of_upload(part)


def _hash_of_upload(upload: Upload) -> bytes:
    content = sha256()
    for at in range(0, upload.size, _BLOCK):
        content.update(upload.spool.read(upload.start + at, min(_BLOCK, upload.size - at)))
    return content.digest()


def _hash_of(fields: Iterable[bytes]) -> str:
    """A hash of fields; others that are the same when put together have another one."""
    hashed = sha256()
    for field in fields:
        hashed.update(len(field).to_bytes(8, "big"))
        hashed.update(field)
    return hashed.hexdigest()
