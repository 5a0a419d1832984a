"""SphereFace's 20-layer networks (Liu et al. 2017, CVPR, arXiv 1704.08063), in two layouts.

`sfnet20` as in the authors' OpenSphere (112 x 112, ReLU); `sphere20a` as in the checkpoints of
sphereface_pytorch (112 x 96, PReLU), the layout of the original Caffe network.
"""

from torch import Tensor, nn

BLOCKS = (1, 2, 4, 1)
WIDTHS = (64, 128, 256, 512)
FEATURES = 512


class Pair(nn.Module):
    """Residual block of two convolutions with ReLU."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(width, width, 3, padding=1)
        self.conv2 = nn.Conv2d(width, width, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        """Features of the same shape."""
        y = self.conv2(self.conv1(x).relu())
        return (y + x).relu()


class Halve(nn.Module):
    """A strided convolution with ReLU."""

    def __init__(self, inside: int, width: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(inside, width, 3, 2, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        """Features at half the size."""
        return self.conv1(x).relu()


class SFNet20(nn.Module):
    """OpenSphere's SFNet-20 without batch normalisation, the authors' default."""

    def __init__(self) -> None:
        super().__init__()
        stages = [
            nn.Sequential(Halve(inside, width), *(Pair(width) for _ in range(number)))
            for inside, width, number in zip((3, *WIDTHS), WIDTHS, BLOCKS)  # noqa: B905
        ]
        self.layer1, self.layer2, self.layer3, self.layer4 = stages
        self.fc = nn.Linear(WIDTHS[-1] * 7 * 7, FEATURES)

    def forward(self, x: Tensor) -> Tensor:
        """Embeddings (n, 512) of images (n, 3, 112, 112)."""
        x = self.layer4(self.layer3(self.layer2(self.layer1(x))))
        return self.fc(x.flatten(1))


class Sphere20a(nn.Module):
    """Layers ``conv<stage>_<place>`` and ``relu<stage>_<place>``; residual sums in between."""

    def __init__(self) -> None:
        super().__init__()
        inside = 3
        for stage, (width, number) in enumerate(zip(WIDTHS, BLOCKS, strict=True), start=1):
            for place in range(1, 2 * number + 2):
                first = place == 1
                conv = nn.Conv2d(inside if first else width, width, 3, 2 if first else 1, padding=1)
                self.add_module(f"conv{stage}_{place}", conv)
                self.add_module(f"relu{stage}_{place}", nn.PReLU(width))
            inside = width
        self.fc5 = nn.Linear(WIDTHS[-1] * 7 * 6, FEATURES)

    def forward(self, x: Tensor) -> Tensor:
        """Embeddings (n, 512) of images (n, 3, 112, 96)."""
        layers = dict(self.named_children())

        def step(x: Tensor, at: str) -> Tensor:
            return layers[f"relu{at}"](layers[f"conv{at}"](x))

        for stage, number in enumerate(BLOCKS, start=1):
            x = step(x, f"{stage}_1")
            for pair in range(1, number + 1):
                x = x + step(step(x, f"{stage}_{2 * pair}"), f"{stage}_{2 * pair + 1}")
        return self.fc5(x.flatten(1))
