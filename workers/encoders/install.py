"""Installing an encoder that somebody names: loaded once, and its files kept."""

from pathlib import Path

from models.domain.types import EncoderSpec
from models.encoders.library import EncoderLibrary
from models.encoders.runtimes import open_encoder
from workers.encoders.bootstrap import keep_files


def install_encoder(library: EncoderLibrary, reference: str, models_dir: Path) -> EncoderSpec:
    """The encoder that somebody names, with its files kept; see `EncoderLibrary.find`.

    It is loaded once, so that nothing relies on an encoder that can't be. Raises NotFound and
    WeightsError.
    """
    library = library.including(reference)
    spec = library.find(reference)
    open_encoder(library, spec, threads=1).load()
    keep_files(library, spec, models_dir)
    return spec
