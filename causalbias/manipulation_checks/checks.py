"""Run all manipulation checks that a study allows, and summarise them in sentences."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import pandas as pd
import xarray as xr

from causalbias.errors import DataError
from causalbias.manipulation_checks.images import image_scores, near_duplicates
from causalbias.manipulation_checks.tables import dose, identity_kept, leaks
from causalbias.rates.enrolment import enrolment
from causalbias.study.frames import to_frame
from causalbias.study.tree import factors_of

HCIC = "HCIC"
PEOPLE = "people"
ENROLMENT = (
    "system",
    "detector",
    "faces",
    "identities",
    "failed",
    "rate",
    "lower",
    "upper",
    "reasons",
)
WORST = 3  # number of cells that a sentence lists


@dataclass(frozen=True)
class Checks:
    """The manipulation checks of a study, which print as sentences.

    Attributes
    ----------
    tables : dict of str to DataFrame
        Results of the checks that the study allows: "dose", "leaks", "identity", "enrolment", and,
        with images, "quality" and "duplicates".
    missing : dict of str to str
        Reason for each check that could not be made.
    prob : float
        Probability of the intervals.
    judge : str
        Whose scores "dose" and "leaks" are of: "people", or the name of a classifier.
    """

    tables: dict[str, pd.DataFrame]
    missing: dict[str, str] = field(default_factory=dict)
    prob: float = 0.95
    judge: str = PEOPLE

    def findings(self) -> list[str]:
        """Describe the results of the checks in sentences."""
        sentences = []
        if "leaks" in self.tables:
            own = self.tables["leaks"].query("own")
            still = ", ".join(own["attribute"][~own["clear"]])
            if still:
                sentences.append(f"Dose: all intervals of the changes of {still} include zero.")
            elif len(own):
                sentences.append(
                    "Dose: people see a change of every manipulated attribute that was asked about."
                    if self.judge == PEOPLE
                    else f"Dose: the scores of {self.judge} change with every manipulated "
                    "attribute that they are about."
                )
        for name, what in (("leaks", "Leaks"), ("quality", "Image quality")):
            if name in self.tables:
                judge = self.judge if name == "leaks" else PEOPLE
                by = "" if judge == PEOPLE else f", by the scores of {judge}"
                found = _leak_sentence(self.tables[name], self.prob, judge)
                sentences.append(f"{what}{by}: {found}")
        if "identity" in self.tables:
            sentences += _identity_sentences(self.tables["identity"])
        if "enrolment" in self.tables:
            sentences.append(_detection_sentence(self.tables["enrolment"]))
        if "duplicates" in self.tables:
            table = self.tables["duplicates"]
            two = int((~table["same_identity"]).sum())
            sentences.append(
                f"Duplicates: {two:,} nearly equal pairs of different seeds, and "
                f"{len(table) - two:,} of the same seed; {int(table['identical'].sum()):,} of them "
                "are identical."
            )
        return sentences

    def __str__(self) -> str:
        lines = ["Manipulation checks", *(f"  {finding}" for finding in self.findings())]
        lines += [f"  {name}: NOT CHECKED ({why})." for name, why in self.missing.items()]
        return "\n".join(lines)

    __repr__ = __str__


def check_manipulations(
    study: xr.DataTree,
    scores: pd.DataFrame | None = None,
    *,
    images: Mapping[str, object] | None = None,
    prob: float = 0.95,
) -> Checks:
    """Run all manipulation checks that a study allows.

    Parameters
    ----------
    study, scores, prob
        As in `dose`.
    images : mapping of stimulus to path, optional
        Images, as `images_of` returns them. If given, their quality is checked, and near-duplicates
        are searched.

    Returns
    -------
    Checks
        The results, and the reason for each check that could not be made.

    Examples
    --------
    >>> import causalbias as cb
    >>> print(cb.manipulation_checks.check_manipulations(cb.demo_study()))
    Manipulation checks
      Dose: ...
      ...
      enrolment: NOT CHECKED (the study has no embeddings).
    """
    cell = [name for name in factors_of(study) if name != study.attrs["identity"]]
    made: dict[str, Callable[[], pd.DataFrame]] = {
        "dose": lambda: dose(study, scores, prob=prob),
        "leaks": lambda: leaks(study, scores, prob=prob),
        "identity": lambda: identity_kept(study, prob=prob),
        "enrolment": lambda: enrolment(study, cell, prob=prob),
    }
    if images is not None:
        made["quality"] = lambda: leaks(study, image_scores(images), prob=prob)
        made["duplicates"] = lambda: _by_identity(near_duplicates(images), study)
    tables, missing = {}, {}
    for name, make in made.items():
        try:
            tables[name] = make()
        except DataError as error:
            missing[name] = error.problem
    return Checks(tables, missing, prob, _judge_of(scores))


def _judge_of(scores: pd.DataFrame | None) -> str:
    """Return whose scores are checked."""
    if scores is None:
        return PEOPLE
    return str(scores["judge"].iloc[0]) if "judge" in scores and len(scores) else "the classifier"


def _identity_sentences(table: pd.DataFrame) -> list[str]:
    """Describe, for each system and for people, the manipulation that changes identity most."""
    sentences = []
    for measure, part in table.groupby("measure"):
        with_threshold = part.dropna(subset="beyond")
        worst = (
            with_threshold.nlargest(1, "beyond")
            if len(with_threshold)
            else (
                part.nsmallest(1, "estimate") if measure == HCIC else part.nlargest(1, "estimate")
            )
        )
        row = worst.iloc[0]
        place = f"{row['attribute']} at {row['level']:g}"
        mean = f"{row['estimate']:.3g}, {row['lower']:.3g} to {row['upper']:.3g}; {row['n']} seeds)"
        if len(with_threshold):
            sentences.append(
                f"Identity: the largest share of faces that {measure} does not match with the "
                f"unchanged face is {row['beyond']:.1%} ({row['beyond_lower']:.1%} to "
                f"{row['beyond_upper']:.1%}; {row['n']} seeds), for {place}."
            )
        elif measure == HCIC:
            sentences.append(
                "Identity: people are least certain that a changed and the unchanged face show "
                f"the same person ({place}: {mean}, on the scale of their answers."
            )
        else:
            sentences.append(
                f"Identity: {measure}, which has no threshold, has the largest mean distance to "
                f"the unchanged face ({place}: {mean}."
            )
    return sentences


def _detection_sentence(table: pd.DataFrame) -> str:
    """Describe the number of failures to enrol, and the cells with the highest rates."""
    total = f"{table['failed'].sum():,} of {table['faces'].sum():,} faces failed to enrol"
    systems = table["system"].nunique()
    sentence = f"Detection: {total}{', over all systems' if systems > 1 else ''}"
    failed = table[table["failed"] > 0]
    if failed.empty:
        return sentence + "."
    factors = [name for name in table.columns if name not in ENROLMENT]
    worst = [
        f"{' '.join(str(row[name]) for name in (*factors, 'system'))} {row['failed']} of "
        f"{row['faces']} ({row['lower']:.0%} to {row['upper']:.0%})"
        for _, row in failed.sort_values(["rate", "failed"], ascending=False).head(WORST).iterrows()
    ]
    return f"{sentence}, in {len(failed)} of {len(table)} cells; most: {'; '.join(worst)}."


def _leak_sentence(table: pd.DataFrame, prob: float, judge: str) -> str:
    off = table[~table["own"].astype(bool)]
    if off.empty:
        asked = "people were asked" if judge == PEOPLE else "they are"
        return f"{asked} about the manipulated attributes only, so leaks cannot be seen."
    clear = off[off["clear"]]
    sentence = f"{len(clear)} of {len(off)} intervals of other attributes exclude zero"
    if clear.empty:
        return sentence + "."
    unit = " points" if judge == PEOPLE else ""
    worst = clear.iloc[int(clear["estimate"].abs().to_numpy().argmax())]
    return (
        f"{sentence} ({(1 - prob) * len(off):.1f} are expected by chance at {prob:.0%}); the "
        f"largest change is that of {worst['question']} by {worst['attribute']}: "
        f"{worst['estimate']:.3g}{unit} ({worst['lower']:.3g} to {worst['upper']:.3g}; "
        f"{worst['n']} {worst['over']})."
    )


def _by_identity(pairs: pd.DataFrame, study: xr.DataTree) -> pd.DataFrame:
    """Add `same_identity` to pairs."""
    identity = to_frame(study, "stimuli").set_index("stimulus")[str(study.attrs["identity"])]
    first, second = (identity.loc[pairs[f"stimulus_{side}"]].to_numpy() for side in "ab")
    return pairs.assign(same_identity=first == second)
