"""Where a photo store is: a folder, whose name may hold anything, or an fsspec URL."""

import os
import re
from collections.abc import Generator
from contextlib import contextmanager, suppress
from errno import EACCES, EEXIST, ENOTDIR, EPERM, EROFS
from pathlib import Path
from typing import Final

import fsspec
from fsspec.implementations.local import LocalFileSystem

from db.store.private_files import close_folder
from models.domain.errors import MarketlensError, Misconfigured, SetupError, Unavailable
from observability.metrics import STORE_ERRORS

URL: Final = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*(://|::)")
"""How an fsspec URL begins, also one of a chain (`simplecache::s3://…`)."""

OBJECT_STORES: Final = frozenset({"s3", "s3a", "gs", "gcs", "abfs", "abfss", "az", "oss"})
"""Schemes of stores whose top folders are buckets, which nothing here makes."""

REFUSALS: Final = frozenset({EACCES, EEXIST, ENOTDIR, EPERM, EROFS})
"""Codes of errors that stay until somebody changes something."""


def location_of(place: str | Path) -> str:
    """A URL as it is, or the absolute path of a folder; `~/` is the home folder.

    Raises SetupError for a URL that nothing here can open.
    """
    if isinstance(place, str) and URL.match(place):
        scheme = place.partition("://")[0]
        if scheme in {"sftp", "ssh"}:
            # fsspec opens these URLs without checking the host key.
            raise SetupError("Photos can't be stored over SFTP: use a folder or an object store.")
        return place
    path = Path(place)
    return str((path.expanduser() if str(path).startswith("~/") else path).absolute())


def filesystem_at(location: str) -> tuple[fsspec.AbstractFileSystem, str]:
    """The file system of a location, and the path in it. Raises SetupError.

    A folder never goes through fsspec's parsing of URLs, for which `::`, among others, is special.
    """
    if location.startswith("/"):
        return LocalFileSystem(), location.rstrip("/")
    try:
        filesystem, root = fsspec.url_to_fs(location)
    except ImportError as error:
        raise SetupError(
            f"MARKETLENS_STORE_URL needs a package that is not installed: {error}."
        ) from error
    except (ValueError, TypeError) as error:
        raise SetupError(
            f"MARKETLENS_STORE_URL can't be used: {_shown(error)}. "
            "It is a folder, s3://BUCKET/FOLDER, or another URL of fsspec's."
        ) from error
    return filesystem, root


_OURS: Final = re.compile(r"[0-9a-f]{2}|generations")
"""Names in a store's folder: of the folders of photos, and that of published generations."""


@contextmanager
def failures_of(filesystem: fsspec.AbstractFileSystem, sentence: str) -> Generator[None]:
    """Raise Unavailable with this sentence, and the reason as a note, when the store fails.

    FileNotFoundError and the product's own errors are raised as they are.
    """
    try:
        yield
    except (FileNotFoundError, MarketlensError):
        raise
    except OSError as error:
        kind = Misconfigured if error.errno in REFUSALS else Unavailable
        raise _noted(kind(sentence), error) from error
    except Exception as error:
        if isinstance(filesystem, LocalFileSystem):
            raise
        # Each object store's library has errors of its own, for lacking credentials among others.
        kind = Misconfigured if _refuses(error) else Unavailable
        raise _noted(kind(sentence), error) from error


def check(location: str) -> None:
    """Look whether there is a store, or can be one.

    Raises Misconfigured where there can't be until somebody changes something, and Unavailable
    where it can't be reached now.
    """
    filesystem, root = filesystem_at(location)
    if isinstance(filesystem, LocalFileSystem):
        _check_folder(Path(root))
    elif location.partition("://")[0] in OBJECT_STORES:
        bucket = root.partition("/")[0]
        try:
            # Its `exists` takes every error for an answer.
            with (
                failures_of(filesystem, "The photo store can't be reached."),
                suppress(PermissionError),
            ):
                filesystem.ls(bucket, refresh=True)
        except FileNotFoundError as error:
            raise Misconfigured(f"The photo store's bucket {bucket} does not exist.") from error


def _check_folder(folder: Path) -> None:
    try:
        there = next(part for part in (folder, *folder.parents) if part.exists())
    except OSError as error:
        raise Misconfigured(f"The photo store can't be at {folder}: {error.strerror}.") from error
    if not there.is_dir():
        raise Misconfigured(f"The photo store can't be in {there}, which is a file.")
    if not os.access(there, os.R_OK | os.X_OK):
        raise Misconfigured(f"The photo store's folder {there} can't be read by this user.")
    close_folder(folder, lambda name: _OURS.fullmatch(name) is not None)
    if there != folder and not os.access(there, os.W_OK):
        raise Misconfigured(f"The photo store {folder} can't be made: {there} can't be written.")


def _refuses(error: Exception) -> bool:
    name = type(error).__name__
    return "Credential" in name or "ParamValidation" in name or isinstance(error, ValueError)


def _noted(error: MarketlensError, reason: Exception) -> MarketlensError:
    STORE_ERRORS.count("refused" if isinstance(error, Misconfigured) else "unavailable")
    error.add_note(f"{_shown(reason)}. See MARKETLENS_STORE_URL and MARKETLENS_DATA_DIR.")
    return error


def _shown(error: Exception) -> str:
    return str(error).removesuffix(".") or type(error).__name__
