"""Manipulation checks, as ``cb.checks``: all that a study allows, in tables and in words."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import pandas as pd
import xarray as xr

from causalbias.errors import DataError
from causalbias.recognition.machine import enrolment
from causalbias.studies.check_tables import dose, identity_kept, leaks
from causalbias.studies.image_checks import image_scores, near_duplicates
from causalbias.study.frames import to_frame
from causalbias.study.tree import factors_of

__all__ = [
    "Checks",
    "dose",
    "identity_kept",
    "image_scores",
    "leaks",
    "manipulation_checks",
    "near_duplicates",
]


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
    """

    tables: dict[str, pd.DataFrame]
    missing: dict[str, str] = field(default_factory=dict)

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
                said.append(f"{what}: {_leak_sentence(self.tables[name])}")
        if "identity" in self.tables:
            worst = self.tables["identity"].dropna(subset="beyond").nlargest(1, "beyond")
            said += [
                f"Identity: at most {row.beyond:.1%} ({row.beyond_lower:.1%} to "
                f"{row.beyond_upper:.1%}; {row.n} seeds) of faces are beyond {row.measure}'s "
                f"threshold from their unchanged selves ({row.attribute} at {row.level:g})."
                for row in worst.itertuples()
            ]
        if "enrolment" in self.tables:
            table = self.tables["enrolment"]
            said.append(
                f"Detection: {table['failed'].sum():,} of {table['faces'].sum():,} faces failed to "
                "enrol, over all systems."
            )
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


def manipulation_checks(
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
    >>> print(cb.checks.manipulation_checks(cb.demo_study()))
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
    return Checks(tables, missing)


def _leak_sentence(table: pd.DataFrame) -> str:
    off = table[~table["own"].astype(bool)]
    if off.empty:
        return "only the manipulated attributes were asked about, so that leaks cannot be seen."
    clear = off[off["clear"]]
    said = f"{len(clear)} of {len(off)} intervals of other attributes exclude zero"
    if clear.empty:
        return said + "."
    worst = clear.iloc[int(clear["estimate"].abs().to_numpy().argmax())]
    return (
        f"{said} (about {0.05 * len(off):.1f} would by chance at 95%); the largest change is that "
        f"of {worst['question']} by {worst['attribute']}: {worst['estimate']:.3g} points "
        f"({worst['lower']:.3g} to {worst['upper']:.3g}; {worst['n']} {worst['over']})."
    )


def _by_identity(pairs: pd.DataFrame, study: xr.DataTree) -> pd.DataFrame:
    """Pairs with `same_identity`."""
    identity = to_frame(study, "stimuli").set_index("stimulus")[str(study.attrs["identity"])]
    first, second = (identity.loc[pairs[f"stimulus_{side}"]].to_numpy() for side in "ab")
    return pairs.assign(same_identity=first == second)
