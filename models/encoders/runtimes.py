"""Opens an encoder with the fastest runtime that this machine has the files for."""

from collections.abc import Callable
from functools import partial

from models.adaptation.adapted_encoder import AdaptedEncoder
from models.domain.types import EncoderSpec
from models.encoders.encoder import Encoder
from models.encoders.library import EncoderLibrary
from models.encoders.specs import hog_spec

# Each runtime is imported only when one of its encoders is opened: torch takes seconds and 200 MB,
# and an exported network must work where there is no torch.
# ruff: noqa: PLC0415


def open_encoder(
    library: EncoderLibrary,
    spec: EncoderSpec,
    threads: int,
    open_base: Callable[[EncoderSpec], Encoder] | None = None,
) -> Encoder:
    """The encoder with its fastest runtime, not loaded yet; it may use so many threads.

    The base of an adapted encoder is opened by `open_base`, as an encoder of its own by default.
    Raises `WeightsMissing` when this machine does not have the files.
    """
    adapted = library.adapted(spec)
    if adapted is not None:
        open_base = open_base or partial(open_encoder, library, threads=threads)
        base = open_base(adapted.base)
        return AdaptedEncoder(spec, base, adapted.map, adapted.map_sha256)
    if spec == hog_spec():
        from models.encoders.hog import HogEncoder

        return HogEncoder(spec)
    files = library.files_of(spec)
    if files.exported is not None:
        from models.encoders.onnx import OnnxEncoder

        exported = files.exported
        return OnnxEncoder(spec, exported.path, exported.sha256, files.transform, threads)
    from models.encoders.torch_encoder import TorchEncoder

    return TorchEncoder(spec, files.architecture, files.weights, threads, files.transform)
