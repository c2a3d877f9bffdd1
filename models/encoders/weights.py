"""Where weights come from: a given file, or an installed or downloaded one checked by its hash."""

import hashlib
import importlib.util
from collections.abc import Callable
from pathlib import Path
from typing import IO, Final

import httpx2

from models.domain.durable_files import atomic_file, make_folder, sha256_of
from models.domain.errors import WeightsMissing, WeightsRefused
from models.encoders.networks.architectures import DownloadedWeights, InstalledWeights

# Called with the bytes received so far and the bytes there will be.
ProgressCallback = Callable[[int, int], None]

CHUNK_BYTES: Final = 1 << 20
# Short, so that machines behind a firewall fail soon.
TIMEOUT: Final = httpx2.Timeout(30.0, connect=3.0)


def given_weights(path: Path) -> Path:
    """The file that the settings name. Raises `WeightsMissing` if it is not there."""
    if not path.is_file():
        raise WeightsMissing(f"No weights: {path}, which MARKETLENS_WEIGHTS names, is not a file.")
    return path


def installed_weights(installed: InstalledWeights) -> Path:
    """The file of weights inside an installed package; no code of it is run.

    Raises `WeightsMissing` if it is not installed, and `WeightsRefused` if it is another file.
    """
    found = importlib.util.find_spec(installed.module)
    folders = () if found is None else found.submodule_search_locations or ()
    paths = [Path(folder) / installed.filename for folder in folders]
    path = next((path for path in paths if path.is_file()), None)
    if path is None:
        raise WeightsMissing(f"No weights: the package {installed.distribution} is not installed.")
    if sha256_of(path) != installed.sha256:
        raise WeightsRefused(
            f"The weights in {path} are damaged: install {installed.distribution} anew."
        )
    return path


def downloaded_weights(
    published: DownloadedWeights, models_dir: Path, on_progress: ProgressCallback | None = None
) -> Path:
    """The published file, downloaded once to `models_dir`.

    Raises `WeightsMissing` if it can't be downloaded, and `WeightsRefused` if what was downloaded,
    now or earlier, is not that file.
    """
    downloaded = models_dir / published.filename
    if not downloaded.is_file():
        _download(published, downloaded, on_progress)
    elif sha256_of(downloaded) != published.sha256:
        raise WeightsRefused(f"The weights in {downloaded} are damaged; remove that file.")
    return downloaded


def _download(
    published: DownloadedWeights, target: Path, on_progress: ProgressCallback | None
) -> None:
    try:
        make_folder(target.parent)
        with atomic_file(target, concurrent=True) as file:
            _receive(published, file, on_progress)
    except httpx2.HTTPError as error:
        raise WeightsMissing(
            f"No weights: they can't be downloaded from {published.url} ({_reason(error)})."
        ) from error
    except OSError as error:
        raise WeightsMissing(
            f"No weights: the download can't be kept in {target.parent} ({error.strerror})."
        ) from error


def _receive(
    published: DownloadedWeights, file: IO[bytes], on_progress: ProgressCallback | None
) -> None:
    digest = hashlib.sha256()
    received = 0
    with httpx2.stream("GET", published.url, timeout=TIMEOUT, follow_redirects=True) as response:
        response.raise_for_status()
        for chunk in response.iter_bytes(CHUNK_BYTES):
            received += len(chunk)
            if received > published.size:
                raise WeightsRefused(f"What {published.url} sends is larger than the weights.")
            digest.update(chunk)
            file.write(chunk)
            if on_progress is not None:
                on_progress(received, published.size)
    if digest.hexdigest() != published.sha256:
        raise WeightsRefused(f"What {published.url} sends are not the published weights.")


def _reason(error: httpx2.HTTPError) -> str:
    if isinstance(error, httpx2.HTTPStatusError):
        return f"status {error.response.status_code}"
    return str(error) or type(error).__name__
