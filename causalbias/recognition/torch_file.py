"""Networks in torch files: weights with a named architecture, TorchScript, torch.export.

Weights are read as tensors only (``weights_only``). torch is imported in the functions that use it;
apart from torch, this module needs only NumPy.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from causalbias.errors import DataError, user_path
from causalbias.recognition.architectures import (
    KNOWN,
    architectures_of,
    build,
    is_openai,
    is_plain,
)
from causalbias.recognition.checkpoints import (
    check_unpacked,
    import_torch,
    is_script,
    load_script,
    read_state_dict,
)
from causalbias.recognition.clip_config import clip_config
from causalbias.recognition.embedder import Embedder, file_hash, first_line, probed
from causalbias.recognition.image_input import ImageInput, completed, read_input


def torch_embedder(
    path: Path,
    *,
    name: str,
    architecture: str | None = None,
    device: str = "cpu",
    output: str | int | None = None,
    config: str | Path | Mapping[str, Any] | None = None,
    **known: Any,
) -> Embedder:
    """Make an embedder from a torch file; `embedder` describes the arguments and the formats.

    A TorchScript file is a program. torch runs it without Python, but use such a file only if you
    trust its source.

    Raises
    ------
    DataError
        If torch is not installed; if the file is damaged, is a pickle of anything but tensors, has
        another architecture, or holds weights that are not finite; if `size` is required and not
        given, or differs from the file's; if the program returns several tensors of which none is
        chosen, or draws noise; if the activation and heads of a CLIP are not known.
    """
    torch = import_torch()
    recipe = f"{architecture or 'program'} {file_hash(path)}"
    batch: int | None = 0  # any number
    if architecture is not None:
        if output is not None:
            raise DataError(f"output {output!r} is given", hint="give one for programs only")
        network, options, more = _of_weights(path, architecture, config)
        recipe += more
        taken, numbers = ImageInput(), torch.float32
        options |= known
    else:
        network = torch_program(path)
        taken, numbers = _image_input(network, path.name)
        options = {"align": "arcface", "metric": "cosine"} | completed(known, taken, path.name)
        batch = taken.batch
    _check_finite(network.state_dict(), path.name)
    network = placed(network, device, path.name)

    def forward(images: np.ndarray) -> np.ndarray:
        laid = taken.laid(images, np.uint8 if taken.bytes_ else np.float32)
        return run(network, torch.from_numpy(laid).to(device, numbers), path.name, output)

    recipe += "" if output is None else f" {output}"
    return probed(Embedder(name=name, forward=forward, weights=recipe, **options), batch)


def _of_weights(
    path: Path, architecture: str, config: str | Path | Mapping[str, Any] | None
) -> tuple[Any, dict[str, Any], str]:
    """Return the network of weights, its properties, and what else determines its embeddings."""
    state = read_state_dict(path)
    if architecture != "clip":
        return build(architecture, state, path.name), dict(KNOWN[architecture]), ""
    facts = clip_config(path, config, openai=is_openai(state))
    network = build(architecture, state, path.name, facts)
    normalise = (tuple(255 * part for part in level) for level in (facts.mean, facts.sd))
    size = (network.visual.size, network.visual.size)
    options = KNOWN[architecture] | {"size": size, "normalise": tuple(normalise)}
    return network, options, f" {facts.quick} {facts.head_width}"


def _image_input(network: Any, file: str) -> tuple[ImageInput, Any]:
    """Return the shape and the number type of a program's input.

    TorchScript states neither; the type is then that of its weights.

    Raises
    ------
    DataError
        If the input is not an image.
    """
    torch = import_torch()
    from causalbias.recognition.networks.exported import Exported

    if isinstance(network, Exported):
        inputs = f"{network.inputs[0]} {network.shape} {network.numbers}"
        known = network.numbers.is_floating_point or network.numbers == torch.uint8
        shape = network.shape if known else []
        return read_input(shape, network.numbers == torch.uint8, inputs, file), network.numbers
    return ImageInput(), numbers_of(network)


def numbers_of(network: Any) -> Any:
    """Return the number type of a program's input: as the file states, or that of its weights."""
    torch = import_torch()
    from causalbias.recognition.networks.exported import Exported

    if isinstance(network, Exported):
        return network.numbers
    kinds = (one.dtype for one in network.parameters() if one.is_floating_point())
    return next(kinds, torch.float32)


def placed(network: Any, device: str, file: str) -> Any:
    """Move a network to a device and set it to evaluation mode.

    Raises
    ------
    DataError
        If the device does not exist.
    """
    try:
        return network.to(device).eval()
    except (RuntimeError, AssertionError) as error:
        raise DataError(
            f"device {device!r}: {first_line(error)}", hint="use device='cpu'", file=file
        ) from error


def run(network: Any, rows: Any, file: str, output: str | int | None = None) -> np.ndarray:
    """Run a network on a batch; return its output on the CPU in single precision.

    Parameters
    ----------
    network, rows, file
        The network, its input, and its name for errors.
    output : str or int, optional
        Name or place of the output, if the network returns several.

    Raises
    ------
    DataError
        If the output is not a single tensor, and none of several is chosen.
    """
    torch = import_torch()
    with torch.inference_mode():
        found = network(rows)
    every = list(found.values()) if isinstance(found, dict) else found
    if isinstance(every, list | tuple):
        chosen = 0 if len(every) == 1 and output is None else output
        if isinstance(chosen, int) and 0 <= chosen < len(every):
            found = every[chosen]
        elif isinstance(found, dict) and chosen in found:
            found = found[chosen]
    if not isinstance(found, torch.Tensor):
        several = every if isinstance(every, list | tuple) else [found]
        returned = ", ".join(
            str(tuple(output.shape)) if isinstance(output, torch.Tensor) else type(output).__name__
            for output in several
        )
        raise DataError(
            f"the network returns {returned}",
            hint="give the embedding's place, e.g. output=0, or export it with one output",
            file=file,
        )
    return np.asarray(found.float().cpu().numpy())


def text_embeddings(
    path: str | Path,
    tokens: np.ndarray,
    *,
    config: str | Path | Mapping[str, Any] | None = None,
) -> np.ndarray:
    """Embed texts with the text tower of a CLIP state_dict.

    Parameters
    ----------
    path : str or Path
        File of the weights, whose image tower is ``embedder(path, architecture="clip")``.
    tokens : ndarray of int (n, length)
        Tokens of each text by CLIP's tokenizer, with start and end tokens, padded with zeros to at
        most the context length of the tower.
    config : path or mapping, optional
        As in `embedder`.

    Returns
    -------
    ndarray of float32 (n, features)
        Embeddings of the texts.

    Raises
    ------
    DataError
        As in `embedder`, or if the tokens do not fit the tower.
    """
    torch = import_torch()
    path = user_path(path)
    state = read_state_dict(path)
    facts = clip_config(path, config, openai=is_openai(state))
    network = build("clip", state, path.name, facts)
    _check_finite(network.state_dict(), path.name)
    longest, words = len(network.positional_embedding), network.token_embedding.num_embeddings
    try:
        tokens = np.asarray(tokens)
    except ValueError:  # texts of several lengths
        tokens = np.empty(0, object)
    fits = tokens.ndim == 2 and tokens.dtype.kind in "iu" and tokens.shape[1] <= longest
    if not fits or tokens.size == 0 or tokens.min() < 0 or tokens.max() >= words:
        raise DataError(
            f"the tokens have shape {tokens.shape} and type {tokens.dtype}",
            hint=f"give whole numbers from 0 to {words - 1}, (texts, at most {longest})",
            file=path.name,
        )
    with torch.inference_mode():
        return np.asarray(network.eval().encode_text(torch.from_numpy(tokens.astype(np.int64))))


def torch_program(path: Path) -> Any:
    """Read a network with its architecture, from torch.export or TorchScript."""
    import_torch()
    from causalbias.recognition.networks.exported import Exported

    check_unpacked(path)
    if path.suffix.lower() == ".pt2":
        try:
            return Exported(path)
        except Exception as error:
            raise DataError(
                f"not a program that can be read as data ({type(error).__name__}: "
                f"{first_line(error)})",
                hint="write it after model.eval() with torch.export.save of torch 2.9 or later, "
                "or export it to ONNX",
                file=path.name,
            ) from error
    if not is_script(path):
        state = read_state_dict(path)
        fits = architectures_of(state)
        raise DataError(
            "the file holds weights but no network",
            hint=f"give architecture={fits[0]!r}"
            if fits
            else f"give architecture=, one of {', '.join(KNOWN)}",
            file=path.name,
        )
    return load_script(path)


def _check_finite(state: Mapping[str, Any], file: str) -> None:
    bad = [
        key for key, value in state.items() if is_plain(value) and not bool(value.isfinite().all())
    ]
    if bad:
        raise DataError(
            f"{len(bad)} of {len(state)} weights are not finite, such as {bad[0]!r}",
            hint="use a checkpoint from before the training diverged",
            file=file,
        )
