"""Photo files by their names, in whatever case and with whatever suffix they were saved."""

import os
import unicodedata
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path
from typing import Final

from etl.clean.uuids import is_id
from etl.photos.photo_files import MISSING, PhotoFile, Refused, stat_photo

PHOTO_SUFFIXES: Final = (
    *(".jpg", ".jpeg", ".png", ".webp", ".heic", ".heif", ".avif", ".gif", ".bmp", ".tif", ".tiff"),
)

MAX_LISTED: Final = 50_000
"""The names of larger folders are not kept in memory: it would take 250 bytes for each."""


class PhotoLookup:
    """Finds photo files; of each folder it lists the names when one is not found as it is.

    A name is found in any case, and in another Unicode form; `<id>.jpg`, where the id is a UUID,
    with any suffix of a photo.
    """

    def __init__(self, max_bytes: int) -> None:
        self._max_bytes = max_bytes
        # A feed may list a million photos without their folder: a stat of each would take minutes
        # on a network disk.
        self._folder_of = lru_cache(maxsize=1_024)(_existing)
        self._names_in = lru_cache(maxsize=4)(_names)

    def find(self, path: Path) -> PhotoFile | Refused:
        """The file at this path, or the only one whose name means the same; or why there is none,
        by name. It is not read."""
        above, name = os.path.split(path)
        folder = self._folder_of(above)
        if folder is None:
            return _missing(path)
        found = stat_photo(path if folder == above else Path(folder, name), self._max_bytes)
        if found is not MISSING:
            return found
        similar = self._similar(folder, name)
        if not similar:
            return _missing(path)
        if len(similar) > 1:
            return Refused(f"There are several such photo files (files {_shown(*similar)}).")
        return stat_photo(Path(folder, similar[0]), self._max_bytes)

    def _similar(self, folder: str, name: str) -> list[str]:
        wanted = _wanted(name)
        names = self._names_in(folder)
        if names is not None:
            return sorted({real for key in wanted for real in names.get(key, ())})
        # Of a large folder the usual spellings are asked for, one after the other.
        for spelling in _spellings(name, wanted):
            if Path(folder, spelling).is_file():
                return [spelling]
        return []


def existing_folder(path: Path) -> Path:
    """The folder at this path, or the only one beside it whose name is the same but for the case;
    the path as it is if there is none."""
    found = _existing(str(path))
    return path if found is None else Path(found)


def _existing(folder: str) -> str | None:
    if Path(folder).is_dir():
        return folder
    above, name = os.path.split(folder)
    try:
        with os.scandir(above or ".") as entries:
            found = [
                entry.path for entry in entries if _key(entry.name) == _key(name) and entry.is_dir()
            ]
    except OSError:
        return None
    return found[0] if len(found) == 1 else None


def _names(folder: str) -> dict[str, tuple[str, ...]] | None:
    """The names in a folder by what they are compared by; None if there are too many."""
    names: dict[str, tuple[str, ...]] = {}
    try:
        with os.scandir(folder) as entries:
            for count, entry in enumerate(entries):
                if count == MAX_LISTED:
                    return None
                key = _key(entry.name)
                names[key] = (*names.get(key, ()), entry.name)
    except OSError:
        return {}
    return names


def _key(name: str) -> str:
    return unicodedata.normalize("NFC", name).casefold()


def _wanted(name: str) -> list[str]:
    """What the names that mean the same are compared by."""
    stem, dot, suffix = name.rpartition(".")
    if is_id(stem) and dot + suffix.lower() in PHOTO_SUFFIXES:
        return [_key(stem) + suffix for suffix in PHOTO_SUFFIXES]
    return [_key(name)]


def _spellings(name: str, wanted: list[str]) -> Iterator[str]:
    yield from (name.upper(), name.lower())
    for key in wanted:
        stem, dot, suffix = key.rpartition(".")
        for spelt in (stem, stem.upper()):
            yield from (spelt + dot + suffix, spelt + dot + suffix.upper())


def _missing(path: Path) -> Refused:
    return Refused(
        f"There is no such photo file (file {_shown(f'{path.parent.name}/{path.name}')})."
    )


def _shown(*names: str) -> str:
    # The name of a file need not be text that can be written to a report.
    return ", ".join(name.encode(errors="replace").decode() for name in names)
