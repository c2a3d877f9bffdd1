"""The one place that imports torchvision, so that it also works beside a CPU-only torch.

torchvision's wheel on PyPI is linked against the GPU build of torch. Beside a CPU build its
compiled operators don't load, and `import torchvision` stops with "operator torchvision::nms does
not exist", because two of its Python modules register the shapes of operators that were never
declared. The models, weights and transforms used here need none of them: declaring the two
operators' schemas is enough. Where torchvision imports as it is, nothing is changed.
"""

import sys
from typing import Final

import torch


def _declare_missing_operators() -> torch.library.Library:
    library = torch.library.Library("torchvision", "FRAGMENT")
    for operator in ("nms", "qnms"):
        library.define(f"{operator}(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
    return library


def _forget_half_imported_modules() -> None:
    for name in [name for name in sys.modules if name.partition(".")[0] == "torchvision"]:
        del sys.modules[name]


try:
    import torchvision  # noqa: F401
except RuntimeError as error:
    if "torchvision::nms does not exist" not in str(error):
        raise
    _forget_half_imported_modules()
    # The declarations last as long as this object.
    _OPERATORS: Final = _declare_missing_operators()

from torchvision.models import ResNet, ResNet50_Weights, resnet50  # noqa: E402 - now it can
from torchvision.models.resnet import Bottleneck  # noqa: E402 - now it can
from torchvision.transforms import InterpolationMode  # noqa: E402 - now it can

__all__ = ["Bottleneck", "InterpolationMode", "ResNet", "ResNet50_Weights", "resnet50"]
