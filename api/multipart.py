"""The parts of a multipart form, each read as its name says, however the client labels it."""

from collections.abc import Collection, Sequence
from typing import Final

from fastapi import Request

from api.naming import unknown_name
from api.uploads.body import body_of
from api.uploads.parts import Part, stated_charset
from api.uploads.spool import Upload
from models.domain.errors import InvalidInput, TooLarge

MAX_FIELDS: Final = 20
MAX_FIELD_BYTES: Final = 1 << 20
"""Of a listing, or of the text of one: fifty thousand characters and attributes, all escaped."""
MAX_OPTION_BYTES: Final = 1 << 16
MAX_TEXT_SHOWN: Final = 40

# What RFC 7578 lets a part state; others, such as base64, would have to be decoded first.
_PLAIN_TRANSFER: Final = frozenset({"", "7bit", "8bit", "binary"})
_BEGINNING: Final = 1_024
"""By so many bytes a text is told from a photo."""


class Form:
    """The parts of a form that have something in them.

    Browsers send an input that was left empty as a part without bytes and without a file name:
    such a part is as if it had not been sent.
    """

    def __init__(self, parts: Sequence[Part]) -> None:
        self._parts = [part for part in parts if part.size or part.filename]

    @property
    def all(self) -> Sequence[Part]:
        """All parts, in their order."""
        return self._parts

    def check_names(self, known: Collection[str]) -> None:
        """Raises InvalidInput if a part has another name than these."""
        for part in self._parts:
            if part.name not in known:
                raise InvalidInput(f"The form's part {unknown_name(part.name, known)}")

    def without(self, name: str) -> Sequence[Part]:
        """All parts but those of this name."""
        return [part for part in self._parts if part.name != name]

    def parts(self, name: str) -> list[Part]:
        """The parts of this name."""
        return [part for part in self._parts if part.name == name]

    def only(self, name: str) -> Part | None:
        """The part of this name, if there is one. Raises InvalidInput if there are several."""
        parts = self.parts(name)
        if len(parts) > 1:
            raise InvalidInput(f"The form has {len(parts)} parts {name!r}, but takes one.")
        return parts[0] if parts else None

    def fields(self, names: Collection[str], max_bytes: int = MAX_OPTION_BYTES) -> dict[str, str]:
        """The texts of the parts of these names, without those that are blank.

        Raises InvalidInput and TooLarge.
        """
        found = {}
        for name in names:
            part = self.only(name)
            text = "" if part is None else _text_of(part, max_bytes)
            if text.strip():
                found[name] = text
        return found

    def photos(self, name: str, max_bytes: int, *, at_most: int) -> list[Upload]:
        """The photos in the parts of this name. Raises InvalidInput and TooLarge."""
        parts = self.parts(name)
        if len(parts) > at_most:
            raise InvalidInput(f"The form has {len(parts)} parts {name!r}, but takes {at_most}.")
        return [photo_in(part, max_bytes) for part in parts]


async def parsed_form(request: Request, *, max_files: int) -> Form:
    """The multipart form in the body, with at most so many files.

    It can be read until the request ends. Raises MalformedBody.
    """
    parts = await body_of(request).parts(request, at_most=max_files + MAX_FIELDS)
    return Form(parts)


def photo_in(part: Part, max_bytes: int) -> Upload:
    """An uploaded photo. Raises TooLarge, and InvalidInput for a text in its place."""
    _check_transfer(part)
    if part.size > max_bytes:
        raise TooLarge(f"A photo has at most {max_bytes:,} bytes.")
    if not part.filename and (text := _as_text(part.read(_BEGINNING))) is not None:
        raise InvalidInput(
            f"The part {part.name!r} is the text {text[:MAX_TEXT_SHOWN]!r} in place of a photo's "
            f"bytes; with curl a file is sent as -F {part.name}=@FILE."
        )
    return part


def _as_text(data: bytes) -> str | None:
    """These first bytes as text, if they are that."""
    try:
        text = data.decode()
    except UnicodeDecodeError as error:
        # The last character may be cut.
        if len(data) < _BEGINNING or error.start < len(data) - 3:
            return None
        text = data[: error.start].decode()
    return text if text.isprintable() else None


def _text_of(part: Part, max_bytes: int) -> str:
    _check_transfer(part)
    if part.size > max_bytes:
        raise TooLarge(f"The part {part.name!r} has at most {max_bytes:,} bytes.")
    encoding = stated_charset(part.content_type) or "utf-8"
    try:
        return part.read().decode("utf-8-sig" if encoding in {"utf-8", "utf8"} else encoding)
    except UnicodeDecodeError:
        raise InvalidInput(f"The part {part.name!r} is not {encoding.upper()}.") from None


def _check_transfer(part: Part) -> None:
    transfer = part.transfer.strip().lower()
    if transfer not in _PLAIN_TRANSFER:
        raise InvalidInput(
            f"The part {part.name!r} is sent as {transfer}: send its bytes as they are."
        )
