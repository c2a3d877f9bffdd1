"""A photo file and its outcome. Few imports, as it runs in separate processes."""

import stat
from dataclasses import dataclass
from pathlib import Path
from typing import Final, NamedTuple

from db.store.photo_store import PhotoStore
from models.domain.errors import InvalidInput
from models.photo_decoding import standardise


class PhotoFile(NamedTuple):
    """A file as it is now: absolute path, bytes, and when it changed, in ns since 1970."""

    path: str
    size: int
    mtime_ns: int


@dataclass(frozen=True, slots=True)
class Kept:
    """The photo in its standard form; `sha256` is its digest, sizes are in pixels.

    `incomplete` says that up to a twentieth of its pixels is not in the file.
    """

    sha256: str
    width: int
    height: int
    incomplete: bool = False


@dataclass(frozen=True, slots=True)
class Refused:
    """Why the photo can't be used; `lasting` if the same file would be refused again."""

    reason: str
    lasting: bool = False


Outcome = Kept | Refused

MISSING: Final = Refused("There is no such photo file.")
UNREADABLE: Final = Refused("The photo file can't be read.")


def stat_photo(path: Path, max_bytes: int) -> PhotoFile | Refused:
    """The file's metadata, or why it can't be used, without reading it."""
    try:
        status = path.stat()
    except (FileNotFoundError, NotADirectoryError):
        return MISSING
    except OSError:
        return UNREADABLE
    # Opening a pipe or a device could block forever.
    if not stat.S_ISREG(status.st_mode):
        return MISSING
    if status.st_size > max_bytes:
        return _too_large(max_bytes)
    return PhotoFile(str(path.absolute()), status.st_size, status.st_mtime_ns)


def keep_photo(path: str, store: PhotoStore | None, max_bytes: int) -> Outcome:
    """Standardise the photo in a file and store it durably, if there is a store.

    Raises Unavailable when the store can't be written.
    """
    try:
        with Path(path).open("rb") as file:
            data = file.read(max_bytes + 1)
    except OSError:
        return UNREADABLE
    if len(data) > max_bytes:
        return _too_large(max_bytes)
    try:
        photo = standardise(data)
    except InvalidInput as error:
        return Refused(str(error), lasting=True)
    if store is not None:
        store.put(photo.data)
    return Kept(photo.sha256, photo.width, photo.height, photo.incomplete)


def _too_large(max_bytes: int) -> Refused:
    return Refused(f"The photo has more than {max_bytes:,} bytes.")
