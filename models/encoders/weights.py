"""Where an encoder's weights come from: a given file, or a download checked by its hash."""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Final
from urllib.parse import urlsplit

import httpx2

from models.domain.durable_files import atomic_file, make_folder, sha256_of
from models.domain.errors import WeightsMissing, WeightsRefused

# Called with the bytes received so far and the bytes there will be.
ProgressCallback = Callable[[int, int], None]

CHUNK_BYTES: Final = 1 << 20
# Short, so that machines behind a firewall fail soon.
TIMEOUT: Final = httpx2.Timeout(30.0, connect=3.0)
ADVICE: Final = (
    "set MARKETLENS_WEIGHTS to a ResNet-50 file (safetensors or a state dict), "
    "or choose MARKETLENS_ENCODER=hog, which needs none"
)


@dataclass(frozen=True, slots=True)
class PublishedWeights:
    """A downloadable file with its expected `sha256` (hex) and `size` in bytes."""

    url: str
    sha256: str
    size: int

    @property
    def filename(self) -> str:
        """The last part of the URL's path."""
        return urlsplit(self.url).path.rpartition("/")[2]


# torchvision.models.ResNet50_Weights.IMAGENET1K_V2
IMAGENET1K_V2: Final = PublishedWeights(
    url="https://download.pytorch.org/models/resnet50-11ad3fa6.pth",
    sha256="11ad3fa62ca79e40addfd354a8ec4b7c75143b3038b8d2a807fbc68deab379ca",
    size=102_540_417,
)


def locate_weights(
    path: Path | None,
    models_dir: Path,
    *,
    published: PublishedWeights = IMAGENET1K_V2,
    on_progress: ProgressCallback | None = None,
) -> Path:
    """Find weights: the file at `path` if given, else `published`, downloaded once to `models_dir`.

    Raises `WeightsMissing` if the given file is not there or can't be downloaded, and
    `WeightsRefused` if what was downloaded, now or earlier, is not the published file.
    """
    if path is not None:
        if not path.is_file():
            raise WeightsMissing(f"No weights: {path} is not a file; {ADVICE}.")
        return path
    downloaded = models_dir / published.filename
    if not downloaded.is_file():
        _download(published, downloaded, on_progress)
    elif sha256_of(downloaded) != published.sha256:
        raise WeightsRefused(f"The weights in {downloaded} are damaged; remove that file.")
    return downloaded


def _download(
    published: PublishedWeights, target: Path, on_progress: ProgressCallback | None
) -> None:
    try:
        make_folder(target.parent)
        with atomic_file(target, concurrent=True) as file:
            _receive(published, file, on_progress)
    except httpx2.HTTPError as error:
        raise WeightsMissing(
            f"No weights: they can't be downloaded from {published.url} "
            f"({_reason(error)}); {ADVICE}."
        ) from error
    except OSError as error:
        raise WeightsMissing(
            f"No weights: the download can't be kept in {target.parent} "
            f"({error.strerror}); {ADVICE}."
        ) from error


def _receive(
    published: PublishedWeights, file: IO[bytes], on_progress: ProgressCallback | None
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
