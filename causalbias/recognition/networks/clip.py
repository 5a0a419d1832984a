"""CLIP's two towers with a vision transformer, in the layout of OpenAI's and open_clip's files.

Radford et al. (2021, ICML), arXiv 2103.00020. Sizes are read from the shapes of the weights; the
activation and the heads are not in them (`ClipConfig`).
"""

from collections import OrderedDict
from collections.abc import Mapping

import torch
from torch import Tensor, nn

from causalbias.recognition.clip_config import ClipConfig

TEXT_HEAD = 64  # width of the heads of OpenAI's text towers
NOT_WEIGHTS = ("input_resolution", "context_length", "vocab_size")


class QuickGelu(nn.Module):
    """The logistic approximation of GELU that OpenAI's CLIPs were trained with."""

    def forward(self, x: Tensor) -> Tensor:
        """Of the same shape."""
        return x * torch.sigmoid(1.702 * x)


class Block(nn.Module):
    """Residual block: attention and a two-layer perceptron, each after a normalisation."""

    def __init__(self, width: int, inner: int, heads: int, quick: bool) -> None:
        super().__init__()
        self.attn = nn.MultiheadAttention(width, heads, batch_first=True)
        self.ln_1 = nn.LayerNorm(width)
        layers = {
            "c_fc": nn.Linear(width, inner),
            "gelu": QuickGelu() if quick else nn.GELU(),
            "c_proj": nn.Linear(inner, width),
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

    def __init__(self, width: int, layers: int, inner: int, heads: int, quick: bool) -> None:
        super().__init__()
        self.resblocks = nn.ModuleList(Block(width, inner, heads, quick) for _ in range(layers))

    def forward(self, x: Tensor, mask: Tensor | None = None) -> Tensor:
        """Tokens (n, length, width) of the same shape."""
        for block in self.resblocks:
            x = block(x, mask)
        return x


class ImageTower(nn.Module):
    """Transformer over patches and a class token, whose output is the embedding."""

    def __init__(
        self, width: int, patch: int, grid: int, features: int, transformer: Transformer
    ) -> None:
        super().__init__()
        self.size = patch * grid
        self.conv1 = nn.Conv2d(3, width, patch, patch, bias=False)
        self.class_embedding = nn.Parameter(torch.zeros(width))
        self.positional_embedding = nn.Parameter(torch.zeros(grid**2 + 1, width))
        self.ln_pre = nn.LayerNorm(width)
        self.transformer = transformer
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

    def __init__(self, shapes: Mapping[str, tuple[int, ...]], config: ClipConfig) -> None:
        super().__init__()
        width, _, patch, _ = shapes["visual.conv1.weight"]
        positions, _ = shapes["visual.positional_embedding"]
        _, features = shapes["visual.proj"]
        grid = round((positions - 1) ** 0.5)
        heads = _heads(width, config.head_width)
        inside = _transformer(shapes, "visual.transformer", width, heads, config.quick)
        self.visual = ImageTower(width, patch, grid, features, inside)
        length, text_width = shapes["positional_embedding"]
        self.token_embedding = nn.Embedding(*shapes["token_embedding.weight"])
        self.positional_embedding = nn.Parameter(torch.zeros(length, text_width))
        heads = config.text_heads or _heads(text_width, TEXT_HEAD)
        self.transformer = _transformer(shapes, "transformer", text_width, heads, config.quick)
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


def _heads(width: int, of: int) -> int:
    if width % of:
        raise ValueError(f"whole number of heads of width {of} in {width}")
    return width // of


def _transformer(
    shapes: Mapping[str, tuple[int, ...]], prefix: str, width: int, heads: int, quick: bool
) -> Transformer:
    start, end = f"{prefix}.resblocks.", ".attn.in_proj_weight"
    layers = sum(name.startswith(start) and name.endswith(end) for name in shapes)
    inner = shapes[f"{start}0.mlp.c_fc.weight"][0]
    return Transformer(width, layers, inner, heads, quick)
