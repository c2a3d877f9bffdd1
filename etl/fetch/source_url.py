"""How a person names a feed: by a path or a URL."""

import re
from pathlib import Path
from urllib.parse import SplitResult, unquote, urlsplit

from models.domain.errors import InvalidFeed
from models.domain.urls import is_url, redact

ARCHIVE_SUFFIXES = (".tar.gz", ".tgz", ".tar", ".zip")

MAX_NAME = 100


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
    """Whether the last name of this path or URL is that of a zip or tar archive."""
    return _path(source).lower().endswith(ARCHIVE_SUFFIXES)


def feed_name(source: str) -> str:
    """A name for the feed at this path or URL, safe as a file's: its last component, without
    the suffix of an archive. Raises InvalidFeed for what is no valid URL."""
    name = _path(source).rstrip("/").rpartition("/")[2]
    suffix = next((end for end in ARCHIVE_SUFFIXES if name.lower().endswith(end)), "")
    safe = re.sub(r"[^A-Za-z0-9._-]+", "-", name[: len(name) - len(suffix)])
    return safe.strip(".-")[:MAX_NAME] or "feed"


def _path(source: str) -> str:
    if scheme_of(source) == "file":
        if is_url(source):
            split_url(source)  # refuses a password
        path = Path(unquote(source.partition("://")[2]) if is_url(source) else source)
        # A link has a name of its own; a folder that is called by dots has none in them.
        return str(path if path.name.strip(".") else path.resolve())
    parts = split_url(source)
    return unquote(parts.path) if parts.path.strip("/") else parts.hostname or ""
