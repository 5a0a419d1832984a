"""MobileFaceNet in the layout of InsightFace's checkpoints (`get_mbf`, "mbf").

Chen, Liu, Gao and Han (2018, CCBR), arXiv 1804.07573; 112 x 112 in, 512 numbers out.
"""

from torch import Tensor, nn

FEATURES = 512
# Of each stage: width, groups of its halving block, residual blocks, and their groups.
STAGES = ((128, 128, 4, 128), (256, 256, 6, 256), (256, 512, 2, 256))


class Layers(nn.Module):
    """A sequence called `layers`, as the checkpoints name it."""

    def __init__(self, *layers: nn.Module) -> None:
        super().__init__()
        self.layers = nn.Sequential(*layers)

    def forward(self, x: Tensor) -> Tensor:
        """Output of the last layer."""
        found: Tensor = self.layers(x)
        return found


class Bottleneck(Layers):
    """Widening, depthwise and narrowing convolution; added to the input if `residual`."""

    def __init__(self, inside: int, width: int, groups: int, stride: int, residual: bool) -> None:
        super().__init__(
            conv(inside, groups, 1),
            conv(groups, groups, 3, stride, groups),
            conv(groups, width, 1, linear=True),
        )
        self.residual = residual

    def forward(self, x: Tensor) -> Tensor:
        """Features (n, width, h / stride, w / stride)."""
        y = self.layers(x)
        return x + y if self.residual else y


class MobileFaceNet(nn.Module):
    """Two convolutions, three stages that halve the image, and a global depthwise convolution."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.ModuleList([conv(3, 128, 3, 2), conv(128, 128, 3, groups=64)])
        inside = 128
        for width, halving, number, groups in STAGES:
            self.layers.append(Bottleneck(inside, width, halving, 2, residual=False))
            rest = (Bottleneck(width, width, groups, 1, residual=True) for _ in range(number))
            self.layers.append(Layers(*rest))
            inside = width
        self.conv_sep = conv(inside, 512, 1)
        self.features = Layers(
            conv(512, 512, 7, groups=512, padding=0, linear=True),
            nn.Flatten(),
            nn.Linear(512, FEATURES, bias=False),
            nn.BatchNorm1d(FEATURES),
        )

    def forward(self, x: Tensor) -> Tensor:
        """Embeddings (n, 512) of images (n, 3, 112, 112)."""
        for layer in self.layers:
            x = layer(x)
        return self.features(self.conv_sep(x))


def conv(
    inside: int,
    width: int,
    side: int,
    stride: int = 1,
    groups: int = 1,
    padding: int | None = None,
    linear: bool = False,
) -> Layers:
    """Convolution and norm, and a PReLU unless it is linear."""
    padding = side // 2 if padding is None else padding
    layers = [
        nn.Conv2d(inside, width, side, stride, padding, groups=groups, bias=False),
        nn.BatchNorm2d(width),
    ]
    return Layers(*layers) if linear else Layers(*layers, nn.PReLU(width))
