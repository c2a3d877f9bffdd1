"""The files of a feed: their metadata, the validation of their names, and which of them are it."""

import os
import unicodedata
from collections.abc import Collection, Iterable
from dataclasses import dataclass, replace
from pathlib import PurePosixPath, PureWindowsPath

from etl.fetch.source_url import TABLE_SUFFIXES
from models.cleaned_feed import REQUIRED_FILES as CLEANED_FILES
from models.domain.durable_files import PART_SUFFIX
from models.domain.errors import InvalidFeed

PRODUCTS_FILE = "Products.csv"
"""In every feed of the marketplace's own, in any case; a cleaned one has all of `CLEANED_FILES`."""

MAX_FILES = 5_000_000
SHOWN = 5

# What macOS, Windows and disks of the network leave in folders, in lower case. Names that begin
# with a dot are hidden anyway.
_LEFT_BEHIND = frozenset({
    "__macosx", "icon\r", "thumbs.db", "ehthumbs.db", "desktop.ini", "@eadir", "$recycle.bin",
    "system volume information", "lost+found",
})  # fmt: skip

# Beginnings of the names of texts that are about the feed.
_ABOUT = ("readme", "read me", "liesmich", "lisezmoi", "license", "licence", "copying", "changelog")

# What file systems allow, less the suffix of a part.
MAX_COMPONENT_BYTES = 255 - len(PART_SUFFIX)


@dataclass(frozen=True, slots=True)
class FeedFile:
    """A file of a feed at its source.

    `name` is its path inside the feed, `path` what the source calls it. `size` is in bytes.
    `version` changes whenever the content does (an ETag, a modification time); it is empty where
    the source states none. `md5` is the content's, in hexadecimal, where it is known. What is not
    `is_regular` is a link or a device.
    """

    name: str
    path: str
    size: int
    version: str
    md5: str = ""
    is_regular: bool = True


def safe_name(name: str, source: str) -> str:
    """A name that came from elsewhere, fit to be joined to a folder's path on any system.

    Raises InvalidFeed for one that could lead out of the folder or can't be a file's. `source` is
    what the error calls the place it came from.
    """
    # Some programs write zips with the separator of Windows.
    parts = [part for part in name.replace("\\", "/").split("/") if part != "."]
    if (
        not parts
        or any(part in {"", ".."} for part in parts)
        or any(len(os.fsencode(part)) > MAX_COMPONENT_BYTES for part in parts)
        or any(unicodedata.category(character) in {"Cc", "Cs"} for character in name)
        or PureWindowsPath("/".join(parts)).drive
    ):
        raise InvalidFeed(f"{source} holds a file with an unsafe name: {name!a:.200}.")
    return "/".join(parts)


def is_hidden(name: str) -> bool:
    """Whether a file or a folder above it is hidden, or is what a system leaves behind.

    Takes any name, also an unsafe one.
    """
    return any(map(_is_left_behind, name.replace("\\", "/").split("/")))


def _is_left_behind(part: str) -> bool:
    # A lone dot means nothing, two lead out.
    if part in {".", ".."}:
        return False
    return part.startswith((".", "~$")) or part.lower() in _LEFT_BEHIND


def feed_files(files: Iterable[FeedFile], source: str) -> list[FeedFile]:
    """Those of a source's files that are the feed's, by name and in order.

    Hidden files and unfinished ones (`*.part`) are not. The feed is the folder with the tables,
    wherever that lies: what is beside it is passed over, whatever its name. Raises InvalidFeed for
    names that are unsafe, twice there or at once a file's and a folder's, for what is no regular
    file, for too many files, for several feeds, and for none.
    """
    given: list[FeedFile] = []
    for count, file in enumerate(files):
        if count == MAX_FILES:
            raise InvalidFeed(f"{source} holds more than {MAX_FILES:,} files.")
        if not is_hidden(file.name) and not file.name.endswith(PART_SUFFIX):
            given.append(file)
    try:
        folder = _feed_folder([_normal(file.name) for file in given], source)
    except InvalidFeed:
        # What is unsafe says more than that it is no feed.
        _judged(given, "", source)
        raise
    found = _judged(given, folder, source)
    folders = {name.rpartition("/")[0] for name in found}
    folders |= {str(above) for inside in folders for above in PurePosixPath(inside).parents}
    for name in found.keys() & folders:
        raise InvalidFeed(f"{source} holds {name} both as a file and as a folder.")
    return sorted(found.values(), key=lambda file: file.name)


def _judged(files: Iterable[FeedFile], folder: str, source: str) -> dict[str, FeedFile]:
    """Those of the files that lie in the folder, by their safe name in it."""
    found: dict[str, FeedFile] = {}
    for file in files:
        if not _normal(file.name).startswith(folder):
            continue
        name = safe_name(_normal(file.name)[len(folder) :], source)
        if not file.is_regular:
            raise InvalidFeed(f"{source} holds {file.name!a:.200}, which is no regular file.")
        if name in found:
            raise InvalidFeed(f"{source} holds {name} twice.")
        found[name] = replace(file, name=name)
    return found


def _normal(name: str) -> str:
    """The name with the separators of this system and without components that mean nothing."""
    return "/".join(part for part in name.replace("\\", "/").split("/") if part != ".")


def _feed_folder(names: list[str], source: str) -> str:
    """The folder that is the feed, with a slash at its end; empty for the whole."""
    folders: dict[str, list[str]] = {}
    for name in names:
        if name.lower().endswith(TABLE_SUFFIXES):
            folder, slash, last = name.rpartition("/")
            folders.setdefault(folder + slash, []).append(last)
    for is_feed in (_is_known, _has_table):
        holding = [folder for folder, inside in folders.items() if is_feed(inside)]
        if holding:
            depth = min(folder.count("/") for folder in holding)
            nearest = sorted(folder for folder in holding if folder.count("/") == depth)
            if len(nearest) > 1:
                raise InvalidFeed(
                    f"{source} holds several feeds, in {_listed(nearest)}: give one of them."
                )
            return nearest[0]
    raise _no_feed(names, source)


def _is_known(names: Iterable[str]) -> bool:
    lower = {name.lower() for name in names}
    return PRODUCTS_FILE.lower() in lower or all(name in lower for name in CLEANED_FILES)


def _has_table(names: Iterable[str]) -> bool:
    """Whether one of these files may be a table; which one it is, its content says."""
    names = set(names)
    # Two of a cleaned feed's files are what is left of one.
    if len(half := names & set(CLEANED_FILES)) > 1:
        names -= half
    return any(not name.lower().startswith(_ABOUT) for name in names)


def _no_feed(names: Iterable[str], source: str) -> InvalidFeed:
    tops = sorted({top + slash for top, slash, _ in (name.partition("/") for name in names)})
    return InvalidFeed(
        f"{source} is not a feed: it holds {_listed(tops) or 'nothing'}, but no table: no "
        f"{PRODUCTS_FILE}, not all of a cleaned feed's {', '.join(CLEANED_FILES)}, no other file "
        f"of {', '.join(TABLE_SUFFIXES)}."
    )


def _listed(names: Collection[str]) -> str:
    shown = ", ".join(ascii(name)[1:-1][:100] for name in list(names)[:SHOWN])
    more = len(names) - SHOWN
    return f"{shown} and {more:,} more" if more > 0 else shown
