"""Columns in a file, which all processes of a machine map: it is read in a moment, and held once.

The file is a safetensors file, and the CRC-32 of it. Its arrays are those of one segment and of the
dictionaries.
"""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Final
from zlib import crc32

import numpy as np
from numpy.typing import NDArray
from safetensors.numpy import save

from models.columns.columns import Columns
from models.columns.dictionary import FrozenTexts, TextDictionary
from models.columns.postings import Postings
from models.columns.segment import Dictionaries, Segment
from models.domain.durable_files import atomic_file

FORMAT: Final = "1"
"""Of a file; columns of another format are read from the database."""

_HEADER_LENGTH: Final = 8
_ID_BYTES: Final = 16
_NUMPY_NAMES: Final = {
    "U8": "<u1", "I8": "<i1", "I16": "<i2", "I32": "<i4", "U32": "<u4", "I64": "<i8", "F64": "<f8",
}  # fmt: skip
_SELLERS, _CURRENCIES = "sellers", "currencies"

Array = NDArray[np.generic]


class SnapshotUnusable(Exception):
    """There is no file, or one that is damaged, or of another format."""


@dataclass(frozen=True, slots=True)
class Origin:
    """Which catalogue columns are of: the deployment, and the listing of their last change."""

    deployment: str
    last_listing: str


def save_columns(path: Path, columns: Columns, origin: Origin) -> None:
    """Write columns as an `atomic_file`. Raises OSError."""
    compact = columns.compacted()
    (segment,) = compact.segments
    dictionaries = compact.dictionaries
    names = list(segment.attributes)
    arrays = dict(_arrays_of(segment))
    for number, name in enumerate(names):
        arrays |= _named(f"attribute {number}", segment.attributes[name])
        arrays |= _named(f"texts {number}", dictionaries.texts_of(name).frozen())
    arrays |= _named(_SELLERS, dictionaries.sellers.frozen())
    arrays |= _named(_CURRENCIES, dictionaries.currencies.frozen())
    written = save(
        {name: np.ascontiguousarray(array) for name, array in arrays.items()},
        {
            "format": FORMAT,
            "last_change": str(compact.last_change),
            "deployment": origin.deployment,
            "last_listing": origin.last_listing,
            "attributes": json.dumps(names),
        },
    )
    with atomic_file(path, concurrent=True) as file:
        file.write(written)
        file.write(crc32(written).to_bytes(_HEADER_LENGTH, "little"))


def load_columns(path: Path) -> tuple[Columns, Origin]:
    """Columns whose arrays are mapped from a file. Raises SnapshotUnusable."""
    try:
        # It is replaced, never written to: what is mapped stays as it is.
        # Its views are plain arrays: those of a `memmap` take microseconds to index.
        mapped = np.memmap(path, np.uint8, "r").view(np.ndarray)
    except (OSError, ValueError) as error:
        raise SnapshotUnusable(str(error)) from error
    if len(mapped) < 2 * _HEADER_LENGTH or not _is_whole(mapped):
        raise SnapshotUnusable("is damaged")
    arrays, about = _parsed(mapped[:-_HEADER_LENGTH])
    if about.get("format") != FORMAT:
        raise SnapshotUnusable("is of another release")
    names: list[str] = json.loads(about["attributes"])
    segment = Segment(
        **{  # type: ignore[arg-type] # each is of its own type
            field.name: arrays[field.name]
            for field in fields(Segment)
            if field.name in arrays and field.name != "ids"
        },
        ids=arrays["ids"].reshape(-1).view(f"S{_ID_BYTES}"),
        attributes={
            name: Postings(**_under(f"attribute {number}", arrays))  # type: ignore[arg-type]
            for number, name in enumerate(names)
        },
    )
    dictionaries = Dictionaries(
        _dictionary(_SELLERS, arrays, folds=False),
        _dictionary(_CURRENCIES, arrays, folds=False),
        {
            name: _dictionary(f"texts {number}", arrays, folds=True)
            for number, name in enumerate(names)
        },
    )
    columns = Columns(int(about["last_change"]), dictionaries, (segment,))
    return columns, Origin(about["deployment"], about["last_listing"])


def _arrays_of(segment: Segment) -> Iterator[tuple[str, Array]]:
    for field in fields(Segment):
        value = getattr(segment, field.name)
        if field.name == "ids":
            yield "ids", value.view(np.uint8).reshape(-1, _ID_BYTES)
        elif isinstance(value, np.ndarray):
            yield field.name, value


def _named(prefix: str, record: Postings | FrozenTexts) -> dict[str, Array]:
    return {f"{prefix}/{field.name}": getattr(record, field.name) for field in fields(record)}


def _under(prefix: str, arrays: Mapping[str, Array]) -> dict[str, Array]:
    begin = f"{prefix}/"
    return {
        field: arrays[begin + field]
        for field in (one.name for one in fields(FrozenTexts) + fields(Postings))
        if begin + field in arrays
    }


def _dictionary(prefix: str, arrays: Mapping[str, Array], *, folds: bool) -> TextDictionary:
    frozen = FrozenTexts(**_under(prefix, arrays))  # type: ignore[arg-type]
    return TextDictionary(frozen, folds=folds)


def _is_whole(mapped: NDArray[np.uint8]) -> bool:
    written, stated = mapped[:-_HEADER_LENGTH], mapped[-_HEADER_LENGTH:].tobytes()
    return crc32(written.data) == int.from_bytes(stated, "little")


def _parsed(mapped: NDArray[np.uint8]) -> tuple[dict[str, Array], dict[str, str]]:
    """The arrays of a safetensors file, which are views of it, and what it says beside them."""
    length = int.from_bytes(mapped[:_HEADER_LENGTH].tobytes(), "little")
    body = _HEADER_LENGTH + length
    header = json.loads(mapped[_HEADER_LENGTH:body].tobytes())
    about: dict[str, str] = header.pop("__metadata__", {})
    arrays: dict[str, Array] = {}
    for name, described in header.items():
        start, end = described["data_offsets"]
        raw = mapped[body + start : body + end]
        arrays[name] = raw.view(_NUMPY_NAMES[described["dtype"]]).reshape(described["shape"])
    return arrays, about
