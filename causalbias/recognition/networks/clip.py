"""CLIP's two towers with a vision transformer, in the layout of OpenAI's checkpoints.

Radford et al. (2021, ICML), arXiv 2103.00020. Sizes are read from the shapes of the weights.
"""

from collections import OrderedDict
from collections.abc import Mapping

import torch
from torch import Tensor, nn

HEAD = 64
NOT_WEIGHTS = ("input_resolution", "context_length", "vocab_size")


class Activation(nn.Module):
    """The logistic approximation of GELU that CLIP was trained with."""

    def forward(self, x: Tensor) -> Tensor:
        """Of the same shape."""
        return x * torch.sigmoid(1.702 * x)


class Block(nn.Module):
    """Residual block: attention and a two-layer perceptron, each after a normalisation."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.attn = nn.MultiheadAttention(width, width // HEAD, batch_first=True)
        self.ln_1 = nn.LayerNorm(width)
        layers = {
            "c_fc": nn.Linear(width, 4 * width),
            "gelu": Activation(),
            "c_proj": nn.Linear(4 * width, width),
        }
        self.mlp = nn.Sequential(OrderedDict(layers))
        self.ln_2 = nn.LayerNorm(width)

    def forward(self, x: Tensor, mask: Tensor | None) -> Tensor:
        """Tokens (n, length, width) of the same shape."""
        y = self.ln_1(x)
        x = x + self.attn(y, y, y, need_weights=False, attn_mask=mask)[0]
        return x + self.mlp(self.ln_2(x))


class Transformer(nn.Module):
    """Sequence of blocks."""

    def __init__(self, width: int, layers: int) -> None:
        super().__init__()
        self.resblocks = nn.ModuleList(Block(width) for _ in range(layers))

    def forward(self, x: Tensor, mask: Tensor | None = None) -> Tensor:
        """Tokens (n, length, width) of the same shape."""
        for block in self.resblocks:
            x = block(x, mask)
        return x


class ImageTower(nn.Module):
    """Transformer over patches and a class token, whose output is the embedding."""

    def __init__(self, width: int, layers: int, patch: int, grid: int, features: int) -> None:
        super().__init__()
        self.size = patch * grid
        self.conv1 = nn.Conv2d(3, width, patch, patch, bias=False)
        self.class_embedding = nn.Parameter(torch.zeros(width))
        self.positional_embedding = nn.Parameter(torch.zeros(grid**2 + 1, width))
        self.ln_pre = nn.LayerNorm(width)
        self.transformer = Transformer(width, layers)
        self.ln_post = nn.LayerNorm(width)
        self.proj = nn.Parameter(torch.zeros(width, features))

    def forward(self, x: Tensor) -> Tensor:
        """Embeddings (n, features) of images (n, 3, size, size)."""
        patches = self.conv1(x).flatten(2).transpose(1, 2)
        first = self.class_embedding.expand(x.shape[0], 1, -1)
        tokens = torch.cat([first, patches], 1) + self.positional_embedding
        tokens = self.transformer(self.ln_pre(tokens))
        return self.ln_post(tokens[:, 0]) @ self.proj


class Clip(nn.Module):
    """Both towers; `forward` runs the image tower, so that it can serve as an embedder."""

    def __init__(self, shapes: Mapping[str, tuple[int, ...]]) -> None:
        super().__init__()
        width, _, patch, _ = shapes["visual.conv1.weight"]
        positions, _ = shapes["visual.positional_embedding"]
        _, features = shapes["visual.proj"]
        grid = round((positions - 1) ** 0.5)
        self.visual = ImageTower(
            width, _layers(shapes, "visual.transformer"), patch, grid, features
        )
        length, text_width = shapes["positional_embedding"]
        self.token_embedding = nn.Embedding(*shapes["token_embedding.weight"])
        self.positional_embedding = nn.Parameter(torch.zeros(length, text_width))
        self.transformer = Transformer(text_width, _layers(shapes, "transformer"))
        self.ln_final = nn.LayerNorm(text_width)
        self.text_projection = nn.Parameter(torch.zeros(text_width, features))
        self.logit_scale = nn.Parameter(torch.zeros(()))

    def forward(self, x: Tensor) -> Tensor:
        """Embeddings (n, features) of images (n, 3, size, size)."""
        return self.visual(x)

    def encode_text(self, tokens: Tensor) -> Tensor:
        """Embeddings (n, features) of token numbers (n, length), the end token the largest."""
        length = tokens.shape[1]
        past = torch.full((length, length), -torch.inf, device=tokens.device).triu(1)
        x = self.token_embedding(tokens) + self.positional_embedding[:length]
        x = self.ln_final(self.transformer(x, past))
        end = tokens.argmax(1)
        return x[torch.arange(len(x), device=x.device), end] @ self.text_projection


def _layers(shapes: Mapping[str, tuple[int, ...]], prefix: str) -> int:
    start, end = f"{prefix}.resblocks.", ".attn.in_proj_weight"
    return sum(name.startswith(start) and name.endswith(end) for name in shapes)
