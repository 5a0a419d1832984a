"""What the weights of a CLIP do not say: activation, heads, and the scale of its images.

The form is that of open_clip's ``open_clip_config.json``, which is published beside the weights.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from causalbias.errors import DataError, user_path

BESIDE = "open_clip_config.json"
MEAN = (0.48145466, 0.4578275, 0.40821073)
SD = (0.26862954, 0.26130258, 0.27577711)
# Keys whose values are those of the weights' shapes, or that only matter in training.
FROM_WEIGHTS = (
    *("image_size", "layers", "width", "patch_size", "mlp_ratio", "patch_dropout"),
    *("context_length", "vocab_size", "embed_dim"),
)
HINT = (
    f"give config=, the path of its {BESIDE} or the same as a dict, e.g. "
    "{'quick_gelu': False, 'vision_cfg': {'head_width': 64}, 'text_cfg': {'heads': 8}}; weights of "
    "OpenAI have quick_gelu true and heads of 64"
)


@dataclass(frozen=True)
class ClipConfig:
    """Facts of a CLIP.

    Attributes
    ----------
    quick : bool
        Whether the activation is OpenAI's approximation ``x / (1 + exp(-1.702 x))``, and not GELU.
    head_width : int
        Width of an attention head of the image tower.
    text_heads : int or None
        Number of attention heads of the text tower; None for heads of width 64.
    mean, sd : tuple of 3 floats
        Of the pixels from 0 to 1 that it was trained on.
    """

    quick: bool
    head_width: int = 64
    text_heads: int | None = None
    mean: tuple[float, ...] = MEAN
    sd: tuple[float, ...] = SD


OPENAI = ClipConfig(quick=True)


def clip_config(
    path: Path, config: str | Path | Mapping[str, Any] | None, *, openai: bool
) -> ClipConfig:
    """Find the facts of a CLIP: as given, of the file beside the weights, or OpenAI's.

    Parameters
    ----------
    path : Path
        File of the weights.
    config : path, mapping or None
        As published with the weights.
    openai : bool
        Whether the weights are OpenAI's own by what their file holds.

    Raises
    ------
    DataError
        If nothing says the activation, or the config asks for what the architecture has not.
    """
    beside = path.with_name(BESIDE)
    if config is None and openai:
        return OPENAI
    if config is None and not beside.is_file():
        raise DataError(
            "the weights of a CLIP do not say its activation and its number of heads",
            hint=HINT,
            file=path.name,
        )
    file = path.name
    if not isinstance(config, Mapping):
        place = beside if config is None else user_path(config)
        file = place.name
        try:
            config = json.loads(place.read_text())
        except (OSError, ValueError) as error:
            raise DataError(f"not a readable config ({error})", hint=HINT, file=file) from error
    return _read(config, file)


def _read(config: Any, file: str) -> ClipConfig:
    """Read a config, and refuse what would change the numbers and is not known here."""
    try:
        model = dict(config.get("model_cfg", config))
        pixels = dict(config.get("preprocess_cfg", {}))
        vision, text = (dict(model.get(key, {})) for key in ("vision_cfg", "text_cfg"))
        found = ClipConfig(
            quick=bool(model.get("quick_gelu", False)),
            head_width=int(vision.pop("head_width", 64)),
            # open_clip's default, where the config is silent.
            text_heads=int(text.pop("heads", 8)),
            mean=tuple(float(one) for one in pixels.get("mean", MEAN)),
            sd=tuple(float(one) for one in pixels.get("std", SD)),
        )
    except (AttributeError, TypeError, ValueError) as error:
        raise DataError(f"not a config of a CLIP ({error})", hint=HINT, file=file) from error
    rest = {key: model[key] for key in model if key not in ("quick_gelu", "vision_cfg", "text_cfg")}
    unknown = [key for key in (*rest, *vision, *text) if key not in FROM_WEIGHTS]
    if unknown:
        raise DataError(
            f"the config has {unknown[0]!r}, which this architecture does not have",
            hint="export the network to ONNX, or by torch.export",
            file=file,
        )
    return found
