"""How a person names a feed: by a path or a URL."""

import re
import unicodedata
from contextlib import suppress
from hashlib import sha256
from pathlib import Path, PurePath
from urllib.parse import SplitResult, unquote, urlsplit

from etl.fetch.magic import MAGIC_BYTES, has_archive_magic
from models.domain.errors import InvalidFeed
from models.domain.urls import is_url, redact

ARCHIVE_SUFFIXES = (
    *(".tar.gz", ".tgz", ".tar.bz2", ".tbz2", ".tbz", ".tar.xz", ".txz", ".tar", ".zip"),
)
TABLE_SUFFIXES = (".csv", ".tsv", ".txt", ".xml", ".ndjson", ".jsonl", ".json", ".parquet")

# They are zips as well.
SPREADSHEET_SUFFIXES = (".xlsx", ".xlsm", ".ods", ".numbers")

_NO_ARCHIVES = TABLE_SUFFIXES + SPREADSHEET_SUFFIXES
_FORMER_SUFFIXES = (".tar.gz", ".tgz", ".tar", ".zip")

# Of a feed's name, in characters and in bytes of UTF-8: with what is put behind it, it is part of
# the names of files, which have up to 255 bytes.
MAX_NAME = 100
MAX_NAME_BYTES = 200

# Stands between a name that could not be kept as it is and the digest of the whole of it.
DIGEST_MARK = "~"
DIGEST_LENGTH = 12

# `export-2026-11-27`, `export_20261127T0630`, `export 27.11.2026`
_DATE = re.compile(
    r"""
    [ ._-]* (?<![0-9])
    (?: (?:19|20)[0-9]{2} ([._-]?) (?:0[1-9]|1[0-2]) \1 (?:0[1-9]|[12][0-9]|3[01])
      | (?:0[1-9]|[12][0-9]|3[01]) ([._-]) (?:0[1-9]|1[0-2]) \2 (?:19|20)[0-9]{2} )
    (?: [ T._-]* (?:[01][0-9]|2[0-3]) [._:h-]? [0-5][0-9] (?: [._:m-]? [0-5][0-9] )? )? Z? $
    """,
    re.VERBOSE,
)


def scheme_of(source: str) -> str:
    """The scheme of a URL in lower case; that of a path is `file`."""
    return source.partition("://")[0].lower() if is_url(source) else "file"


def split_url(url: str) -> SplitResult:
    """The parts of a URL. Raises InvalidFeed when it is none, or holds a password.

    A password in a URL is visible in the list of processes and in the shell's history, so it is
    refused.
    """
    try:
        parts = urlsplit(url)
        _ = parts.port
    except ValueError:
        raise InvalidFeed(f"{redact(url)} is not a valid URL.") from None
    if parts.password is not None:
        raise InvalidFeed(
            f"{redact(url)} was given with a password: take it out of the URL, and use the ssh "
            "agent or a key for sftp, ~/.netrc for http, AWS_* variables or a profile for s3."
        )
    return parts


def is_archive(source: str) -> bool:
    """Whether this path or URL is that of a zip or tar archive: by its last name, or, of a file
    that is here and whose name tells nothing, by its first bytes."""
    path = _path(source)
    if path.lower().endswith(ARCHIVE_SUFFIXES):
        return True
    if scheme_of(source) != "file" or PurePath(path).suffix.lower() in _NO_ARCHIVES:
        return False
    # Opening a pipe could block for ever. A name may be none that a file can have.
    with suppress(OSError, ValueError):
        if Path(path).is_file():
            with Path(path).open("rb") as file:
                return has_archive_magic(file.read(MAGIC_BYTES))
    return False


def is_table(source: str) -> bool:
    """Whether this path or URL is that of one table, by its suffix."""
    return _path(source).lower().endswith(TABLE_SUFFIXES)


def local_path(source: str) -> Path | None:
    """Where a path or a `file:///` URL leads; None for other URLs. Raises InvalidFeed."""
    if scheme_of(source) != "file":
        return None
    if not is_url(source):
        return Path(source)
    split_url(source)  # refuses a password
    path = unquote(source.partition("://")[2])
    if not path.startswith("/"):
        raise InvalidFeed(f"{redact(source)} names a host: a file's URL begins with file:///.")
    return Path(path)


def table_name(source: str) -> str:
    """The name of the table's file at this path or URL: its last component."""
    return _path(source).rstrip("/").rpartition("/")[2]


def feed_name(source: str) -> str:
    """A name for the feed at this path or URL, safe as a file's. Raises InvalidFeed for what is no
    valid URL.

    It is the last component, without the suffix of an archive or of a table, which also loses a
    date at its end. Two names that differ give two names, unless they differ in their Unicode form
    only; one of ASCII letters, digits, dots, hyphens and underscores stays as it is.
    """
    name = table_name(source)
    for suffix in ARCHIVE_SUFFIXES:
        if name.lower().endswith(suffix):
            return safe_feed_name(name[: -len(suffix)])
    for suffix in TABLE_SUFFIXES:
        if name.lower().endswith(suffix):
            stem = name[: -len(suffix)]
            return safe_feed_name(_DATE.sub("", stem) or stem)
    return safe_feed_name(name)


def safe_feed_name(name: str) -> str:
    """The name if it is safe as part of a file's; else what is safe of it, and a digest.

    macOS gives names decomposed: both forms are one feed.
    """
    name = unicodedata.normalize("NFC", name)
    if not name:
        return "feed"
    kept = is_safe_feed_name(name) and DIGEST_MARK not in name and name == name.strip(".- ")
    if kept or name == _former(name):
        return name
    safe = "".join(character if _is_safe(character) else "-" for character in name)
    digest = sha256(name.encode(errors="surrogatepass")).hexdigest()[:DIGEST_LENGTH]
    # No name that is kept has the mark, so none of them is equal to this.
    return f"{_cut(safe.replace(DIGEST_MARK, '-').strip('.- ')) or 'feed'}{DIGEST_MARK}{digest}"


def former_feed_name(source: str) -> str:
    """What this feed was called by releases that knew ASCII names only."""
    name = table_name(source)
    suffix = next((end for end in _FORMER_SUFFIXES if name.lower().endswith(end)), "")
    return _former(name[: len(name) - len(suffix)])


def _former(name: str) -> str:
    return re.sub(r"[^A-Za-z0-9._-]+", "-", name).strip(".-")[:MAX_NAME] or "feed"


def is_safe_feed_name(name: str) -> bool:
    """Whether this can be a feed's name, and part of a file's: letters and digits of any script,
    spaces, dots, hyphens, underscores and tildes, a letter or digit first."""
    return (
        bool(name)
        and all(map(_is_safe, name))
        and name[0].isalnum()
        and len(name) <= MAX_NAME
        and len(name.encode()) <= MAX_NAME_BYTES
    )


def _is_safe(character: str) -> bool:
    if character.isascii():
        return character.isalnum() or character in " ._-" + DIGEST_MARK
    return unicodedata.category(character)[0] in "LMN"


def _cut(name: str) -> str:
    """As much of the name as leaves room for the digest."""
    name = name[: MAX_NAME - DIGEST_LENGTH - 1]
    while len(name.encode()) > MAX_NAME_BYTES - DIGEST_LENGTH - 1:
        name = name[:-1]
    return name


def _path(source: str) -> str:
    if scheme_of(source) == "file":
        if is_url(source):
            split_url(source)  # refuses a password
        path = Path(unquote(source.partition("://")[2]) if is_url(source) else source)
        # A link has a name of its own; a folder that is called by dots has none in them.
        return str(path if path.name.strip(".") else path.resolve())
    parts = split_url(source)
    return unquote(parts.path) if parts.path.strip("/") else parts.hostname or ""
