"""Improved residual networks of ArcFace and CosFace, in the layout of InsightFace's checkpoints.

Deng, Guo, Xue and Zafeiriou (2019, CVPR), arXiv 1801.07698; 112 x 112 in, 512 numbers out.
"""

from torch import Tensor, nn

BLOCKS = {
    "iresnet18": (2, 2, 2, 2),
    "iresnet34": (3, 4, 6, 3),
    "iresnet50": (3, 4, 14, 3),
    "iresnet100": (3, 13, 30, 3),
    "iresnet200": (6, 26, 60, 6),
}
WIDTHS = (64, 128, 256, 512)
FEATURES = 512


class Block(nn.Module):
    """Norm, convolution, norm, PReLU, strided convolution, norm; added to the shortcut."""

    def __init__(self, inside: int, width: int, stride: int, project: bool) -> None:
        super().__init__()
        self.bn1 = nn.BatchNorm2d(inside)
        self.conv1 = nn.Conv2d(inside, width, 3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(width)
        self.prelu = nn.PReLU(width)
        self.conv2 = nn.Conv2d(width, width, 3, stride, padding=1, bias=False)
        self.bn3 = nn.BatchNorm2d(width)
        self.downsample: nn.Module | None = None
        if project:
            shortcut = nn.Conv2d(inside, width, 1, stride, bias=False)
            self.downsample = nn.Sequential(shortcut, nn.BatchNorm2d(width))

    def forward(self, x: Tensor) -> Tensor:
        """Features (n, width, h / stride, w / stride)."""
        y = self.prelu(self.bn2(self.conv1(self.bn1(x))))
        y = self.bn3(self.conv2(y))
        return y + (x if self.downsample is None else self.downsample(x))


class IResNet(nn.Module):
    """Four stages of blocks, each halving the image, then a linear layer between two norms."""

    def __init__(self, blocks: tuple[int, ...]) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(3, WIDTHS[0], 3, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(WIDTHS[0])
        self.prelu = nn.PReLU(WIDTHS[0])
        inside = WIDTHS[0]
        stages = []
        for width, number in zip(WIDTHS, blocks, strict=True):
            rest = [Block(width, width, 1, False) for _ in range(number - 1)]
            stages.append(nn.Sequential(Block(inside, width, 2, True), *rest))
            inside = width
        self.layer1, self.layer2, self.layer3, self.layer4 = stages
        self.bn2 = nn.BatchNorm2d(WIDTHS[-1])
        self.fc = nn.Linear(WIDTHS[-1] * 7 * 7, FEATURES)
        self.features = nn.BatchNorm1d(FEATURES)

    def forward(self, x: Tensor) -> Tensor:
        """Embeddings (n, 512) of images (n, 3, 112, 112)."""
        x = self.prelu(self.bn1(self.conv1(x)))
        x = self.layer4(self.layer3(self.layer2(self.layer1(x))))
        return self.features(self.fc(self.bn2(x).flatten(1)))


def iresnet(name: str) -> IResNet:
    """The network of a name in `BLOCKS`."""
    return IResNet(BLOCKS[name])
