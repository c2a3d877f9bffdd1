"""The last feature map of an exported network, as an output of its graph."""

from pathlib import Path
from typing import Final

import onnx

from models.domain.errors import WeightsRefused
from models.encoders.onnx import FEATURE_MAP

# What no network here does to a feature map but to pool it: squares, powers and sums of cells.
_POOLING: Final = frozenset({"Mul", "Pow", "ReduceMean", "ReduceSum", "GlobalAveragePool"})


def feature_map_graph(network: Path) -> bytes:
    """The network, as ONNX, with one output: the map (photos, channels, height, width) it pools.

    The file stays as it is: what was exported by earlier releases has no such output, and its
    hash is part of what identifies an int8 encoder. Pooling is left out of the graph. Raises
    `WeightsRefused` if nothing in it pools a feature map.
    """
    model = onnx.load(network)
    pooled = _pooled_tensor(model.graph)
    if pooled is None:
        raise WeightsRefused(f"{network} has no feature map that is pooled.")
    # A name of its own, whatever the exporter called the tensor.
    model.graph.node.append(onnx.helper.make_node("Identity", [pooled], [FEATURE_MAP]))
    del model.graph.output[:]
    model.graph.output.append(
        onnx.helper.make_tensor_value_info(FEATURE_MAP, onnx.TensorProto.FLOAT, None)
    )
    serialised: bytes = model.SerializeToString()
    return serialised


def _pooled_tensor(graph: onnx.GraphProto) -> str | None:
    """What the first operator of the pooling takes: it comes after the last convolution."""
    nodes = list(graph.node)
    last = max((i for i, node in enumerate(nodes) if node.op_type == "Conv"), default=None)
    if last is None:
        return None
    tail = nodes[last + 1 :]
    made = {output for node in tail for output in node.output} | set(nodes[last].output)
    return next(
        (node.input[0] for node in tail if node.op_type in _POOLING and node.input[0] in made),
        None,
    )
