"""Simulated old/new answers with known sensitivity and criterion, by own and other group."""

import numpy as np
import pandas as pd

from causalbias.arguments import generator, number_in, whole_in

GROUPS = ("black", "white")
CUTS = np.array([-1.2, -0.6, 0.0, 0.6, 1.2])  # of confidence, beside the criterion
SDS = {"subject": (0.4, 0.3), "face": (0.4, 0.3), "subject:face_group": (0.15, 0.15)}


def simulate_recognition(
    subjects: int = 30,
    faces: int = 40,
    *,
    d_prime: float = 1.5,
    own_group: float = 0.4,
    criterion: float = 0.1,
    own_criterion: float = 0.2,
    zroc_slope: float = 1.0,
    random_seed: int = 1,
) -> pd.DataFrame:
    """Simulate a test of recognition memory: whether a face was shown before.

    With s = 1/2 for old faces and -1/2 for new ones, a subject's evidence on a face is

    d s - c + (subject + face + subject by group of the face) + noise,

    whose parts are intercepts and slopes by s, and whose noise is normal, with a standard deviation
    of 1 for new faces and of 1 / `zroc_slope` for old ones. An answer is "old" where the evidence
    is positive. Half of the faces, others for each subject, are old.

    Parameters
    ----------
    subjects, faces : int
        Numbers, half of each group.
    d_prime, criterion : float
        Means over own and other group.
    own_group, own_criterion : float
        How much larger d' and the criterion are for faces of the subject's own group.
    zroc_slope : float
        Above 0. In recognition of words and faces it is often near 0.8: evidence on old faces
        varies more.
    random_seed : int

    Returns
    -------
    DataFrame
        `subject`, `subject_group`, `face`, `face_group`, `old` (bool), `answer` ("old", "new"),
        `confidence` (1, sure that it is new, to 6, sure that it is old). ``.attrs["truth"]``: the
        five parameters, and ``d_a``, ``c_a``, ``own_d_a``, ``own_c_a``, what the four before the
        slope are in units of both noises' root mean square (see `analyse_signal_detection`).

    Examples
    --------
    >>> simulate_recognition(subjects=4, faces=6).shape
    (24, 7)
    """
    subjects, faces = whole_in(subjects, "subjects", 4), whole_in(faces, "faces", 4)
    truth = {
        "d_prime": number_in(d_prime, "d_prime"),
        "own_group": number_in(own_group, "own_group"),
        "criterion": number_in(criterion, "criterion"),
        "own_criterion": number_in(own_criterion, "own_criterion"),
    }
    slope_of_roc = number_in(zroc_slope, "zroc_slope", 0, 100)
    truth |= {"zroc_slope": slope_of_roc, **_in_both_noises(truth, slope_of_roc)}
    random = generator(random_seed)
    of_subject, of_face = np.arange(subjects) % 2, np.arange(faces) // 2 % 2
    subject, face = np.divmod(np.arange(subjects * faces), faces)
    old = np.concatenate([random.permutation(np.arange(faces) % 2 == 0) for _ in range(subjects)])
    own = np.where(of_subject[subject] == of_face[face], 0.5, -0.5)
    effects = {
        "subject": random.normal(size=(subjects, 2))[subject],
        "face": random.normal(size=(faces, 2))[face],
        "subject:face_group": random.normal(size=(subjects, 2, 2))[subject, of_face[face]],
    }
    level, slope = (sum(sd[at] * effects[name][:, at] for name, sd in SDS.items()) for at in (0, 1))
    signal = np.where(old, 0.5, -0.5)
    mean = signal * (truth["d_prime"] + own * truth["own_group"] + slope) + level
    evidence = mean - truth["criterion"] - own * truth["own_criterion"]
    evidence = evidence + random.normal(size=len(subject)) / np.where(old, slope_of_roc, 1.0)
    frame = pd.DataFrame(
        {
            "subject": [f"s{one + 1:03d}" for one in subject],
            "subject_group": np.array(GROUPS)[of_subject[subject]],
            "face": [f"f{one + 1:03d}" for one in face],
            "face_group": np.array(GROUPS)[of_face[face]],
            "old": old,
            "answer": np.where(evidence > 0, "old", "new"),
            "confidence": 1 + np.searchsorted(CUTS, evidence),
        }
    )
    frame.attrs["truth"] = truth
    return frame


def _in_both_noises(truth: dict[str, float], slope: float) -> dict[str, float]:
    """Sensitivity and criterion in units of the root mean square of both noises."""
    unit = np.sqrt((1 + slope**-2) / 2)
    lean = (1 - slope) / (1 + slope) / 2
    found = {}
    for end, d, c in (("", "d_prime", "criterion"), ("own_", "own_group", "own_criterion")):
        found[f"{end}d_a"] = float(truth[d] / unit)
        found[f"{end}c_a"] = float((truth[c] + lean * truth[d]) / unit)
    return found
