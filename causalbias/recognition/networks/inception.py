"""FaceNet's Inception-ResNet-v1, in the layout of facenet-pytorch's checkpoints.

Schroff, Kalenichenko and Philbin (2015, CVPR); Szegedy et al. (2017, AAAI) for the architecture;
160 x 160 in, 512 numbers of unit length out.
"""

import torch
from torch import Tensor, nn

FEATURES = 512
Size = int | tuple[int, int]


class Conv(nn.Module):
    """Convolution, norm (TensorFlow's epsilon), ReLU."""

    def __init__(
        self, inside: int, width: int, kernel: Size, stride: int = 1, padding: Size = 0
    ) -> None:
        super().__init__()
        self.conv = nn.Conv2d(inside, width, kernel, stride, padding, bias=False)
        self.bn = nn.BatchNorm2d(width, eps=0.001)

    def forward(self, x: Tensor) -> Tensor:
        """Features (n, width, ...)."""
        return self.bn(self.conv(x)).relu()


class Residual(nn.Module):
    """Residual block: parallel branches, mixed by a 1 x 1 convolution and scaled."""

    def __init__(
        self, inside: int, branches: list[nn.Module], mixed: int, scale: float, relu: bool = True
    ) -> None:
        super().__init__()
        self.scale, self.relu, self.number = scale, relu, len(branches)
        for at, branch in enumerate(branches):
            self.add_module(f"branch{at}", branch)
        self.conv2d = nn.Conv2d(mixed, inside, 1)

    def forward(self, x: Tensor) -> Tensor:
        """Features of the same shape."""
        every = [self.get_submodule(f"branch{at}")(x) for at in range(self.number)]
        x = x + self.scale * self.conv2d(torch.cat(every, 1))
        return x.relu() if self.relu else x


class Reduction(nn.Module):
    """Parallel branches that halve the image; the last is max pooling."""

    def __init__(self, branches: list[nn.Module]) -> None:
        super().__init__()
        self.number = len(branches)
        for at, branch in enumerate(branches):
            self.add_module(f"branch{at}", branch)

    def forward(self, x: Tensor) -> Tensor:
        """Features at half the size."""
        every = [self.get_submodule(f"branch{at}")(x) for at in range(self.number)]
        return torch.cat([*every, torch.max_pool2d(x, 3, 2)], 1)


def block35() -> Residual:
    """Residual block on the 17 x 17 grid of a 160 x 160 image."""
    branches: list[nn.Module] = [
        Conv(256, 32, 1),
        nn.Sequential(Conv(256, 32, 1), Conv(32, 32, 3, padding=1)),
        nn.Sequential(Conv(256, 32, 1), Conv(32, 32, 3, padding=1), Conv(32, 32, 3, padding=1)),
    ]
    return Residual(256, branches, 96, 0.17)


def block17() -> Residual:
    """Residual block on the 8 x 8 grid."""
    side = nn.Sequential(
        Conv(896, 128, 1),
        Conv(128, 128, (1, 7), padding=(0, 3)),
        Conv(128, 128, (7, 1), padding=(3, 0)),
    )
    return Residual(896, [Conv(896, 128, 1), side], 256, 0.10)


def block8(scale: float = 0.20, relu: bool = True) -> Residual:
    """Residual block on the 3 x 3 grid."""
    side = nn.Sequential(
        Conv(1792, 192, 1),
        Conv(192, 192, (1, 3), padding=(0, 1)),
        Conv(192, 192, (3, 1), padding=(1, 0)),
    )
    return Residual(1792, [Conv(1792, 192, 1), side], 384, scale, relu)


class InceptionResnetV1(nn.Module):
    """Stem; five, ten and five residual blocks with reductions in between; mean, linear, norm."""

    def __init__(self) -> None:
        super().__init__()
        self.conv2d_1a = Conv(3, 32, 3, 2)
        self.conv2d_2a = Conv(32, 32, 3)
        self.conv2d_2b = Conv(32, 64, 3, padding=1)
        self.conv2d_3b = Conv(64, 80, 1)
        self.conv2d_4a = Conv(80, 192, 3)
        self.conv2d_4b = Conv(192, 256, 3, 2)
        self.repeat_1 = nn.Sequential(*(block35() for _ in range(5)))
        self.mixed_6a = Reduction(
            [
                Conv(256, 384, 3, 2),
                nn.Sequential(
                    Conv(256, 192, 1), Conv(192, 192, 3, padding=1), Conv(192, 256, 3, 2)
                ),
            ]
        )
        self.repeat_2 = nn.Sequential(*(block17() for _ in range(10)))
        self.mixed_7a = Reduction(
            [
                nn.Sequential(Conv(896, 256, 1), Conv(256, 384, 3, 2)),
                nn.Sequential(Conv(896, 256, 1), Conv(256, 256, 3, 2)),
                nn.Sequential(
                    Conv(896, 256, 1), Conv(256, 256, 3, padding=1), Conv(256, 256, 3, 2)
                ),
            ]
        )
        self.repeat_3 = nn.Sequential(*(block8() for _ in range(5)))
        self.block8 = block8(scale=1.0, relu=False)
        self.last_linear = nn.Linear(1792, FEATURES, bias=False)
        self.last_bn = nn.BatchNorm1d(FEATURES, eps=0.001)

    def forward(self, x: Tensor) -> Tensor:
        """Embeddings (n, 512), unit length, of images (n, 3, 160, 160)."""
        x = self.conv2d_2b(self.conv2d_2a(self.conv2d_1a(x)))
        x = self.conv2d_3b(torch.max_pool2d(x, 3, 2))
        x = self.repeat_1(self.conv2d_4b(self.conv2d_4a(x)))
        x = self.repeat_2(self.mixed_6a(x))
        x = self.block8(self.repeat_3(self.mixed_7a(x)))
        x = self.last_bn(self.last_linear(x.mean((2, 3))))
        return nn.functional.normalize(x)
