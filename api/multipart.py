"""The parts of a multipart form, each read as its name says, however the client labels it."""

import re
from collections.abc import AsyncGenerator, AsyncIterator, Collection, Sequence
from contextlib import aclosing, asynccontextmanager
from typing import Final

from fastapi import Request
from python_multipart.multipart import parse_options_header
from starlette.datastructures import Headers, UploadFile
from starlette.formparsers import MultiPartException, MultiPartParser

from api.naming import unknown_name
from models.domain.errors import InvalidInput, MalformedBody, TooLarge

MAX_FIELDS: Final = 20
MAX_FIELD_BYTES: Final = 1 << 20
MAX_TEXT_SHOWN: Final = 40

# Other codecs of Python are not encodings of text, or take quadratic time.
_CHARSETS: Final = frozenset(
    {"utf-8", "utf8", "us-ascii", "utf-16", "utf-16le", "utf-16be", "iso-8859-1", "windows-1252"}
)
# What RFC 7578 lets a part state; others, such as base64, would have to be decoded first.
_PLAIN_TRANSFER: Final = frozenset({"", "7bit", "8bit", "binary"})
_CHARSET: Final = re.compile(r";\s*charset\s*=\s*\"?([\w.:-]+)", re.IGNORECASE)


class _EveryPartIsAFile(MultiPartParser):
    """Starlette's parser, for clients that give their files no `filename`, or only `filename*`.

    By itself it takes the bytes of such a part for a text, of a megabyte at most. It also passes
    over a last part whose end is not there.
    """

    def __init__(self, headers: Headers, stream: AsyncGenerator[bytes], *, max_files: int) -> None:
        super().__init__(headers, self._to_the_end(stream), max_files=max_files)
        self._has_ended = False

    async def _to_the_end(self, stream: AsyncGenerator[bytes]) -> AsyncGenerator[bytes]:
        async with aclosing(stream):
            async for chunk in stream:
                yield chunk
        if not self._has_ended:
            raise MultiPartException("Its last boundary is not there.")

    def on_end(self) -> None:
        """Note that the last boundary was there."""
        self._has_ended = True

    def on_headers_finished(self) -> None:
        """Begin a part. Raises MultiPartException if it has no name, or is one too many."""
        stated = self._current_part.content_disposition or b""
        _, options = parse_options_header(stated)
        if b"filename" not in options:
            _, _, parameters = stated.partition(b";")
            self._current_part.content_disposition = b"form-data; filename=;" + parameters
        super().on_headers_finished()


class Form:
    """The parts of a form that have something in them.

    Browsers send an input that was left empty as a part without bytes and without a file name:
    such a part is as if it had not been sent.
    """

    def __init__(self, parts: Sequence[tuple[str, UploadFile]]) -> None:
        self._parts = [(name, part) for name, part in parts if part.size or part.filename]

    @property
    def all(self) -> Sequence[tuple[str, UploadFile]]:
        """All parts and their names, in their order."""
        return self._parts

    def check_names(self, known: Collection[str]) -> None:
        """Raises InvalidInput if a part has another name than these."""
        for name, _ in self._parts:
            if name not in known:
                raise InvalidInput(f"The form's part {unknown_name(name, known)}")

    def without(self, name: str) -> Sequence[tuple[str, UploadFile]]:
        """All parts but those of this name."""
        return [(other, part) for other, part in self._parts if other != name]

    def parts(self, name: str) -> list[UploadFile]:
        """The parts of this name."""
        return [part for other, part in self._parts if other == name]

    def only(self, name: str) -> UploadFile | None:
        """The part of this name, if there is one. Raises InvalidInput if there are several."""
        parts = self.parts(name)
        if len(parts) > 1:
            raise InvalidInput(f"The form has {len(parts)} parts {name!r}, but takes one.")
        return parts[0] if parts else None

    async def fields(self, names: Collection[str]) -> dict[str, str]:
        """The texts of the parts of these names, without those that are blank.

        Raises InvalidInput and TooLarge.
        """
        found = {}
        for name in names:
            part = self.only(name)
            text = "" if part is None else await _text_of(name, part)
            if text.strip():
                found[name] = text
        return found

    async def photos(self, name: str, max_bytes: int, *, at_most: int) -> list[bytes]:
        """The photos in the parts of this name. Raises InvalidInput and TooLarge."""
        parts = self.parts(name)
        if len(parts) > at_most:
            raise InvalidInput(f"The form has {len(parts)} parts {name!r}, but takes {at_most}.")
        return [await photo_in(name, part, max_bytes) for part in parts]


@asynccontextmanager
async def parsed_form(request: Request, *, max_files: int) -> AsyncIterator[Form]:
    """The multipart form in the body, with at most so many files; they are closed at the end.

    Raises MalformedBody.
    """
    parser = _EveryPartIsAFile(request.headers, request.stream(), max_files=max_files + MAX_FIELDS)
    try:
        async with aclosing(parser.stream):
            form = await parser.parse()
    except MultiPartException as error:
        raise MalformedBody(_sentence(error.message)) from error
    parts = [(name, part) for name, part in form.multi_items() if isinstance(part, UploadFile)]
    try:
        yield Form(parts)
    finally:
        for _, part in parts:
            await part.close()


def _sentence(message: str) -> str:
    if "boundary" in message.lower():
        return (
            "The Content-Type multipart/form-data lacks its boundary: "
            "leave that header to the client, which knows it."
        )
    return f"The form can't be read: {message}"


async def photo_in(name: str, part: UploadFile, max_bytes: int) -> bytes:
    """The bytes of an uploaded photo. Raises TooLarge, and InvalidInput for a text in its place."""
    _check_transfer(name, part)
    data = await part.read(max_bytes + 1)
    if len(data) > max_bytes:
        raise TooLarge(f"A photo has at most {max_bytes:,} bytes.")
    if not part.filename and (text := _as_text(data)) is not None:
        raise InvalidInput(
            f"The part {name!r} is the text {text[:MAX_TEXT_SHOWN]!r} in place of a photo's bytes; "
            f"with curl a file is sent as -F {name}=@FILE."
        )
    return data


def _as_text(data: bytes) -> str | None:
    """These bytes as text, if they are that."""
    try:
        text = data.decode()
    except UnicodeDecodeError:
        return None
    return text if text.isprintable() else None


async def _text_of(name: str, part: UploadFile) -> str:
    _check_transfer(name, part)
    data = await part.read(MAX_FIELD_BYTES + 1)
    if len(data) > MAX_FIELD_BYTES:
        raise TooLarge(f"The part {name!r} has at most {MAX_FIELD_BYTES:,} bytes.")
    encoding = stated_charset(part.content_type) or "utf-8"
    try:
        return data.decode("utf-8-sig" if encoding in {"utf-8", "utf8"} else encoding)
    except UnicodeDecodeError:
        raise InvalidInput(f"The part {name!r} is not {encoding.upper()}.") from None


def stated_charset(content_type: str | None) -> str | None:
    """The charset that a media type states, if it is one that is read here."""
    found = _CHARSET.search(content_type or "")
    charset = found[1].lower() if found else None
    return charset if charset in _CHARSETS else None


def _check_transfer(name: str, part: UploadFile) -> None:
    transfer = part.headers.get("content-transfer-encoding", "").strip().lower()
    if transfer not in _PLAIN_TRANSFER:
        raise InvalidInput(f"The part {name!r} is sent as {transfer}: send its bytes as they are.")
