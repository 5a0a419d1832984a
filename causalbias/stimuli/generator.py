"""Generators of faces: a function from latents and controls to images."""

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
from causalbias.study.rows import blank, check_rows, sample
from causalbias.study.tables import check_columns, check_unique

Forward = Callable[[np.ndarray, dict[str, np.ndarray]], np.ndarray]
BATCH = 64
# Tolerances as mean differences in levels of 0 to 255: for a latent that is drawn again (in which
# no pixel may differ by more than one level), and for a latent in another batch, for which the
# runtime may use another algorithm.
REPEATED, BESIDE = 1e-3, 1.0
HINT = (
    "check latents={} and controls, and that it takes (faces, latents and controls) and returns "
    "one tensor (faces, 3, height, width)"
)


@dataclass(frozen=True)
class Generator:
    """A deterministic function from latents to images of faces.

    Attributes
    ----------
    name : str
        Name of the generator.
    forward : callable
        Function that takes latents (n, latents), float, and a dict of controls (n,), and returns
        RGB images (n, height, width, 3), uint8.
    latents : int
        Length of a latent.
    version : str
        Version of the generator, which is recorded for each image. Change it when the function
        changes.
    controls : tuple of str
        Further inputs, such as the angle of a camera.

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
        """Draw images (n, height, width, 3), uint8, of latents (n, latents).

        Raises
        ------
        DataError
            If latents or controls have the wrong shape, if `forward` does not return images, or if
            the last latent gives another image when it is drawn again, because the generator draws
            noise.
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
                    hint="give one number per face; the generator has "
                    f"{', '.join(self.controls) or 'no controls'}",
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
                f"pictures of shape {made.shape} and type {made.dtype} for {len(latent)} latents",
                hint="the generator must return uint8 (n, height, width, 3)",
                file=self.name,
            )
        return made

    def _check_steady(
        self, latent: np.ndarray, given: dict[str, np.ndarray], last: np.ndarray
    ) -> None:
        """Check that the last image depends on nothing but its latent and controls.

        The image is drawn again, and twice in one batch, because noise from a fixed seed differs
        between the places of a batch.
        """
        number = 1 if len(latent) == 1 else 2
        same = np.repeat(latent[-1:], number, axis=0)
        controls = {name: np.repeat(value[-1:], number) for name, value in given.items()}
        alone = last[None] if number == 1 else self._pictures(same, controls)
        again = self._pictures(same, controls)
        if _moved(alone, again) or _moved(again[0], again[-1]):
            raise DataError(
                "a latent gives two pictures: the generator draws noise, so that differences are "
                "not caused by the latents alone",
                hint="export it with fixed noise (e.g. noise_mode='const') and in evaluation mode "
                "(model.eval())",
                file=self.name,
            )
        if last.shape != again.shape[1:] or np.abs(last.astype(float) - again[0]).mean() > BESIDE:
            raise DataError(
                "the picture of a latent depends on the other latents of the batch",
                hint="export the generator in evaluation mode (model.eval())",
                file=self.name,
            )


def _numbers(values: Any, what: str, name: str) -> np.ndarray:
    try:
        return np.asarray(values, float)
    except (TypeError, ValueError) as error:
        raise DataError(f"{what} are no numbers", hint="give numbers", file=name) from error


def _moved(one: np.ndarray, other: np.ndarray) -> bool:
    """Whether images differ by more than rounding errors."""
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
    """Make a generator from a file of TorchScript (``.pt``) or ``torch.export.save`` (``.pt2``).

    The program takes latents (n, latents), float32, and returns images (n, 3, height, width). A
    program with controls, such as the angles of a camera, takes (n, latents + controls), with the
    controls in the last columns. A program that was made for batches of a fixed size is run in
    batches of this size. A ``.pt2`` file is read as data. A TorchScript file is a program that
    torch runs without Python; use such a file only if you trust its source.

    Parameters
    ----------
    path : str or Path
        The file.
    latents : int
        Length of a latent.
    controls : sequence of str
        Names of the program's last inputs, which are 0 if they are not given.
    low, high : float
        Values that the program returns for black and white.
    name : str, optional
        Name of the generator; by default that of the file.
    device : str
        "cuda" runs the program on a GPU.

    Returns
    -------
    Generator
        A generator whose version is the hash of the file.

    Raises
    ------
    DataError
        If torch is not installed, the file is not such a program, or the program takes another
        number of latents and controls. When images are made: if the program does not return
        images, or draws noise. A seed would not make the noise constant, as it differs between the
        places of a batch.
    """
    if not high > low:
        raise DataError(f"black is {low:g} and white is {high:g}", hint="give low < high")
    from causalbias.recognition.torch_file import numbers_of, placed, run, torch_program

    path = user_path(path)
    version = f"{path.name} {file_hash(path)[:16]}"
    program = torch_program(path)
    batch = _declared_batch(program, latents + len(controls), path.name)
    network = placed(program, device, path.name)
    numbers = numbers_of(program)

    def draw(inputs: np.ndarray) -> np.ndarray:
        import torch

        with translated(path.name, f"{inputs.shape} numbers", HINT.format(latents)):
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
                "the pictures are not finite", hint="check the program's weights", file=path.name
            )
        scaled = (made - low) / (high - low) * 255
        return np.rint(np.clip(scaled, 0, 255)).astype(np.uint8)

    return Generator(name or path.stem, forward, latents, version, tuple(controls))


def _declared_batch(program: Any, numbers: int, file: str) -> int:
    """Return how many latents an exported program takes at a time; 0 if it does not state it.

    Raises
    ------
    DataError
        If the program takes latents of another length.
    """
    shape = getattr(program, "shape", None)
    if not isinstance(shape, list):
        return 0
    if len(shape) != 2 or shape[1] not in (None, numbers):
        raise DataError(
            f"the program takes {shape}, not (faces, {numbers})",
            hint="give its number of latents, and the names of all controls",
            file=file,
        )
    return shape[0] or 0


def _drawn(
    draw: Callable[[np.ndarray], np.ndarray], inputs: np.ndarray, batch: int, file: str
) -> np.ndarray:
    """Run a program on any number of rows, in batches if it takes a fixed number."""
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
    """Draw faces to PNG files in a folder, with a manifest that is written last.

    Parameters
    ----------
    generator : Generator
        Generator of the images.
    faces : DataFrame
        One row per face: `stimulus`, `seed`, `attribute`, `level`, and further factors.
    latent : ndarray (face, latents)
        Latents of the faces.
    folder : str or Path
        Directory for the files ``<stimulus>.png`` and ``manifest.csv``; it is made if it does not
        exist.
    controls : mapping of control to ndarray (face,), optional
        Values of the generator's controls.
    progress : callable, optional
        Function that is called with the number of faces done and of all faces.

    Returns
    -------
    DataFrame
        The faces with `image` and `generator`, as `read_manifest` returns them.

    Raises
    ------
    DataError
        If there is not one latent per face, or a stimulus cannot be the name of a file.

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
    check_rows(
        [("stimulus", "the value is missing", blank(faces["stimulus"]), "fill it in")], file="faces"
    )
    names = faces["stimulus"].astype(str)
    bad = ~(names.map(safe_path) & ~names.str.contains("/")).to_numpy(bool)
    check_rows(
        [("stimulus", f"{sample(names, bad)} cannot name a file", bad, "rename it")], file="faces"
    )
    if len(latent) != len(faces):
        raise DataError(
            f"{len(latent)} latents of {len(faces)} faces", hint="give one latent per face"
        )
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
