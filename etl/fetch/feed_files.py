"""The files of a feed: their metadata, and the validation of their names."""

import os
import unicodedata
from collections.abc import Container, Iterable
from dataclasses import dataclass, replace
from pathlib import PurePosixPath, PureWindowsPath

from models.cleaned_feed import REQUIRED_FILES as CLEANED_FILES
from models.domain.durable_files import PART_SUFFIX
from models.domain.errors import InvalidFeed

PRODUCTS_FILE = "Products.csv"
"""In every raw feed; a cleaned one has all of `CLEANED_FILES`."""

MAX_FILES = 5_000_000
# What file systems allow, less the suffix of a part.
MAX_COMPONENT_BYTES = 255 - len(PART_SUFFIX)


@dataclass(frozen=True, slots=True)
class FeedFile:
    """A file of a feed at its source.

    `name` is its path inside the feed, `path` what the source calls it. `size` is in bytes.
    `version` changes whenever the content does (an ETag, a modification time); it is empty where
    the source states none. `md5` is the content's, in hexadecimal, where it is known.
    """

    name: str
    path: str
    size: int
    version: str
    md5: str = ""


def safe_name(name: str, source: str) -> str:
    """A name that came from elsewhere, fit to be joined to a folder's path on any system.

    Raises InvalidFeed for one that could lead out of the folder or can't be a file's. `source` is
    what the error calls the place it came from.
    """
    parts = [part for part in name.split("/") if part != "."]
    if (
        not parts
        or any(part in {"", ".."} for part in parts)
        or any(len(os.fsencode(part)) > MAX_COMPONENT_BYTES for part in parts)
        or any(unicodedata.category(character) in {"Cc", "Cs"} for character in name)
        or "\\" in name
        or PureWindowsPath(name).drive
    ):
        raise InvalidFeed(f"{source} holds a file with an unsafe name: {name!a:.200}.")
    return "/".join(parts)


def is_hidden(name: str) -> bool:
    """Whether a file or a folder above it is hidden, as those are that a system leaves behind."""
    return any(part.startswith(".") for part in name.split("/"))


def feed_files(files: Iterable[FeedFile], source: str) -> list[FeedFile]:
    """Those of a source's files that are the feed's, by name and in order.

    Hidden files and unfinished ones (`*.part`) are not. When all that is left lies in one top
    folder, that is the feed's. Raises InvalidFeed for names that are unsafe, twice there or at once
    a file's and a folder's, for too many files, and for what is neither a raw nor a cleaned feed.
    """
    found: dict[str, FeedFile] = {}
    for count, file in enumerate(files):
        if count == MAX_FILES:
            raise InvalidFeed(f"{source} holds more than {MAX_FILES:,} files.")
        name = safe_name(file.name, source)
        if is_hidden(name) or name.endswith(PART_SUFFIX):
            continue
        if name in found:
            raise InvalidFeed(f"{source} holds {name} twice.")
        found[name] = replace(file, name=name)
    found = _without_top_folder(found)
    folders = {name.rpartition("/")[0] for name in found}
    folders |= {str(above) for folder in folders for above in PurePosixPath(folder).parents}
    for name in found.keys() & folders:
        raise InvalidFeed(f"{source} holds {name} both as a file and as a folder.")
    if not _is_feed(found):
        raise InvalidFeed(
            f"{source} is not a feed: it holds no {PRODUCTS_FILE}, and not all of a cleaned feed's "
            f"{', '.join(CLEANED_FILES)}."
        )
    return sorted(found.values(), key=lambda file: file.name)


def _without_top_folder(files: dict[str, FeedFile]) -> dict[str, FeedFile]:
    tops = {name.partition("/")[0] for name in files}
    inside = {name.partition("/")[2]: file for name, file in files.items()}
    if len(tops) > 1 or not _is_feed(inside):
        return files
    return {name: replace(file, name=name) for name, file in inside.items()}


def _is_feed(names: Container[str]) -> bool:
    return PRODUCTS_FILE in names or all(name in names for name in CLEANED_FILES)
