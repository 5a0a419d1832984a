"""The protocol of a generator: latent and controls in, pictures out."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from causalbias.datasets.release.drawing import png
from causalbias.errors import DataError
from causalbias.stimuli.manifest import write_manifest
from causalbias.stimuli.rows import check_rows, sample
from causalbias.stimuli.services import safe_path
from causalbias.study.tables import check_columns, check_unique

Forward = Callable[[np.ndarray, dict[str, np.ndarray]], np.ndarray]
BATCH = 64


@dataclass(frozen=True)
class Generator:
    """Anything that turns latents into pictures of faces.

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
            If latents or controls do not fit, or what comes out are no pictures.
        """
        latent = np.asarray(latent, float)
        if latent.ndim != 2 or latent.shape[1] != self.latents or not np.isfinite(latent).all():
            raise DataError(
                f"latents of shape {latent.shape}",
                mend=f"give finite numbers (n, {self.latents})",
                file=self.name,
            )
        given = {name: np.asarray(value, float) for name, value in controls.items()}
        for name, value in given.items():
            if name not in self.controls or value.shape != (len(latent),):
                raise DataError(
                    f"control {name!r} of shape {value.shape}",
                    mend=f"give one number a face, of {', '.join(self.controls) or 'no controls'}",
                    file=self.name,
                )
        made = np.asarray(self.forward(latent, given))
        if made.ndim != 4 or len(made) != len(latent) or made.shape[3] != 3 or made.dtype != "u1":
            raise DataError(
                f"pictures {made.shape} of {made.dtype} for {len(latent)} latents",
                mend="the generator must return uint8 (n, height, width, 3)",
                file=self.name,
            )
        return made


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
    with controls, such as a camera's angles, takes (n, latents + controls), the controls last.
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
        If torch is missing, the file is no such program, or (when pictures are made) the program
        does not take or return what it should.
    """
    if not high > low:
        raise DataError(f"black at {low:g}, white at {high:g}", mend="give low < high")
    from causalbias.recognition.embedder import file_hash, first_line
    from causalbias.recognition.torch_file import torch_program

    path = Path(path)
    version = f"{path.name} {file_hash(path)[:16]}"
    try:
        network = torch_program(path).eval().to(device)
    except (RuntimeError, AssertionError) as error:
        raise DataError(
            f"device {device!r}: {first_line(error)}", mend="use device='cpu'", file=path.name
        ) from error

    def forward(latent: np.ndarray, given: dict[str, np.ndarray]) -> np.ndarray:
        import torch

        zero = np.zeros(len(latent))
        inputs = np.column_stack([latent, *(given.get(one, zero) for one in controls)])
        try:
            with torch.inference_mode():
                made = network(torch.from_numpy(inputs.astype(np.float32)).to(device))
                made = made.float().cpu().numpy().transpose(0, 2, 3, 1)
        except (RuntimeError, AttributeError, ValueError, TypeError, IndexError) as error:
            raise DataError(
                f"the program fails on {inputs.shape} numbers ({first_line(error)})",
                mend=f"check latents={latents} and controls, that it returns one tensor (n, 3, "
                "height, width), and that it was exported for any number of faces",
                file=path.name,
            ) from error
        if not np.isfinite(made).all():
            raise DataError("pictures that are not finite", mend="check the program's weights",
                            file=path.name)  # fmt: skip
        scaled = (made - low) / (high - low) * 255
        return np.rint(np.clip(scaled, 0, 255)).astype(np.uint8)

    return Generator(name or path.stem, forward, latents, version, tuple(controls))


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
        raise DataError(f"{len(latent)} latents of {len(faces)} faces", mend="give one a face")
    given = {name: np.asarray(value, float) for name, value in (controls or {}).items()}
    root = Path(folder)
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
