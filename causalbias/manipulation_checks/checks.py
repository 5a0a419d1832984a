"""All manipulation checks that a study allows, in tables and in words."""

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
ENROLMENT = ("faces", "identities", "failed", "rate", "lower", "upper", "reasons")
WORST = 3  # cells named


@dataclass(frozen=True)
class Checks:
    """The manipulation checks of a study; prints its findings and what could not be checked.

    Attributes
    ----------
    tables : dict of str to DataFrame
        "dose", "leaks", "identity", "enrolment", and with images "quality" and "duplicates"; those
        that the study allows.
    missing : dict of str to str
        Checks that could not be made, and why.
    prob : float
        Of the intervals.
    """

    tables: dict[str, pd.DataFrame]
    missing: dict[str, str] = field(default_factory=dict)
    prob: float = 0.95

    def findings(self) -> list[str]:
        """The checks' results in plain sentences."""
        said = []
        if "leaks" in self.tables:
            own = self.tables["leaks"].query("own")
            still = ", ".join(own["attribute"][~own["clear"]])
            if still:
                said.append(f"Dose: no perceived change of {still} is clear of zero.")
            elif len(own):
                said.append(
                    "Dose: every manipulated attribute that was asked about is seen to change."
                )
        for name, what in (("leaks", "Leaks"), ("quality", "Image quality")):
            if name in self.tables:
                said.append(f"{what}: {_leak_sentence(self.tables[name], self.prob)}")
        if "identity" in self.tables:
            said += _identity_sentences(self.tables["identity"])
        if "enrolment" in self.tables:
            said.append(_detection_sentence(self.tables["enrolment"]))
        if "duplicates" in self.tables:
            table = self.tables["duplicates"]
            two = int((~table["same_identity"]).sum())
            said.append(
                f"Duplicates: {two:,} near pairs of two seeds, {len(table) - two:,} of one seed; "
                f"{int(table['identical'].sum()):,} of them identical."
            )
        return said

    def __str__(self) -> str:
        lines = ["Manipulation checks", *(f"  {one}" for one in self.findings())]
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
    """All checks that a study allows; those that it does not allow are listed with the reason.

    Parameters
    ----------
    study, scores, prob
        As in `dose`.
    images : mapping of stimulus to path, optional
        From `images_of`: also check image quality and near-duplicates.

    Returns
    -------
    Checks

    Examples
    --------
    >>> import causalbias as cb
    >>> print(cb.manipulation_checks.check_manipulations(cb.demo_study()))
    Manipulation checks
      Dose: ...
      ...
      enrolment: NOT CHECKED (no embeddings in the study).
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
    return Checks(tables, missing, prob)


def _identity_sentences(table: pd.DataFrame) -> list[str]:
    """For each system and for people, the manipulation that keeps identity least."""
    said = []
    for measure, part in table.groupby("measure"):
        told = part.dropna(subset="beyond")
        worst = (
            told.nlargest(1, "beyond")
            if len(told)
            else (
                part.nsmallest(1, "estimate") if measure == HCIC else part.nlargest(1, "estimate")
            )
        )
        row = worst.iloc[0]
        where = f"({row['attribute']} at {row['level']:g}"
        mean = f"{row['estimate']:.3g}, {row['lower']:.3g} to {row['upper']:.3g}; {row['n']} seeds)"
        if len(told):
            said.append(
                f"Identity: at most {row['beyond']:.1%} ({row['beyond_lower']:.1%} to "
                f"{row['beyond_upper']:.1%}; {row['n']} seeds) of faces are beyond {measure}'s "
                f"threshold from their unchanged selves {where})."
            )
        elif measure == HCIC:
            said.append(
                f"Identity: people are least sure that a face is its unchanged self {where}: "
                f"{mean}, on the scale of their answers."
            )
        else:
            said.append(
                f"Identity: {measure}, which has no threshold, moves furthest {where}: mean "
                f"distance {mean}."
            )
    return said


def _detection_sentence(table: pd.DataFrame) -> str:
    """Failures to enrol in all, and the cells with most of them."""
    total = f"{table['failed'].sum():,} of {table['faces'].sum():,} faces failed to enrol"
    systems = table["system"].nunique()
    said = f"Detection: {total}{', over all systems' if systems > 1 else ''}"
    failed = table[table["failed"] > 0]
    if failed.empty:
        return said + "."
    factors = [name for name in table.columns[1:] if name not in ENROLMENT]
    worst = [
        f"{' '.join(str(row[name]) for name in (*factors, 'system'))} {row['failed']} of "
        f"{row['faces']} ({row['lower']:.0%} to {row['upper']:.0%})"
        for _, row in failed.sort_values(["rate", "failed"], ascending=False).head(WORST).iterrows()
    ]
    return f"{said}, in {len(failed)} of {len(table)} cells; most: {'; '.join(worst)}."


def _leak_sentence(table: pd.DataFrame, prob: float) -> str:
    off = table[~table["own"].astype(bool)]
    if off.empty:
        return "only the manipulated attributes were asked about, so that leaks cannot be seen."
    clear = off[off["clear"]]
    said = f"{len(clear)} of {len(off)} intervals of other attributes exclude zero"
    if clear.empty:
        return said + "."
    worst = clear.iloc[int(clear["estimate"].abs().to_numpy().argmax())]
    return (
        f"{said} (about {(1 - prob) * len(off):.1f} would by chance at {prob:.0%}); the largest "
        f"change is that of {worst['question']} by {worst['attribute']}: {worst['estimate']:.3g} "
        f"points ({worst['lower']:.3g} to {worst['upper']:.3g}; {worst['n']} {worst['over']})."
    )


def _by_identity(pairs: pd.DataFrame, study: xr.DataTree) -> pd.DataFrame:
    """Pairs with `same_identity`."""
    identity = to_frame(study, "stimuli").set_index("stimulus")[str(study.attrs["identity"])]
    first, second = (identity.loc[pairs[f"stimulus_{side}"]].to_numpy() for side in "ab")
    return pairs.assign(same_identity=first == second)
