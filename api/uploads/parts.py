"""Parses multipart forms, whose parts are written one behind the other into one spool."""

import re
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Final

from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser, parse_options_header

from api.uploads.spool import Spool, Upload
from models.domain.errors import MalformedBody

# Other codecs of Python are not encodings of text, or take quadratic time.
_CHARSETS: Final = frozenset(
    {"utf-8", "utf8", "us-ascii", "utf-16", "utf-16le", "utf-16be", "iso-8859-1", "windows-1252"}
)
_CHARSET: Final = re.compile(r";\s*charset\s*=\s*\"?([\w.:-]+)", re.IGNORECASE)
_NO_BOUNDARY: Final = (
    "The Content-Type multipart/form-data lacks its boundary: "
    "leave that header to the client, which knows it."
)


@dataclass(frozen=True, slots=True)
class Part(Upload):
    """A part of a form; `transfer` is its Content-Transfer-Encoding."""

    name: str
    filename: str
    content_type: str
    transfer: str


def stated_charset(content_type: str | None) -> str | None:
    """The charset that a media type states, if it is one that is read here."""
    found = _CHARSET.search(content_type or "")
    charset = found[1].lower() if found else None
    return charset if charset in _CHARSETS else None


async def parse_parts(
    content_type: str, stream: AsyncIterator[bytes], spool: Spool, *, at_most: int
) -> list[Part]:
    """The parts of a form, however they are labelled: with a file name, `filename*`, or neither.

    Raises MalformedBody, as soon as there are more parts, and what `Spool.write` raises.
    """
    _, options = parse_options_header(content_type)
    if b"boundary" not in options:
        raise MalformedBody(_NO_BOUNDARY)
    form = _Form(stated_charset(content_type) or "utf-8", at_most)
    try:
        parser = MultipartParser(
            options[b"boundary"],
            {
                "on_part_begin": form.on_part_begin,
                "on_header_field": form.on_header_field,
                "on_header_value": form.on_header_value,
                "on_header_end": form.on_header_end,
                "on_part_data": form.on_part_data,
                "on_part_end": form.on_part_end,
                "on_end": form.on_end,
            },
        )
        async for chunk in stream:
            # The parser passes over what comes before the first boundary and after the last one.
            parser.write(chunk)
            for data in form.data:
                await spool.write(data)
            form.data.clear()
        parser.finalize()
    except FormParserError as error:
        raise MalformedBody("The form can't be read: Invalid multipart data.") from error
    if not form.has_ended:
        raise MalformedBody("The form can't be read: Its last boundary is not there.")
    await spool.finish()
    return form.parts_in(spool)


@dataclass
class _Form:
    """What the parser tells: of each part where it is, and its headers."""

    charset: str
    at_most: int
    has_ended: bool = False
    data: list[bytes] = field(default_factory=list)
    _position: int = 0
    _starts: list[int] = field(default_factory=list)
    _ends: list[int] = field(default_factory=list)
    _headers: list[dict[bytes, bytes]] = field(default_factory=list)
    _name: bytes = b""
    _value: bytes = b""

    def parts_in(self, spool: Spool) -> list[Part]:
        """The parts that have ended. Raises MalformedBody if one has no name."""
        return [
            self._part(spool, start, end - start, headers)
            for start, end, headers in zip(self._starts, self._ends, self._headers, strict=False)
        ]

    def _part(self, spool: Spool, start: int, size: int, headers: dict[bytes, bytes]) -> Part:
        _, options = parse_options_header(headers.get(b"content-disposition", b""))
        if b"name" not in options:
            raise MalformedBody(
                "The form can't be read: "
                'The Content-Disposition header field "name" must be provided.'
            )
        return Part(
            spool,
            start,
            size,
            name=self._text(options[b"name"]),
            filename=self._text(options.get(b"filename", b"")),
            content_type=headers.get(b"content-type", b"").decode("latin-1"),
            transfer=headers.get(b"content-transfer-encoding", b"").decode("latin-1"),
        )

    def _text(self, stated: bytes) -> str:
        try:
            return stated.decode(self.charset)
        except UnicodeDecodeError:
            return stated.decode("latin-1")

    def on_part_begin(self) -> None:
        """Begin a part. Raises MalformedBody if it is one too many."""
        if len(self._starts) >= self.at_most:
            raise MalformedBody(f"The form can't be read: it has more than {self.at_most:,} parts.")
        self._starts.append(self._position)
        self._headers.append({})

    def on_header_field(self, data: bytes, start: int, end: int) -> None:
        """Read on in the name of a header."""
        self._name += data[start:end]

    def on_header_value(self, data: bytes, start: int, end: int) -> None:
        """Read on in its value."""
        self._value += data[start:end]

    def on_header_end(self) -> None:
        """Note a header of the part."""
        self._headers[-1][self._name.lower()] = self._value
        self._name = self._value = b""

    def on_part_data(self, data: bytes, start: int, end: int) -> None:
        """Read on in the part."""
        self.data.append(data[start:end])
        self._position += end - start

    def on_part_end(self) -> None:
        """End the part."""
        self._ends.append(self._position)

    def on_end(self) -> None:
        """Note that the last boundary was there."""
        self.has_ended = True
