"""EfficientNet-Lite without its last layer: a map of 1,280 channels.

Tan and Le, "EfficientNet: Rethinking Model Scaling for Convolutional Neural Networks", ICML 2019,
in the form that its authors published for small processors: no squeeze and excitation, ReLU6, and
a stem and a last convolution of one width in all variants. The modules have the names that the
published weights have.
"""

from math import ceil
from typing import Final, NamedTuple

from torch import Tensor, nn
from torch.nn import functional

CLASSIFIER: Final = "_fc."
"""How the names of the classifier's weights begin."""

STEM_CHANNELS: Final = 32
LAST_CHANNELS: Final = 1280
# TensorFlow's default, which the weights were trained with.
BATCH_NORM_EPSILON: Final = 1e-3


class _Stage(NamedTuple):
    """Blocks of one width: how many, their kernel, the first one's stride, expansion, channels."""

    blocks: int
    kernel: int
    stride: int
    expansion: int
    channels: int


# Of EfficientNet-B0; variants have wider and deeper ones, the first and the last no deeper.
_STAGES: Final = (
    _Stage(1, 3, 1, 1, 16),
    _Stage(2, 3, 2, 6, 24),
    _Stage(2, 5, 2, 6, 40),
    _Stage(3, 3, 2, 6, 80),
    _Stage(3, 5, 1, 6, 112),
    _Stage(4, 5, 2, 6, 192),
    _Stage(1, 3, 1, 6, 320),
)

# Width and depth of each variant, as multiples of B0's.
_SCALES: Final = ((1.0, 1.0), (1.0, 1.1), (1.1, 1.2))


class EfficientNetLite(nn.Module):
    """The network of a variant, 0 to 2."""

    def __init__(self, variant: int) -> None:
        super().__init__()
        width, depth = _SCALES[variant]
        self._conv_stem = _SamePadded(3, STEM_CHANNELS, 3, stride=2)
        self._bn0 = _batch_norm(STEM_CHANNELS)
        blocks: list[nn.Module] = []
        self._ends = []
        channels = STEM_CHANNELS
        for number, stage in enumerate(_STAGES):
            is_deepened = 0 < number < len(_STAGES) - 1
            made = ceil(stage.blocks * depth) if is_deepened else stage.blocks
            wide = _scaled_channels(stage.channels, width)
            for block in range(made):
                stride = stage.stride if block == 0 else 1
                blocks.append(_Block(channels, wide, stage.kernel, stride, stage.expansion))
                channels = wide
            self._ends.append(len(blocks))
        self._blocks = nn.ModuleList(blocks)
        self._conv_head = nn.Conv2d(channels, LAST_CHANNELS, 1, bias=False)
        self._bn1 = _batch_norm(LAST_CHANNELS)

    def stages(self) -> tuple[nn.Module, ...]:
        """Five stages, each but the first beginning with a halved map: the last gives the channels.

        As many as a ResNet has: the stem with the first blocks, and those of 24, of 40, of 80 and
        112, of 192 and 320 channels (before scaling), the last with the last convolution.
        """
        blocks = list(self._blocks)
        first, second, third, _, fifth = self._ends[:5]
        stem = (self._conv_stem, self._bn0, nn.ReLU6(inplace=True))
        last = (self._conv_head, self._bn1, nn.ReLU6(inplace=True))
        return (
            nn.Sequential(*stem, *blocks[:first]),
            nn.Sequential(*blocks[first:second]),
            nn.Sequential(*blocks[second:third]),
            nn.Sequential(*blocks[third:fifth]),
            nn.Sequential(*blocks[fifth:], *last),
        )


class _Block(nn.Module):
    """Sandler et al., "MobileNetV2: Inverted Residuals and Linear Bottlenecks", CVPR 2018."""

    def __init__(
        self, channels: int, out_channels: int, kernel: int, stride: int, expansion: int
    ) -> None:
        super().__init__()
        inner = channels * expansion
        self._has_expansion = expansion > 1
        if self._has_expansion:
            self._expand_conv = nn.Conv2d(channels, inner, 1, bias=False)
            self._bn0 = _batch_norm(inner)
        self._depthwise_conv = _SamePadded(inner, inner, kernel, stride=stride, groups=inner)
        self._bn1 = _batch_norm(inner)
        self._project_conv = nn.Conv2d(inner, out_channels, 1, bias=False)
        self._bn2 = _batch_norm(out_channels)
        self._is_residual = stride == 1 and channels == out_channels

    def forward(self, maps: Tensor) -> Tensor:
        inner: Tensor = maps
        if self._has_expansion:
            inner = functional.relu6(self._bn0(self._expand_conv(maps)))
        inner = functional.relu6(self._bn1(self._depthwise_conv(inner)))
        inner = self._bn2(self._project_conv(inner))
        return inner + maps if self._is_residual else inner


class _SamePadded(nn.Conv2d):
    """A convolution without bias that pads as TensorFlow does: more at the right and bottom."""

    def __init__(
        self, channels: int, out_channels: int, kernel: int, *, stride: int, groups: int = 1
    ) -> None:
        super().__init__(channels, out_channels, kernel, stride, groups=groups, bias=False)

    def forward(self, maps: Tensor) -> Tensor:
        (kernel, _), (stride, _) = self.kernel_size, self.stride
        bottom, right = (
            max((ceil(side / stride) - 1) * stride + kernel - side, 0) for side in maps.shape[2:]
        )
        padded = functional.pad(
            maps, (right // 2, right - right // 2, bottom // 2, bottom - bottom // 2)
        )
        return super().forward(padded)


def _batch_norm(channels: int) -> nn.BatchNorm2d:
    return nn.BatchNorm2d(channels, eps=BATCH_NORM_EPSILON)


def _scaled_channels(channels: int, width: float) -> int:
    """The nearest multiple of eight, unless that is under nine tenths of what is asked for."""
    wanted = channels * width
    nearest = max(8, int(wanted + 4) // 8 * 8)
    return nearest if nearest >= 0.9 * wanted else nearest + 8
