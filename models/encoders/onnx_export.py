"""Networks from torch to ONNX, and from float32 to int8.

Quantisation is static: the range of every activation is found beforehand, on photos of the
catalogue. Weights are int8 per output channel, activations uint8 per tensor. Decision 0012 compares
the alternatives.
"""

import warnings
from collections.abc import Callable, Collection, Iterable, Iterator
from itertools import takewhile
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

import numpy as np
import onnx
import torch
from numpy.typing import NDArray
from onnxruntime.quantization import (
    CalibrationDataReader,
    CalibrationMethod,
    QuantFormat,
    QuantType,
    quant_pre_process,
    quantize_static,
)

from models.encoders.networks.architectures import Architecture, PhotoTransform
from models.encoders.networks.build import build_network, in_memory_format
from models.encoders.onnx import INPUT, OUTPUT

# Raise it when a change of code makes another int8 network of the same weights and photos.
RECIPE: Final = 3

POOLING_OPERATORS: Final = frozenset({"Mul", "Pow", "ReduceSum", "Sqrt"})
"""Operators that no network here has but in its pooling."""


def export_float32(
    architecture: Architecture, weights: Path, transform: PhotoTransform, target: Path
) -> None:
    """Write the network with these weights as ONNX, batch norms folded, for batches of any size.

    Takes (photos, 3, crop, crop) normalised pixels, gives (photos, dimension). Raises
    `WeightsRefused`.
    """
    # Contiguous: the exporter would write the strides of another layout into the graph.
    network = in_memory_format(build_network(architecture, weights), torch.contiguous_format)
    example = torch.zeros(2, 3, transform.crop, transform.crop)
    with warnings.catch_warnings():
        # The exporter's warnings are about its own internals.
        warnings.simplefilter("ignore")
        program = torch.onnx.export(
            network,
            (example,),
            input_names=[INPUT],
            output_names=[OUTPUT],
            dynamic_shapes=({0: torch.export.Dim("photos")},),
            dynamo=True,
            verbose=False,
        )
    if program is None:
        raise RuntimeError("torch exported nothing")
    onnx.save(_without_metadata(program.model_proto), target)


def quantise(
    float32: Path,
    batches: Iterable[NDArray[np.float32]],
    target: Path,
    *,
    on_batch: Callable[[], None] = lambda: None,
) -> None:
    """Write the int8 form of an exported float32 network, calibrated on pixels.

    Each batch is (photos, 3, crop, crop). `on_batch` is called after each. The same network and
    pixels give the same file.
    """
    with TemporaryDirectory(dir=target.parent) as scratch:
        prepared = Path(scratch) / "prepared.onnx"
        quant_pre_process(float32, prepared, skip_symbolic_shape=True)
        model = onnx.load(prepared)
        sensitive = _sensitive_convolutions(model)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            quantize_static(
                prepared,
                target,
                _Reader(batches, on_batch),
                quant_format=QuantFormat.QDQ,
                per_channel=True,
                # Seven bits of weights: with eight, processors without VNNI overflow 16-bit sums,
                # and one network would give two vectors, by the machine it runs on.
                reduce_range=True,
                activation_type=QuantType.QUInt8,
                weight_type=QuantType.QInt8,
                nodes_to_exclude=[*sensitive, *_pooling(model)],
                calibrate_method=CalibrationMethod.MinMax,
                # Averaged ranges: one odd photo would widen them, and coarsen every other's steps.
                extra_options={
                    "CalibMovingAverage": True,
                    "TensorQuantOverrides": _eight_bits(model, sensitive),
                },
            )
    onnx.save(_without_metadata(onnx.load(target)), target)


def _sensitive_convolutions(model: onnx.ModelProto) -> list[str]:
    """The convolutions that stay in float32, by name: they lose by far the most to int8.

    The first, as its input has three channels only, and depthwise ones that follow it directly.
    """
    convolutions = [node for node in model.graph.node if node.op_type == "Conv"]
    depthwise = takewhile(_is_grouped, convolutions[1:])
    return [node.name for node in (*convolutions[:1], *depthwise)]


def _pooling(model: onnx.ModelProto) -> list[str]:
    """The nodes that pool the last feature map, but for a plain mean, by name.

    They are next to no work, and squares and powers have too wide a range for eight bits.
    """
    return [node.name for node in model.graph.node if node.op_type in POOLING_OPERATORS]


def _eight_bits(
    model: onnx.ModelProto, excluded: Collection[str]
) -> dict[str, list[dict[str, object]]]:
    """Overrides that give depthwise weights all eight bits: their kernels sum in 32 bits."""
    return {
        node.input[1]: [{"axis": 0, "reduce_range": False}]
        for node in model.graph.node
        if node.op_type == "Conv" and node.name not in excluded and _is_grouped(node)
    }


def _is_grouped(convolution: onnx.NodeProto) -> bool:
    return any(part.name == "group" and part.i > 1 for part in convolution.attribute)


class _Reader(CalibrationDataReader):  # type: ignore[misc] # onnxruntime ships no types
    """Feeds pixels to the calibrator."""

    def __init__(
        self, batches: Iterable[NDArray[np.float32]], on_batch: Callable[[], None]
    ) -> None:
        self._batches: Iterator[NDArray[np.float32]] = iter(batches)
        self._on_batch = on_batch

    def get_next(self) -> dict[str, NDArray[np.float32]] | None:
        """The next batch by the input's name; None at the end."""
        batch = next(self._batches, None)
        if batch is None:
            return None
        self._on_batch()
        return {INPUT: batch}


def _without_metadata(model: onnx.ModelProto) -> onnx.ModelProto:
    """The model without the exporter's metadata: paths, source lines, versions."""
    stripped = onnx.ModelProto()
    stripped.CopyFrom(model)
    graph = stripped.graph
    for part in (stripped, graph, *graph.node, *graph.input, *graph.output, *graph.initializer):
        del part.metadata_props[:]
        part.doc_string = ""
    # Not needed at run time, and outdated after quantisation.
    del graph.value_info[:]
    return stripped
