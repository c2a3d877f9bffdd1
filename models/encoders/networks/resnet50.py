"""ResNet-50 without its last layer: a map of 2,048 channels.

He et al., "Deep Residual Learning for Image Recognition", CVPR 2016, as torchvision lays it out.
"""

from typing import Final

from torch import nn

from models.encoders.networks.torchvision_cpu import Bottleneck, ResNet

CLASSIFIER: Final = "fc."
"""How the names of the classifier's weights begin."""


class ResNet50(ResNet):  # type: ignore[misc] # torchvision ships no types
    """torchvision's network, with its stages at hand."""

    def __init__(self) -> None:
        super().__init__(Bottleneck, [3, 4, 6, 3])
        self.fc = nn.Identity()

    def stages(self) -> tuple[nn.Module, ...]:
        """The stem, and four stages of residual blocks: they give the last feature map."""
        stem = nn.Sequential(self.conv1, self.bn1, self.relu, self.maxpool)
        return stem, self.layer1, self.layer2, self.layer3, self.layer4
