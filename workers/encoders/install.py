"""Installs an encoder: it is loaded once, and its files are kept."""

from pathlib import Path

from models.domain.types import EncoderSpec
from models.encoders.library import EncoderLibrary
from models.encoders.runtimes import open_encoder
from workers.encoders.bootstrap import keep_files


def install_encoder(library: EncoderLibrary, reference: str, models_dir: Path) -> EncoderSpec:
    """Find an encoder (see `EncoderLibrary.find`), load it once to check it, and keep its files.

    Raises NotFound and WeightsError.
    """
    library = library.including(reference)
    spec = library.find(reference)
    open_encoder(library, spec, threads=1).load()
    keep_files(library, spec, models_dir)
    return spec
