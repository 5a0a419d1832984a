"""The protocol of a generator: latent and controls in, pictures out."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from causalbias.design.services import safe_path
from causalbias.errors import DataError, user_path
from causalbias.io.drawing import png
from causalbias.recognition.embedder import BATCHES, file_hash, in_batches, translated
from causalbias.stimuli.manifest import write_manifest
from causalbias.study.rows import check_rows, sample
from causalbias.study.tables import check_columns, check_unique

Forward = Callable[[np.ndarray, dict[str, np.ndarray]], np.ndarray]
BATCH = 64
# Levels of 255, on average: what rounding may change when one latent is drawn again (by one level
# and no more), and when it is drawn beside others, which may be by another algorithm.
REPEATED, BESIDE = 1e-3, 1.0
MEND = (
    "check latents={} and controls, and that it takes (faces, latents and controls) and returns "
    "one tensor (faces, 3, height, width)"
)


@dataclass(frozen=True)
class Generator:
    """Anything that turns latents into pictures of faces, one latent always into the same picture.

    Attributes
    ----------
    name : str
    forward : callable
        Takes latents (n, latents), float, and a dict of controls (n,); returns pictures
        (n, height, width, 3), uint8, RGB.
    latents : int
        Length of a latent.
    version : str
        What made the pictures, to be written beside each: change it when the function changes.
    controls : tuple of str
        What can be set beside the latent, such as a camera's angle.

    Examples
    --------
    >>> flat = Generator("flat", lambda z, c: np.full((len(z), 4, 4, 3), 9, np.uint8), 2, "flat 1")
    >>> flat(np.zeros((3, 2))).shape
    (3, 4, 4, 3)
    """

    name: str
    forward: Forward
    latents: int
    version: str
    controls: tuple[str, ...] = ()

    def __call__(self, latent: np.ndarray, **controls: np.ndarray) -> np.ndarray:
        """Pictures (n, height, width, 3), uint8, of latents (n, latents).

        Raises
        ------
        DataError
            If latents or controls do not fit, what comes out are no pictures, or the last latent
            gives another picture when it is run again: the generator draws noise.
        """
        latent = _numbers(latent, "latents", self.name)
        if latent.ndim != 2 or latent.shape[1] != self.latents or not np.isfinite(latent).all():
            raise DataError(
                f"latents of shape {latent.shape}",
                hint=f"give finite numbers (n, {self.latents})",
                file=self.name,
            )
        given = {
            name: _numbers(value, f"control {name!r}", self.name)
            for name, value in controls.items()
        }
        for name, value in given.items():
            if name not in self.controls or value.shape != (len(latent),):
                raise DataError(
                    f"control {name!r} of shape {value.shape}",
                    hint=f"give one number a face, of {', '.join(self.controls) or 'no controls'}",
                    file=self.name,
                )
        made = self._pictures(latent, given)
        if len(made):
            self._check_steady(latent, given, made[-1])
        return made

    def _pictures(self, latent: np.ndarray, given: dict[str, np.ndarray]) -> np.ndarray:
        with translated(self.name, f"{len(latent)} latents", "try it on one row of latents"):
            made = np.asarray(self.forward(latent, given))
        if made.ndim != 4 or len(made) != len(latent) or made.shape[3] != 3 or made.dtype != "u1":
            raise DataError(
                f"pictures {made.shape} of {made.dtype} for {len(latent)} latents",
                hint="the generator must return uint8 (n, height, width, 3)",
                file=self.name,
            )
        return made

    def _check_steady(
        self, latent: np.ndarray, given: dict[str, np.ndarray], last: np.ndarray
    ) -> None:
        """Check that the last picture is a matter of its latent and controls alone.

        It is drawn again, and twice in one batch: noise of one seed differs between its places.
        """
        number = 1 if len(latent) == 1 else 2
        same = np.repeat(latent[-1:], number, axis=0)
        controls = {name: np.repeat(value[-1:], number) for name, value in given.items()}
        alone = last[None] if number == 1 else self._pictures(same, controls)
        again = self._pictures(same, controls)
        if _moved(alone, again) or _moved(again[0], again[-1]):
            raise DataError(
                "one latent gives two pictures: the generator draws noise, so that all else is not "
                "held fixed",
                hint="export it with its noise fixed (noise_mode='const', say), for use and not "
                "for training (model.eval())",
                file=self.name,
            )
        if last.shape != again.shape[1:] or np.abs(last.astype(float) - again[0]).mean() > BESIDE:
            raise DataError(
                "the picture of a latent depends on the latents beside it in the batch",
                hint="export the generator for use and not for training (model.eval())",
                file=self.name,
            )


def _numbers(values: Any, what: str, name: str) -> np.ndarray:
    try:
        return np.asarray(values, float)
    except (TypeError, ValueError) as error:
        raise DataError(f"{what} are no numbers", hint="give numbers", file=name) from error


def _moved(one: np.ndarray, other: np.ndarray) -> bool:
    """Whether pictures differ by more than rounding."""
    if one.shape != other.shape:
        return True
    change = np.abs(one.astype(int) - other)
    return bool(change.max() > 1 or change.mean() > REPEATED)


def torch_generator(
    path: str | Path,
    *,
    latents: int,
    controls: Sequence[str] = (),
    low: float = -1.0,
    high: float = 1.0,
    name: str | None = None,
    device: str = "cpu",
) -> Generator:
    """A generator from a TorchScript file (``.pt``) or one of ``torch.export.save`` (``.pt2``).

    The program takes latents (n, latents), float32, and returns pictures (n, 3, height, width). One
    with controls, such as a camera's angles, takes (n, latents + controls), the controls last. One
    that was made for batches of one size is run in such batches.
    A ``.pt2`` is read as data; a TorchScript file is a program that torch runs without Python, but
    take it only from those whose programs you would run.

    Parameters
    ----------
    path : path
    latents : int
    controls : sequence of str
        Names of the program's last inputs; 0 where they are not given.
    low, high : float
        What the program returns for black and white.
    name : str, optional
        By default the file's.
    device : str
        "cuda" runs it on a GPU.

    Returns
    -------
    Generator
        Its version is the file's hash.

    Raises
    ------
    DataError
        If torch is missing, the file is no such program, takes another number of latents and
        controls, or (when pictures are made) does not return what it should, or draws noise: then
        all else is not held fixed. Noise is not fixed by a seed here, since a program that draws
        it gives each place in a batch another.
    """
    if not high > low:
        raise DataError(f"black at {low:g}, white at {high:g}", hint="give low < high")
    from causalbias.recognition.torch_file import numbers_of, placed, run, torch_program

    path = user_path(path)
    version = f"{path.name} {file_hash(path)[:16]}"
    program = torch_program(path)
    batch = _declared_batch(program, latents + len(controls), path.name)
    network = placed(program, device, path.name)
    numbers = numbers_of(program)

    def draw(inputs: np.ndarray) -> np.ndarray:
        import torch

        with translated(path.name, f"{inputs.shape} numbers", MEND.format(latents)):
            made = run(network, torch.from_numpy(inputs).to(device, numbers), path.name)
            if made.ndim != 4 or len(made) != len(inputs):
                raise ValueError(f"it returns {made.shape}")
        return made

    def forward(latent: np.ndarray, given: dict[str, np.ndarray]) -> np.ndarray:
        zero = np.zeros(len(latent))
        inputs = np.column_stack([latent, *(given.get(one, zero) for one in controls)])
        made = _drawn(draw, inputs.astype(np.float32), batch, path.name).transpose(0, 2, 3, 1)
        if not np.isfinite(made).all():
            raise DataError(
                "pictures that are not finite", hint="check the program's weights", file=path.name
            )
        scaled = (made - low) / (high - low) * 255
        return np.rint(np.clip(scaled, 0, 255)).astype(np.uint8)

    return Generator(name or path.stem, forward, latents, version, tuple(controls))


def _declared_batch(program: Any, numbers: int, file: str) -> int:
    """How many latents an exported program takes at a time; 0 where it does not say.

    Raises
    ------
    DataError
        If it takes other latents.
    """
    shape = getattr(program, "shape", None)
    if not isinstance(shape, list):
        return 0
    if len(shape) != 2 or shape[1] not in (None, numbers):
        raise DataError(
            f"it takes {shape}, not (faces, {numbers})",
            hint="give its number of latents, and the names of all controls",
            file=file,
        )
    return shape[0] or 0


def _drawn(
    draw: Callable[[np.ndarray], np.ndarray], inputs: np.ndarray, batch: int, file: str
) -> np.ndarray:
    """What a program draws of any number of rows, where it may take only so many at a time."""
    if batch:
        return in_batches(draw, batch, file)(inputs)
    try:
        return draw(inputs)
    except DataError as error:
        for size in BATCHES:
            try:
                return in_batches(draw, size, file)(inputs)
            except DataError:
                continue
        raise error


def render(
    generator: Generator,
    faces: pd.DataFrame,
    latent: np.ndarray,
    folder: str | Path,
    *,
    controls: Mapping[str, np.ndarray] | None = None,
    progress: Callable[[int, int], Any] | None = None,
) -> pd.DataFrame:
    """Draw faces into a folder of PNG files with a manifest, which is written last.

    Parameters
    ----------
    generator : Generator
    faces : DataFrame
        `stimulus`, `seed`, `attribute`, `level`, and other factors, one row a face.
    latent : ndarray (face, latents)
    folder : directory
        Made if it is not there. Gets ``<stimulus>.png`` and ``manifest.csv``.
    controls : mapping of control to ndarray (face,), optional
    progress : callable, optional
        Called with faces done and faces in all.

    Returns
    -------
    DataFrame
        The faces with `image` and `generator`, as `read_manifest` gives them.

    Raises
    ------
    DataError
        If latents are not one a face, or a stimulus cannot be a file's name.

    Examples
    --------
    >>> import causalbias as cb, tempfile
    >>> faces = cb.design.one_at_a_time({"seed": [1]}, {"pose": [0, 2]})
    >>> root = tempfile.mkdtemp()
    >>> made = render(cb.stimuli.schematic(), faces, np.zeros((2, 32)), root,
    ...               controls={"pose": faces["level"]})
    >>> made["image"].tolist()
    ['1_pose_0.png', '1_pose_2.png']
    """
    check_columns(faces, ["stimulus"], file="faces")
    check_unique(faces, ["stimulus"], file="faces")
    names = faces["stimulus"].astype(str)
    bad = ~(names.map(safe_path) & ~names.str.contains("/")).to_numpy(bool)
    check_rows(
        [("stimulus", f"{sample(names, bad)} cannot name a file", bad, "rename it")], file="faces"
    )
    if len(latent) != len(faces):
        raise DataError(f"{len(latent)} latents of {len(faces)} faces", hint="give one a face")
    given = {name: np.asarray(value, float) for name, value in (controls or {}).items()}
    root = user_path(folder)
    root.mkdir(parents=True, exist_ok=True)
    made = faces.assign(image=names + ".png", generator=generator.version)
    for start in range(0, len(faces), BATCH):
        part = slice(start, start + BATCH)
        pictures = generator(latent[part], **{name: value[part] for name, value in given.items()})
        for image, picture in zip(made["image"].iloc[part], pictures, strict=True):
            new = root / f".{image}.new"
            new.write_bytes(png(picture))
            new.replace(root / image)
        if progress is not None:
            progress(min(start + BATCH, len(faces)), len(faces))
    write_manifest(made, root / "manifest.csv")
    return made
