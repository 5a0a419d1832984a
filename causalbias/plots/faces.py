"""Figure of faces by two factors, such as an attribute and its levels."""

from collections.abc import Mapping
from typing import Any

import matplotlib.image as mpl_image
import pandas as pd
from matplotlib.figure import Figure
from PIL.Image import DecompressionBombError

from causalbias.errors import DataError
from causalbias.models.levels import canonical, levels_of
from causalbias.plots.style import ONE_COLUMN, TWO_COLUMNS, finish, label, new_figure, styled

MOST = 400  # largest number of faces in a figure; more could not be recognised


@styled
def face_strip(
    faces: pd.DataFrame,
    images: Mapping[str, Any],
    *,
    rows: str = "attribute",
    columns: str = "level",
    note: str = "",
) -> Figure:
    """Draw faces in rows and columns, by two of their factors.

    Parameters
    ----------
    faces : DataFrame
        `stimulus` and the two factors, such as rows of ``to_frame(study, "stimuli")``, with at most
        one face per cell, e.g. of one seed. Cells without a face stay empty.
    images : mapping of stimulus to path or open file
        Images, from `images_of` or `open_image`.
    rows, columns : str
        Factors, in the order of their levels; ``rows=""`` draws a single row.
    note : str
        Note below the figure.

    Returns
    -------
    Figure
        One column wide for up to five columns of faces, two otherwise.

    Raises
    ------
    DataError
        If a factor is missing, a cell has several faces, a face has no image or its image cannot
        be read, or there are more than 400 faces.

    Examples
    --------
    >>> import causalbias as cb, matplotlib.image, numpy as np, pandas as pd, tempfile
    >>> path = tempfile.mkdtemp() + "/grey.png"
    >>> matplotlib.image.imsave(path, np.full((8, 8, 3), 0.5))
    >>> faces = pd.DataFrame({"stimulus": ["a", "b"], "attribute": "age", "level": [0, 1]})
    >>> len(cb.plots.face_strip(faces, {"a": path, "b": path}).axes)
    2
    """
    faces = _selected(faces, rows, columns)
    cells = _cells(faces, images, rows, columns)
    down, across = levels_of(faces[rows]) if rows else [""], levels_of(faces[columns])
    width = ONE_COLUMN if len(across) <= 5 else TWO_COLUMNS
    names = {row: label(row, 14) for row in down}
    longest = max(len(line) for name in names.values() for line in [*name.splitlines(), ""])
    room = 0.2 + 0.065 * longest if rows else 0.05
    side = (width - room) / len(across)
    fig, grid = new_figure(
        width,
        0.28 + side * len(down) + (0.2 if note else 0),
        nrows=len(down),
        ncols=len(across),
        squeeze=False,
    )
    fig.set_layout_engine("constrained", w_pad=0.01, h_pad=0.01, wspace=0, hspace=0)
    for i, row in enumerate(down):
        for j, column in enumerate(across):
            axes = grid[i, j]
            axes.set_xticks([])
            axes.set_yticks([])
            axes.spines[:].set_visible(False)
            if (row, column) in cells:
                picture = _read(images, cells[row, column])
                axes.imshow(picture, cmap="gray" if picture.ndim == 2 else None)
            if i == 0:
                axes.set_title(f"{columns} {column}" if j == 0 else str(column), fontsize=7)
            if j == 0 and rows:
                axes.set_ylabel(names[row], rotation=0, ha="right", va="center")
    return finish(fig, note)


def _selected(faces: pd.DataFrame, rows: str, columns: str) -> pd.DataFrame:
    """Return the faces with the factors of the figure's rows and columns as levels or numbers."""
    wanted = [name for name in ("stimulus", rows, columns) if name]
    missing = [name for name in wanted if name not in faces]
    if missing:
        raise DataError(
            f"the faces have no {', '.join(missing)}",
            hint=f"use columns among {', '.join(map(str, faces))}",
        )
    for name in wanted:
        blank = faces[name].isna().to_numpy()
        if blank.any():
            raise DataError(
                f"the value is missing in {int(blank.sum()):,} of {len(faces):,} rows",
                hint="leave those faces out",
                column=name,
                row=int(blank.argmax()) + 1,
            )
    return faces.assign(**{name: canonical(faces[name]) for name in wanted[1:]})


def _cells(
    faces: pd.DataFrame, images: Mapping[str, Any], rows: str, columns: str
) -> dict[tuple[Any, Any], str]:
    """Return the stimulus of each cell."""
    if not 0 < len(faces) <= MOST:
        raise DataError(f"{len(faces)} faces", hint=f"select 1 to {MOST}, a seed or a group")
    left = [str(one) for one in faces["stimulus"] if one not in images]
    if left:
        raise DataError(
            f"{len(left)} faces have no image, such as {left[0]!r}", hint="select other faces"
        )
    keys = list(zip(faces[rows] if rows else [""] * len(faces), faces[columns], strict=True))
    if len(set(keys)) < len(keys):
        raise DataError(
            f"several faces have the same {f'{rows} and ' if rows else ''}{columns}",
            hint="select one seed and one group first",
        )
    return dict(zip(keys, map(str, faces["stimulus"]), strict=True))


def _read(images: Mapping[str, Any], stimulus: str) -> Any:
    try:
        return mpl_image.imread(images[stimulus])
    except (OSError, ValueError, SyntaxError, DecompressionBombError) as error:
        raise DataError(
            f"the image of {stimulus!r} cannot be read", hint="check the file"
        ) from error
