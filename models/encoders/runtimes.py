"""Opens an encoder with the fastest runtime that this machine has the files for."""

from models.domain.types import EncoderSpec
from models.encoders.encoder import Encoder
from models.encoders.library import EncoderLibrary
from models.encoders.specs import HOG, resolve_spec

# Each runtime is imported only when one of its encoders is opened: torch takes seconds and 200 MB,
# and an exported network must work where there is no torch.
# ruff: noqa: PLC0415


def open_encoder(library: EncoderLibrary, spec: EncoderSpec, threads: int) -> Encoder:
    """The encoder with its fastest runtime, not loaded yet; it may use so many threads.

    Raises `WeightsMissing` when this machine does not have the files.
    """
    if spec == resolve_spec(HOG, None):
        from models.encoders.hog import HogEncoder

        return HogEncoder(spec)
    files = library.files_of(spec)
    if files.network is not None:
        from models.encoders.onnx import OnnxEncoder

        return OnnxEncoder(spec, files.network.path, files.network.sha256, files.transform, threads)
    from models.encoders.resnet50 import ResNet50Encoder

    return ResNet50Encoder(spec, files.weights, threads, files.transform)
