"""Names in the CausalFace release, and the factors of a face that they state."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import pandas as pd

from causalbias.errors import DataError

RACES = ("asian", "black", "white")
GENDERS = ("female", "male")
LEVELS: dict[str, tuple[float, ...]] = {
    "age": (0.8, 1.4, 2.0, 2.3, 2.6, 2.9, 3.2, 3.5, 3.8, 4.4),
    "lighting": (-1, 0, 1, 2, 3, 4, 5, 6),
    "pose": (-3.0, -1.5, 0.0, 1.5, 3.0),
    "smiling": (-2.5, -1.5, -0.5, 0, 0.5, 1, 1.5, 2, 3, 4),
}
# The level at which a face is its prototype. The release does not state it; these are assumptions.
REFERENCES: dict[str, float] = {"age": 2.6, "lighting": 0.0, "pose": 0.0, "smiling": 0.0}
# The scales of perceived gender and skin tone are as published; the others are assumptions.
SCALES: dict[str, tuple[float, float]] = {
    "identity": (0, 4),
    "age": (0, 4),
    "expression": (0, 4),
    "gender": (0, 4),
    "skin_tone": (0, 5),
}
PAIR_QUESTION = "identity"
PROTOTYPE = "prototype"
FACTORS = ["seed", "race", "gender", "attribute", "level"]
TAGS = {"lighting": ("l", "lighting"), "pose": ("y", "pose")}

_NUMBER = r"(?P<level>-?[0-9]+(?:\.[0-9]+)?)(?P<variant>(?:_o2|_corrected|_rm_bg)*)\.png"
IN_TREE = re.compile(
    r"(?:.*/)?final_picked_(?P<folder>[^/]+)/seed_(?P<seed>[0-9]{1,18})/"
    rf"(?P<race>[^/]+)_(?P<gender>[^/_]+)_(?P<tag>[^/_]+)_{_NUMBER}"
)
FLAT = re.compile(
    r"(?:.*/)?seed_(?P<seed>[0-9]{1,18})_race_(?P<race>[^/]+)_gender_(?P<gender>[^/_]+)"
    rf"_(?P<tag>[^/_]+)_{_NUMBER}"
)


@dataclass(frozen=True)
class Design:
    """The values that names in a release may state.

    Attributes
    ----------
    races, genders : sequence of str
        Labels of race and gender.
    levels : mapping of attribute to its levels
        The folder of an attribute is ``final_picked_<attribute>``.
    references : mapping of attribute to the level that leaves the face unchanged
        An attribute that is not given has the release's reference level, or its level nearest to 0
        if the release has no such attribute.
    """

    races: Sequence[str] = RACES
    genders: Sequence[str] = GENDERS
    levels: Mapping[str, Sequence[float]] = field(default_factory=lambda: LEVELS)
    references: Mapping[str, float] | None = None

    def reference(self, attribute: str) -> float:
        """Return the level of an attribute at which a face is its prototype."""
        stated = REFERENCES | dict(self.references or {})
        levels = [float(level) for level in self.levels[attribute]]
        level = stated.get(attribute, min(levels, key=abs))
        if level in levels:
            return level
        if attribute in (self.references or {}):
            raise DataError(
                f"the reference {level:g} of {attribute} is not among its levels",
                hint=f"choose one of {', '.join(f'{other:g}' for other in levels)}",
            )
        return min(levels, key=lambda one: abs(one - level))

    def all_references(self) -> dict[str, float]:
        """Return the reference level of every attribute."""
        for name in self.references or {}:
            if name not in self.levels:
                raise DataError(
                    f"there is a reference for {name!r}, which has no levels",
                    hint=f"attributes: {', '.join(self.levels)}",
                )
        return {attribute: self.reference(attribute) for attribute in self.levels}


def parse_names(names: pd.Series, design: Design, *, file: str, column: str) -> pd.DataFrame:
    """Read seed, race, gender, attribute and level from image names.

    Parameters
    ----------
    names : Series of str
        ``final_picked_age/seed_N/race_gender_age_0.8_o2.png`` as in the image trees, or
        ``seed_N_race_R_gender_G_age_0.png`` as in the annotations, where age 0 stands for the
        prototype unless 0 is a level of age.
    design : Design
        The values that names may state.
    file, column : str
        File and column for error messages, in which rows are counted from 1.

    Returns
    -------
    DataFrame
        Columns `stimulus`, `seed`, `race`, `gender`, `attribute`, `level`, `variant`.

    Raises
    ------
    DataError
        If a name is not of this form, or its race, gender, attribute or level is not in the
        design.
    """
    names = names.astype(str).reset_index(drop=True)
    parts = names.str.extract(f"^{IN_TREE.pattern}$")
    flat = names.str.extract(f"^{FLAT.pattern}$")
    parts = parts.where(parts["seed"].notna(), flat)
    fail = _Failures(names, file, column)
    fail.where(
        parts["seed"].isna(),
        "is not the name of a render",
        "rename it, e.g. final_picked_age/seed_30087/asian_female_age_0.8_o2.png or "
        "seed_30087_race_asian_gender_female_age_0.png",
    )
    for what, labels in (("race", design.races), ("gender", design.genders)):
        fail.where(
            ~parts[what].isin(labels), f"has an unknown {what}", f"known: {', '.join(labels)}"
        )
    level = parts["level"].astype(float) + 0.0  # -0 is 0
    has_zero = 0 in [float(one) for one in design.levels.get("age", ())]
    prototype = parts["folder"].isna() & (parts["tag"] == "age") & (level == 0) & (not has_zero)
    attribute = parts["tag"].map(
        {tag: name for name in design.levels for tag in TAGS.get(name, (name,))}
    )
    attribute = attribute.mask(prototype, PROTOTYPE)
    fail.where(
        attribute.isna() | (parts["folder"].notna() & (parts["folder"] != attribute)),
        "has an attribute that is not in the design or not its folder's",
        f"known: {', '.join(design.levels)}; state others with levels=",
    )
    known = prototype
    for name, levels in design.levels.items():
        known = known | ((attribute == name) & level.isin([float(one) for one in levels]))
    fail.where(
        ~known,
        "has a level that is not in the design",
        "levels: "
        + "; ".join(f"{k} {', '.join(f'{x:g}' for x in v)}" for k, v in design.levels.items()),
    )
    frame = pd.DataFrame(
        {
            "seed": parts["seed"],
            "race": parts["race"],
            "gender": parts["gender"],
            "attribute": attribute,
            "level": level,
        }
    )
    frame.insert(0, "stimulus", stimulus_ids(frame))
    return frame.assign(variant=parts["variant"])


def stimulus_ids(faces: pd.DataFrame) -> pd.Series:
    """Make ids of faces, ``seed_race_gender_attribute_level``, e.g. 30087_asian_female_age_0.8."""
    level = faces["level"].map({one: f"{one:g}" for one in faces["level"].unique()})
    text = faces["seed"].astype(str)
    for part in (faces["race"], faces["gender"], faces["attribute"], level):
        text = text + "_" + part.astype(str)
    return text


def render_paths(faces: pd.DataFrame) -> pd.Series:
    """Return the path of each face's render in the image trees; prototypes have none, ""."""
    paths = pd.Series("", index=faces.index)
    for attribute, rows in faces.groupby("attribute"):
        if attribute == PROTOTYPE:
            continue
        name = str(attribute)
        shape = "{:.1f}" if name in ("age", "pose") else "{:g}"
        level = rows["level"].map({one: shape.format(one) for one in rows["level"].unique()})
        tag = TAGS.get(name, (name,))[0]
        tail = ".png" if name in TAGS else "_o2.png"
        who = rows["race"].astype(str) + "_" + rows["gender"].astype(str)
        folder = f"final_picked_{name}/seed_" + rows["seed"].astype(str) + "/"
        paths.loc[rows.index] = folder + who + f"_{tag}_" + level + tail
    return paths


def annotation_names(faces: pd.DataFrame) -> pd.Series:
    """Return the name of each face in the annotation files."""
    attribute = faces["attribute"].where(faces["attribute"] != PROTOTYPE, "age")
    level = faces["level"].map({one: f"{one:g}" for one in faces["level"].unique()})
    text = "seed_" + faces["seed"].astype(str) + "_race_" + faces["race"].astype(str)
    text = text + "_gender_" + faces["gender"].astype(str)
    return text + "_" + attribute.astype(str) + "_" + level + ".png"


class _Failures:
    """Raise an error for the first name for which a condition holds."""

    def __init__(self, names: pd.Series, file: str, column: str) -> None:
        self.names, self.file, self.column = names, file, column

    def where(self, bad: pd.Series, problem: str, hint: str) -> None:
        wrong = bad.to_numpy(dtype=bool)
        if not wrong.any():
            return
        row = int(wrong.argmax())
        more = int(wrong.sum()) - 1
        raise DataError(
            f"{self.names.iloc[row]!r} {problem}" + (f" ({more:,} more like it)" if more else ""),
            hint=hint,
            file=self.file,
            column=self.column,
            row=row + 1,
        )
