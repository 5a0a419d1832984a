"""Designs of group terms: which effects vary over which levels, row by row.

bambi and formulae expand a grouping factor into a dense indicator matrix, which at 48,000 levels
and 144,000 rows is 51 GiB. Here a row keeps its level's number instead.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import combinations
from typing import Any

import formulae as fm
import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import sparse

from causalbias.datasets.scores.checks import zeros_lost
from causalbias.errors import DataError
from causalbias.inference.membership import membership
from causalbias.models.centring import centring_of, parts_of
from causalbias.models.evaluation import evaluate, forget_rows, portable, without_slashes
from causalbias.models.formula.contrasts import NAMESPACE
from causalbias.models.formula.group_terms import group_parts
from causalbias.models.formula.parse import building, flat_formula, one_level
from causalbias.study.columns import as_texts, check_label_texts, is_number, labels, measured


@dataclass(frozen=True)
class GroupDesign:
    """The effects of one factor written in one pair of parentheses.

    Attributes
    ----------
    factor : str
        As in the posterior: ``"seed"``, ``"seed:race"`` or ``"mm(seed_a, seed_b)"``.
    members : tuple of tuple of str
        The columns whose values, joined, name a level; one tuple a member of the row.
    levels : ndarray of str
        Sorted labels of the levels.
    effects : dict of str to tuple of str
        For each of bambi's terms (``"1"``, ``"pose"``) the labels of its columns; none if it has
        just one.
    correlated : bool
        Whether the effects of a level are correlated.
    common : formulae CommonEffectsMatrix
        Evaluates the effects' columns.
    terms : tuple of str
        Names in the posterior, one an effect: bambi's (``"1|seed"``), but that an effect which an
        earlier term gives the same factor already is numbered, ``"1|seed#2"``.
    correlation : str
        Name of the correlations in the posterior: ``"cor|seed"``, numbered likewise.
    kept : tuple of bool
        Which columns of `common` are not zero in every row fitted (a cell without rows), of whose
        spread nothing would be known; only those have effects.
    weights : tuple of str
        The columns of the members' weights; empty for equal ones.
    scaled : bool
        Whether a row's weights are divided by their sum.
    within : tuple of str, optional
        A column and its level, whose rows alone have these effects, as in ``gr(seed, by=race)``;
        None for all rows.
    shared : str
        What ``(1|p|seed)`` has between its bars: effects of the terms of several formulas that
        share it are correlated. Empty for none.
    """

    factor: str
    members: tuple[tuple[str, ...], ...]
    levels: NDArray[np.str_]
    effects: dict[str, tuple[str, ...]]
    correlated: bool
    common: Any
    terms: tuple[str, ...] = ()
    correlation: str = ""
    kept: tuple[bool, ...] = ()
    weights: tuple[str, ...] = ()
    scaled: bool = True
    within: tuple[str, str] | None = None
    shared: str = ""

    def names(self) -> list[str]:
        """Names of the terms in the posterior, ``"1|seed"``."""
        return list(self.terms)

    def sizes(self) -> list[int]:
        """Number of columns of each term."""
        return [max(1, len(labels)) for labels in self.effects.values()]

    def columns_used(self) -> set[str]:
        """Columns of the data that the effects or the factor depend on."""
        of_effects = {name for term in self.common.terms.values() for name in _variables(term)}
        of_rows = () if self.within is None else self.within[:1]
        return of_effects.union(*self.members, self.weights, of_rows)

    def own_rows(self, frame: pd.DataFrame) -> NDArray[np.bool_]:
        """Which rows (rows,) have these effects."""
        if self.within is None:
            return np.ones(len(frame), bool)
        texts, rows = _labels(frame, self.within[:1])
        return np.asarray((texts == self.within[1])[rows])

    def columns(self, frame: pd.DataFrame) -> NDArray[np.float64]:
        """Covariates (rows, k) whose coefficients vary; zero in rows without these effects."""
        found = evaluate(self.common, frame)[:, np.array(self.kept, bool)]
        return found if self.within is None else found * self.own_rows(frame)[:, None]

    def shares(self, frame: pd.DataFrame) -> NDArray[np.float64]:
        """Weight (rows, members) of each member's effects in a row's.

        Raises
        ------
        DataError
            If weights are no numbers, or are to be scaled and negative or all zero.
        """
        if not self.weights:
            return np.full((len(frame), len(self.members)), 1 / len(self.members))
        found = np.column_stack([measured(frame[one], file="data") for one in self.weights])
        if not self.scaled:
            return found
        total = found.sum(axis=1, keepdims=True)
        bad = (found < 0).any(axis=1) | ~(total[:, 0] > 0)
        if bad.any():
            raise DataError(
                f"weights of {self.factor} are negative or all zero",
                hint="correct them, or take them as they are: mm(..., scale=FALSE)",
                column=self.weights[0],
                row=int(bad.argmax()) + 1,
            )
        return np.asarray(found / total)

    def codes(self, frame: pd.DataFrame) -> NDArray[np.int64]:
        """Level (rows, members) of each row.

        Raises
        ------
        DataError
            If a row's level was not in the data fitted.

        Notes
        -----
        Rows without these effects have the number zero.
        """
        index = pd.Index(self.levels)
        labelled = [_labels(frame, names) for names in self.members]
        codes = np.column_stack(
            [index.get_indexer(pd.Index(texts))[rows] for texts, rows in labelled]
        )
        codes[~self.own_rows(frame)] = 0
        if (codes < 0).any():
            row, member = (int(one[0]) for one in np.nonzero(codes < 0))
            texts, rows = labelled[member]
            raise DataError(
                f"no row of {self.factor} {str(texts[rows[row]])!r} was fitted, so nothing is "
                "known of what is its own",
                hint="use population='new' (of others like these), or 'typical'",
                row=row + 1,
            )
        return codes.astype(np.int64)

    def concentration(self, frame: pd.DataFrame) -> NDArray[np.float64]:
        """Variance (rows,) of a row's mean over its members, per unit of variance of a level.

        With equal weights, one where a row has one member, or members that are the same, and a half
        for two that differ: ``sum_lm w_l w_m [members l and m are the same]``.
        """
        if len(self.members) == 1:
            return np.ones(len(frame))
        labels = [texts[rows] for texts, rows in (_labels(frame, n) for n in self.members)]
        weights = self.shares(frame).T
        found = np.zeros(len(frame))
        for left, u in zip(labels, weights, strict=True):
            for right, v in zip(labels, weights, strict=True):
                found += u * v * (left == right)
        return found

    def matrix(self, frame: pd.DataFrame) -> sparse.csr_matrix:
        """Design (rows, levels x k) of the effects, level by level."""
        codes, shares = self.codes(frame), self.shares(frame)
        return membership(self.columns(frame), codes, len(self.levels), shares)

    def centring(
        self,
        frame: pd.DataFrame,
        *,
        centre: bool | None = None,
        repeats: NDArray[np.float64] | None = None,
    ) -> NDArray[np.float64]:
        """The matrix T (k, k) of `centring_of` by which the effects' columns are centred.

        Parameters
        ----------
        frame : DataFrame
            The rows fitted.
        centre : bool, optional
            Whether to centre, or only to scale; by default where effects are correlated: only
            then is the model of the centred columns the same model.
        repeats : ndarray (rows,), optional
            How often each row counts; once by default.
        """
        names = ["Intercept" if effect == "1" else effect for effect in self.effects]
        parts = parts_of(self.common.terms, dict(zip(names, self.sizes(), strict=True)))
        centre = self.correlated if centre is None else centre
        own = self.own_rows(frame)
        often = None if repeats is None else repeats[own]
        return centring_of([self.columns(frame)[own]], parts, centre=centre, repeats=often)


def group_designs(formula: str, used: pd.DataFrame) -> list[GroupDesign]:
    """The designs of a formula's group terms.

    Raises
    ------
    DataError
        If a term has no effect, is there twice, or has a factor of one level among its effects.

    Examples
    --------
    >>> rows = pd.DataFrame({"y": [1.0, 2], "x": [0.5, 1], "w": [1.0, 3], "g": ["a", "b"]})
    >>> [d.names() for d in group_designs("y ~ (x|g) + (w|g)", rows)]
    [['1|g', 'x|g'], ['1|g#2', 'w|g']]
    >>> rows = pd.DataFrame({"y": [1.0, 2], "x": [0.5, 1], "g": ["a", "b"], "h": ["u", "u"]})
    >>> [(d.names(), d.levels.tolist()) for d in group_designs("y ~ (x|g) + (1|h/g)", rows)]
    [(['1|g', 'x|g'], ['a', 'b']), (['1|h'], ['u']), (['1|h:g'], ['u:a', 'u:b'])]
    """
    designs: list[GroupDesign] = []
    for part in group_parts(formula):
        with building(formula, used):
            written = flat_formula(f"cb_response ~ {part.effects}").split("~", 1)[1]
            matrices = fm.design_matrices(written, used, "error", 0, NAMESPACE)
        common = matrices.common
        if common is None or not common.slices:
            raise DataError(
                f"no effect varies in ({part.effects}|{part.factor})", hint="write (1|factor)"
            )
        for name in common.slices:
            if np.size(common.terms[name].data) == 0:
                raise one_level(name, used)
        without_slashes(common)
        factors = {part.factor: tuple((name,) for name in part.members)}
        if not part.members:
            nested = fm.model_description(f"y ~ 0 + (1|{part.factor})").group_terms
            names = [term.name.split("|", 1)[1] for term in nested]
            factors = {name: (tuple(name.split(":")),) for name in names}
        for factor, members in factors.items():
            found = [_labels(used, names)[0] for names in members]
            for columns, texts in zip(members, found, strict=True):
                if len(columns) > 1:
                    check_labels(texts, factor)
            levels = np.unique(np.concatenate(found))
            if len(members) > 1:  # each column has been looked at by itself
                check_members(factor, found)
            effects, kept = _effects(common)
            design = GroupDesign(
                factor,
                members,
                levels,
                effects,
                part.correlated,
                common,
                kept=kept,
                weights=part.weights,
                scaled=part.scaled,
                shared=part.shared,
            )
            design.shares(used)  # or an error
            designs += [design] if not part.by else _divided(design, part.by, used)
        forget_rows(common, used)
    return _named(designs)


def check_members(factor: str, members: Sequence[np.ndarray]) -> None:
    """Refuse ids of members that look alike, or have lost zeros at their start in one column.

    Parameters
    ----------
    factor : str
        Name of the grouping, for errors.
    members : sequence of ndarray of str
        Texts of each column.
    """
    check_label_texts(pd.Series(np.unique(np.concatenate(members)), name=factor), "data")
    for one, other in combinations([set(each.tolist()) for each in members], 2):
        lost = zeros_lost(one - other, other - one)
        if lost is not None:
            raise DataError(
                f"{factor}: {lost[0]!r} of one column is {lost[1]!r} in another, as where zeros "
                "were lost, so that they would be two levels",
                hint="write ids alike, as text",
            )


def _divided(design: GroupDesign, by: str, used: pd.DataFrame) -> list[GroupDesign]:
    """The designs of the levels of a factor that belong to each level of another column.

    Raises
    ------
    DataError
        If a level belongs to two.
    """
    (names,) = design.members
    texts, rows = _labels(used, names)
    divisions, of_row = _labels(used, (by,))
    both = np.unique(np.column_stack([rows, of_row]), axis=0)
    level, count = np.unique(both[:, 0], return_counts=True)
    if (count > 1).any():
        one = level[count > 1][0]
        first, second = divisions[both[both[:, 0] == one, 1][:2]]
        raise DataError(
            f"{design.factor} {str(texts[one])!r} has rows of {by} {str(first)!r} and of "
            f"{str(second)!r}: its effects have one standard deviation",
            hint=f"let effects differ within levels by a slope: (0 + {by}||{design.factor})",
            column=by,
        )
    found = []
    for number in np.argsort(divisions):
        own = np.unique(texts[both[both[:, 1] == number, 0]])
        effects, kept = _effects(design.common, of_row == number)
        name = portable(f"gr({design.factor}, {by}={divisions[number]})")
        within = (by, str(divisions[number]))
        found.append(
            replace(design, factor=name, levels=own, effects=effects, kept=kept, within=within)
        )
    return found


def _effects(
    common: Any, rows: NDArray[np.bool_] | slice = slice(None)
) -> tuple[dict[str, tuple[str, ...]], tuple[bool, ...]]:
    """Labels of the effects of each term whose columns are not all zero, and which columns.

    ``rows``: those that have the effects.
    """
    effects: dict[str, tuple[str, ...]] = {}
    kept: list[bool] = []
    for name in common.slices:
        term = common.terms[name]
        data = np.asarray(term.data, float).reshape(len(term.data), -1)
        some = (data[rows] != 0).any(axis=0)
        labels = _column_labels(name, term)
        if some.any():
            effects["1" if name == "Intercept" else name] = tuple(
                label for label, one in zip(labels, some, strict=False) if one
            )
        kept += some.tolist()
    return effects, tuple(kept)


def _named(designs: Sequence[GroupDesign]) -> list[GroupDesign]:
    """The designs with names that differ: a factor may have several terms, as in lme4."""
    taken: set[str] = set()
    found = []
    for at, one in enumerate(designs):
        columns = {frozenset(names) for names in one.members}
        for other in designs[:at]:
            same = columns == {frozenset(names) for names in other.members}
            same &= (one.weights, one.within) == (other.weights, other.within)
            if same and list(other.effects) == list(one.effects):
                raise DataError(
                    f"({' + '.join(one.effects)}|{one.factor}) is in the formula twice",
                    hint="leave one out (a/b stands for a and a:b)",
                )
        if "cor" in one.effects:
            raise DataError(
                f"the effects of 'cor' would be called 'cor|{one.factor}', as are correlations",
                hint="rename the column",
                column="cor",
            )
        terms = tuple(_free(f"{effect}|{one.factor}", taken) for effect in one.effects)
        several = one.correlated and sum(one.sizes()) > 1
        correlation = _free(f"cor|{one.factor}", taken) if several else ""
        found.append(replace(one, terms=terms, correlation=correlation))
    for one in found:
        for name in one.terms:
            if f"{name}_sigma" in taken:
                raise DataError(
                    f"the effects of the factor {one.factor}_sigma have the name of the standard "
                    f"deviations of those of {one.factor}",
                    hint="rename the column",
                    column=f"{one.factor}_sigma",
                )
    return found


def _free(name: str, taken: set[str]) -> str:
    """The name, numbered if it is taken; added to those taken."""
    number, chosen = 1, name
    while chosen in taken:
        number += 1
        chosen = f"{name}#{number}"
    taken.add(chosen)
    return chosen


def check_labels(labels: NDArray[np.str_], of: str) -> None:
    """Refuse levels that differ and yet have the same label, as "a:b" by "c" and "a" by "b:c".

    Raises
    ------
    DataError
        Naming the label.
    """
    found, counts = np.unique(labels, return_counts=True)
    if (counts > 1).any():
        raise DataError(
            f"different levels of {of!r} are both written {str(found[counts > 1][0])!r}",
            hint="rename levels, without ':' and ','",
        )


def _variables(term: Any) -> set[str]:
    return set(getattr(term, "var_names", ()))


def _labels(
    frame: pd.DataFrame, names: tuple[str, ...]
) -> tuple[NDArray[np.str_], NDArray[np.int64]]:
    """Labels of the values that columns have together, ``"a:b"``, and which of them each row has.

    Columns are numbered first and written last: a thousand rows of one level are one text.
    """
    labels, rows = _labels_of(frame[names[0]])
    for name in names[1:]:
        others, more = _labels_of(frame[name])
        rows, both = pd.factorize(rows * len(others) + more)
        left, right = np.divmod(both, len(others))
        labels = np.char.add(np.char.add(labels[left], ":"), others[right])
    return labels, rows


def texts_of(values: pd.Series) -> NDArray[np.str_]:
    """Text (rows,) of each row's value as group terms write levels: a number 7.0 is "7".

    Of two columns of members, one may hold whole numbers and the other floats.

    Examples
    --------
    >>> texts_of(pd.Series([7.0, 12.0])).tolist()
    ['7', '12']
    """
    texts, rows = _labels_of(values)
    return texts[rows]


def _labels_of(values: pd.Series) -> tuple[NDArray[np.str_], NDArray[np.int64]]:
    """Labels of a column of a model, and which of them each row has: a number 7.0 is "7"."""
    rows, distinct = pd.factorize(values, use_na_sentinel=False)
    each = pd.Series(distinct, name=values.name)
    if not is_number(values):
        return as_texts(each), rows
    try:
        return as_texts(labels(each, file="data")), rows
    except DataError:
        labels(values, file="data")  # raises it with the row
        raise


def _column_labels(name: str, term: Any) -> tuple[str, ...]:
    """Labels as bambi writes them: none for a single numeric column."""
    if term.kind in ("intercept", "numeric") and (
        np.ndim(term.data) == 1 or term.data.shape[1] == 1
    ):
        return ()
    if term.kind == "categoric":
        return tuple(label.removeprefix(f"{name}[").removesuffix("]") for label in term.labels)
    return tuple(map(str, term.labels))
