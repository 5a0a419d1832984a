"""Convert columns of tables to the types of a study.

A column holds numbers, whole numbers, truth values, texts, or levels (a categorical whose
categories are texts, in the data's order). `typed` converts a column to one of these types,
`labels` converts ids and factors to text, and `pack` and `unpack` store columns in xarray. The
table in ``docs/explanation/columns.md`` lists what each type becomes.
"""

import datetime
import decimal
import fractions
import json
import numbers
import re
import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa

from causalbias.errors import DataError, at_first, shown

# What Excel writes in place of a value that it could not compute: damage, and no value.
SPREADSHEET_ERRORS = frozenset(
    ("#REF!", "#VALUE!", "#DIV/0!", "#NAME?", "#NUM!", "#NULL!", "#SPILL!", "#CALC!")
)
# Texts that stand for a missing cell, in files as in frames: those of pandas.read_csv, and damage.
MISSING_TEXTS = frozenset(
    (
        *("", "#N/A", "#N/A N/A", "#NA", "-1.#IND", "-1.#QNAN", "1.#IND", "1.#QNAN"),
        *("<NA>", "N/A", "NA", "n/a", "NaN", "nan", "-NaN", "-nan", "NaT"),
        *("NULL", "null", "None"),
        *SPREADSHEET_ERRORS,
    )
)
# Texts that people write where a group is not known. They are levels like others, as in R.
UNKNOWN_TEXTS = frozenset(
    (
        *("-", "--", "---", "\u2013", "\u2014", "?", "??", ".", "na", "n.a.", "n.a", "n/k"),
        *("unknown", "unk", "not known", "unspecified", "not specified", "undefined"),
        *("undetermined", "not available", "not applicable", "missing", "no data", "no answer"),
    )
)
EXACT = 2**53  # beyond it, not every whole number is a float64
LOST = "is a float: an id of so many digits has lost some"
FAR = 5  # times the largest other number: a code such as 999 rather than a number
ALIKE = "write both alike, or tell them apart"
WRITE_TEXT = "give the column as text, as it was written first"
MONTHS = "Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec"
MINUS = re.compile(r"(?<![^\s_])-(?=\.?[0-9])")  # the sign of a number, at its start
# What a spreadsheet makes of an id that looks like a number or a date to it.
ROUNDED = re.compile(r"-?[0-9](?:[.,][0-9]+)?E[+-][0-9]{2,3}|[0-9]\.[0-9]{9,}e\+[0-9]{2}")
DATED = re.compile(rf"[0-3]?[0-9]-(?:{MONTHS})(?:-(?:[0-9]{{2}}|[0-9]{{4}}))?")
LONG = re.compile(r"[1-9][0-9]{15,}")
MOMENT = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9:.]+[+-][0-9]{2}:[0-9]{2}")
POINT_ZERO = re.compile(r"^(-?[0-9]+)\.0+$")
# A number written as text, such as a level "+2", "-0.5" or "1e-3"; "01" is a name.
NUMBER_TEXT = re.compile(r"[+-]?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][+-]?[0-9]{1,3})?")


def typed(values: pd.Series, *, file: str) -> pd.Series:
    """Convert a column to numbers, truth values, texts or levels; missing cells stay missing.

    Parameters
    ----------
    values : Series
        Column of any type of pandas.
    file : str
        Name used in errors.

    Returns
    -------
    Series
        Of type int64, float64, bool; Int64 or boolean where cells are missing; str; or a
        categorical of texts. Whole numbers beyond 2^53, dates and times become text (ISO 8601),
        durations seconds, intervals levels from low to high.

    Raises
    ------
    DataError
        If the column holds values of other types, or values of different types that are written
        alike, such as 1 and "1".

    Examples
    --------
    >>> typed(pd.Series([1, None, 3], dtype="Int64"), file="data").tolist()
    [1, <NA>, 3]
    >>> typed(pd.cut(pd.Series([20, 60]), [0, 35, 99]), file="data").tolist()
    ['(0, 35]', '(35, 99]']
    """
    kind = values.dtype
    if isinstance(kind, pd.CategoricalDtype):
        return _levels(values, file)
    if isinstance(kind, pd.IntervalDtype):
        found = sorted(values.dropna().unique())
        return _levels(values.astype(pd.CategoricalDtype(found, ordered=True)), file)
    if isinstance(kind, pd.ArrowDtype) and pa.types.is_dictionary(kind.pyarrow_dtype):
        # The dictionary of an unordered one is in the order in which its values came.
        plain = values.array.__arrow_array__().to_pandas()
        plain = plain if kind.pyarrow_dtype.ordered else plain.astype(object)
        return typed(plain.set_axis(values.index).rename(values.name), file=file)
    if isinstance(kind, pd.SparseDtype):
        return typed(pd.Series(np.asarray(values), values.index, name=values.name), file=file)
    if isinstance(kind, pd.PeriodDtype) or pd.api.types.is_datetime64_any_dtype(kind):
        return _texts(_dates(values), file)
    if pd.api.types.is_timedelta64_dtype(kind) or "duration" in str(kind):
        return pd.to_timedelta(values).dt.total_seconds().astype("float64")
    if pd.api.types.is_object_dtype(kind):
        return _objects(values, file)
    if pd.api.types.is_bool_dtype(kind):
        missing = values.isna().any()
        return values.astype("boolean" if missing else bool)
    if pd.api.types.is_integer_dtype(kind):
        return _whole(values)
    if pd.api.types.is_float_dtype(kind):
        return values.astype("float64") + 0.0  # -0.0 is another text than 0.0
    if pd.api.types.is_complex_dtype(kind):
        raise _value_at(
            np.ones(len(values), bool), values, file, "is a complex number", "give real ones"
        )
    if isinstance(kind, pd.StringDtype):
        return _texts(values, file)
    return _objects(values, file)


def labels(values: pd.Series, *, file: str) -> pd.Series:
    """Convert a column of labels, such as ids and groups, to text; missing cells stay missing.

    Whole numbers are written without a decimal point, also if a missing cell has converted them to
    floats ("7", and not "7.0"). Spaces around a text are removed.

    Returns
    -------
    Series
        Of type str; a categorical of texts keeps its levels.

    Raises
    ------
    DataError
        If two different labels look alike ("7" and "7.0", "7" and "7 ", 1 and "1"; but "07" and "7"
        are accepted), if floats have lost digits, or if a spreadsheet has converted a label
        ("6.14E+18", "1-Mar").

    Examples
    --------
    >>> labels(pd.Series([7.0, None, 12.0]), file="data").tolist()
    ['7', nan, '12']
    >>> labels(pd.Series(["07", "7"]), file="data").tolist()
    ['07', '7']
    """
    exact = pd.api.types.is_float_dtype(values.dtype)  # as narrow floats are written
    found = values if exact else typed(values, file=file)
    if pd.api.types.is_float_dtype(found.dtype):
        found = _float_texts(found, file)
    if not isinstance(found.dtype, pd.CategoricalDtype):
        missing = found.isna()
        # Objects first: a float beside a missing cell would be written "7.0".
        found = found.astype(object).map(str).astype("str").mask(missing)
        found = _with_missing(found)
    check_label_texts(found, file)
    _check_spreadsheet(found, file)
    if isinstance(found.dtype, pd.CategoricalDtype):
        return found.cat.rename_categories([one.strip() for one in _distinct(found)])
    return found.str.strip()


def measured(values: pd.Series, *, file: str) -> pd.Series:
    """Convert a column to float64, with NaN for missing cells.

    Raises
    ------
    DataError
        If a cell is not a number.

    Examples
    --------
    >>> measured(pd.Series(["0.5", "NA", "1e-3"]), file="data").tolist()
    [0.5, nan, 0.001]
    """
    if pd.api.types.is_float_dtype(values.dtype):
        return values.astype("float64")  # bit for bit
    found = typed(values, file=file)
    if is_number(found) or pd.api.types.is_bool_dtype(found):
        return found.astype("Float64").astype("float64")
    plain = found.astype("str")
    numbers_ = pd.to_numeric(plain, errors="coerce")
    bad = (numbers_.isna() & plain.notna()).to_numpy(bool)
    if bad.any():
        hint = number_hint(plain.iloc[int(bad.argmax())])
        raise _value_at(bad, plain, file, "is not a number", hint)
    return numbers_.astype("float64")


# Marks of thousands and of decimals that programs write by the language of the computer.
_THOUSANDS = re.compile(
    r"[+-]?[0-9]{1,3}(?:(?:\.[0-9]{3})+,|(?:,[0-9]{3})+\.|(?:['’_\s][0-9]{3})+(?:[.,]|$))[0-9]*"
)


def number_hint(cell: str) -> str:
    """How to write what a person would read as a number.

    Examples
    --------
    >>> number_hint("1.234,56")
    'write it without marks of thousands, and with a decimal point: 1234.56'
    >>> number_hint("0,5"), number_hint("50 %"), number_hint("many")
    ('write it with a decimal point: 0.5', 'write it as a share, without %: 0.5', 'write a number')
    """
    one = cell.strip()
    if _THOUSANDS.fullmatch(one):
        cut = max(one.rfind("."), one.rfind(","))
        whole, part = (one, "") if cut < 0 else (one[:cut], f".{one[cut + 1 :]}")
        plain = re.sub(r"[^0-9+-]", "", whole) + part
        return f"write it without marks of thousands, and with a decimal point: {plain}"
    if re.fullmatch(r"[+-]?[1-9][0-9]{0,2}(?:(?:,[0-9]{3})+|(?:\.[0-9]{3}){2,})", one):
        point = f", or with a decimal point: {one.replace(',', '.')}" if one.count(",") == 1 else ""
        return f"write it without marks of thousands: {re.sub('[.,]', '', one)}{point}"
    if re.fullmatch(r"[+-]?[0-9]+,[0-9]+", one):
        return f"write it with a decimal point: {one.replace(',', '.')}"
    if share := re.fullmatch(r"([+-]?[0-9]+(?:[.,][0-9]+)?)\s*%", one):
        return f"write it as a share, without %: {float(share[1].replace(',', '.')) / 100:g}"
    if re.fullmatch(r"[\u2010-\u2015\u2212]\s*[0-9.,]+", one):
        return f"write its minus as a hyphen: -{one[1:].strip()}"
    if one.isdecimal() and not one.isascii():
        return f"write digits from 0 to 9: {int(one)}"
    if re.fullmatch(r"[+-]?[0-9]+(?:\.[0-9]+)?\s*[A-Za-z°µ]+", one):
        return "write it without its unit"
    return "write a number"


def missing_code(values: np.ndarray) -> float | None:
    """A code for a missing number, such as 99, -88 or 777, far from all that are no codes; or None.

    Examples
    --------
    >>> missing_code(np.array([1, 5, 999.0])), missing_code(np.array([97, 98, 99.0]))
    (999.0, None)
    >>> missing_code(np.array([1, 7, 88.0, 99.0]))
    99.0
    """
    known = np.unique(values[np.isfinite(values)])
    coded = np.array(
        [re.fullmatch(r"77+|88+|99+", f"{abs(one):.12g}") is not None for one in known]
    )
    if not coded.any() or coded.all():
        return None
    largest = float(known[coded][np.abs(known[coded]).argmax()])
    return largest if abs(largest) > FAR * np.abs(known[~coded]).max() else None


def check_missing_code(values: pd.Series, *, file: str) -> None:
    """Refuse numbers of which one is a code for a missing one, see `missing_code`.

    Raises
    ------
    DataError
        With the first row that has it.
    """
    code = missing_code(values.to_numpy(float))
    if code is not None:
        raise at_first(
            (values == code).to_numpy(bool),
            f"{code:g} is far from all other numbers, as a code for a missing one is",
            hint="leave the cell empty where there is none; if it is a number, divide all by ten",
            file=file,
            column=str(values.name),
        )


def levels_of(values: pd.Series) -> np.ndarray:
    """Return the distinct values of a column: levels in their order, other values sorted.

    Numbers written as text are in the order of the numbers, and moments with their distance
    from UTC in the order of time: where clocks are set back, 02:30+02:00 is before 02:30+01:00.

    Examples
    --------
    >>> levels_of(pd.Series(["10", "2", "1"])).tolist()
    ['1', '2', '10']
    >>> levels_of(pd.Series(["+2", "0", "-2"])).tolist()
    ['-2', '0', '+2']
    """
    if isinstance(values.dtype, pd.CategoricalDtype):
        return np.array(values.cat.remove_unused_categories().cat.categories, dtype=str)
    found = np.unique(pack(values[values.notna()].drop_duplicates())[0])
    if found.dtype.kind == "U" and (sizes := sizes_of(found.tolist())) is not None:
        return found[sorted(range(len(found)), key=sizes.__getitem__)]
    if found.dtype.kind == "U" and len(found) and all(map(MOMENT.fullmatch, found.tolist())):
        return np.array(sorted(found.tolist(), key=pd.Timestamp), dtype=str)
    return found


def by_levels(values: pd.Series) -> pd.Series:
    """A column of labels as an unordered categorical: levels in use, in the order of `levels_of`.

    Examples
    --------
    >>> by_levels(pd.Series(["10", "2", None])).cat.categories.tolist()
    ['2', '10']
    """
    kind = pd.CategoricalDtype(levels_of(values).tolist())
    return values.astype(object).astype(kind)


def sizes_of(texts: Sequence[str]) -> list[decimal.Decimal] | None:
    """The numbers that texts are, exactly; None if one of them is none.

    Examples
    --------
    >>> sizes_of(["+2", "0.5"]), sizes_of(["2", "two"])
    ([Decimal('2'), Decimal('0.5')], None)
    """
    if not all(map(NUMBER_TEXT.fullmatch, texts)):
        return None
    return [decimal.Decimal(one) for one in texts]


def label_of(value: object) -> str:
    """Write a value as `labels` does.

    Examples
    --------
    >>> label_of(2.0), label_of(decimal.Decimal("0.50")), label_of(pd.Timestamp("2024-03-01 08:00"))
    ('2', '0.5', '2024-03-01T08:00:00')
    """
    if isinstance(value, datetime.date | datetime.time):
        return value.isoformat()
    if isinstance(value, decimal.Decimal) and value.is_finite():
        plain = f"{value.normalize():f}"
        return "0" if plain == "-0" else plain
    if isinstance(value, float | np.floating) and np.isfinite(value):
        plain = np.format_float_positional(value, trim="-")
        return "0" if plain == "-0" else plain
    return str(value)


def is_number(values: pd.Series) -> bool:
    """Whether a column that `typed` made holds numbers."""
    return pd.api.types.is_numeric_dtype(values) and not pd.api.types.is_bool_dtype(values)


def check_label_texts(values: pd.Series, file: str) -> None:
    """Refuse labels that no file can hold, and two that differ and look the same.

    The same word may be written with composed and with decomposed letters, with a mark or a space
    that is not seen, or the same whole number with a point; as levels they would be two groups.
    """
    seen: dict[str, str] = {}
    texts = list(map(str, _distinct(values)))
    if _is_plain(texts) and len(set(map(looks, texts))) == len(texts):
        return
    for one in texts:
        if "\0" in one:
            problem, hint = f"{one!a} holds a NUL", "leave it out"
        elif not _is_unicode(one):
            problem, hint = f"{one!a} holds half of a character", "write it again as text in UTF-8"
        else:
            other = seen.setdefault(looks(one), one)
            if other == one:
                continue
            problem = f"{both_shown(one, other)} look the same and are two labels"
            hint = "write them alike"
        bad, column = (values == one).to_numpy(bool), str(values.name)
        raise at_first(bad, problem, hint=hint, file=file, column=column)


def groups_alike(names: Iterable[object]) -> tuple[str, str] | None:
    """Two names of groups that are most likely one, such as Female and female; None without.

    They differ in capitals, in spaces, hyphens and underscores, or in how a letter is composed. A
    minus before a number is no hyphen.

    Examples
    --------
    >>> groups_alike(["f", "F"]), groups_alike(["east-asian", "East Asian"])
    (('f', 'F'), ('east-asian', 'East Asian'))
    >>> groups_alike(["a-", "a+"]) is groups_alike(["pose -3", "pose 3"]) is None
    True
    """
    seen: dict[str, str] = {}
    for one in (each for each in names if isinstance(each, str)):
        plain = MINUS.sub("\N{MINUS SIGN}", unicodedata.normalize("NFKC", looks(one)).casefold())
        other = seen.setdefault(re.sub(r"[\s_-]+", " ", plain), one)
        if other != one:
            return other, one
    return None


def both_shown(one: str, other: str) -> str:
    r"""Two labels for a message, by their characters' codes where they look the same.

    Examples
    --------
    >>> print(both_shown("f", "F"), both_shown("\u00e9", "e\u0301"))
    'f' and 'F' '\xe9' and 'e\u0301'
    """
    return f"{one!a} and {other!a}" if looks(one) == looks(other) else f"{one!r} and {other!r}"


def check_groups(values: pd.Series, *, file: str) -> None:
    """Refuse labels of groups of which two look like one, see `groups_alike`.

    Rows of one group would count as two. Ids are not checked: codes of some services differ so.

    Examples
    --------
    >>> check_groups(pd.Series(["f", "F", "f"], name="sex"), file="data")
    Traceback (most recent call last):
    causalbias.errors.DataError: data, column 'sex': 'f' and 'F' (2 and 1 rows) look like one. \
Hint: write both alike, or tell them apart.
    """
    if isinstance(values.dtype, pd.CategoricalDtype):
        values = values.cat.remove_unused_categories()
    if (found := groups_alike(_distinct(values))) is not None:
        counts = " and ".join(f"{int((values == one).sum()):,}" for one in found)
        raise DataError(
            f"{both_shown(*found)} ({counts} rows) look like one",
            hint=ALIKE,
            file=file,
            column=str(values.name),
        )


def unknown_groups(values: pd.Series, name: str) -> list[str]:
    """Sentences on labels that say of a member that its group, or id, is not known.

    Parameters
    ----------
    values : Series
        Labels.
    name : str
        What they are of, in the sentence.

    Examples
    --------
    >>> unknown_groups(pd.Series(["f", "unknown", "m", "Unknown"]), "sex")
    ["'unknown' is a value of sex like all others (1 row): leave cells empty that are not known", \
"'Unknown' is a value of sex like all others (1 row): leave cells empty that are not known"]
    >>> unknown_groups(pd.Series(["-", "+"]), "charge")
    []
    """
    found = [one for one in _distinct(values) if one.strip().casefold() in UNKNOWN_TEXTS]
    if "+" in _distinct(values):
        found = [one for one in found if one != "-"]
    counts = {one: int((values == one).sum()) for one in found}
    return [
        f"{one!r} is a value of {name} like all others ({count:,} row{'s' * (count != 1)}): leave "
        "cells empty that are not known"
        for one, count in counts.items()
        if count
    ]


def as_texts(values: pd.Series) -> np.ndarray:
    """Fixed-width texts of a column that `typed` or `labels` made, "" where a cell is missing."""
    if isinstance(values.dtype, pd.CategoricalDtype):
        levels = [*map(str, values.cat.categories.tolist()), ""]  # the last: of missing ones
        return np.array(levels, dtype=str)[values.cat.codes.to_numpy()]
    plain = values.astype(object).where(values.notna(), "")
    return np.array([str(one) for one in plain], dtype=str)


Packed = tuple[np.ndarray, dict[str, str]]


def pack(values: pd.Series) -> Packed:
    """Convert a column from `typed` or `labels` to an array that files can hold, with attributes.

    Returns
    -------
    values : ndarray
        int64, float64 (NaN where missing), bool, or texts ("" where missing).
    attrs : dict of str to str
        What `unpack` needs to know: `column` ("whole", "truth", "levels"; "blank": texts of which
        "" is one), `levels` (JSON) and `ordered` ("yes", "no").
    """
    kind = values.dtype
    if isinstance(kind, pd.CategoricalDtype):
        levels = json.dumps(kind.categories.tolist(), ensure_ascii=False)
        ordered = "yes" if kind.ordered else "no"
        return as_texts(values), {"column": "levels", "levels": levels, "ordered": ordered}
    missing = bool(values.isna().any())
    if pd.api.types.is_bool_dtype(kind):
        return (as_texts(values), {"column": "truth"}) if missing else (values.to_numpy(bool), {})
    if pd.api.types.is_integer_dtype(kind):
        if missing:
            return values.to_numpy(float, na_value=np.nan), {"column": "whole"}
        return values.to_numpy(np.int64), {}
    if pd.api.types.is_float_dtype(kind):
        return values.to_numpy(float), {}
    return as_texts(values), {}


def unpack(values: np.ndarray, attrs: Mapping[str, object]) -> pd.Series:
    """Restore a column that `pack` converted.

    Examples
    --------
    >>> sizes = pd.Series(pd.Categorical(["low"], ["low", "high"], ordered=True))
    >>> unpack(*pack(sizes)).cat.categories.tolist()
    ['low', 'high']
    """
    kind = attrs.get("column")
    found = pd.Series(values)
    if values.dtype.kind in "UOST":
        found = found.astype("str")
        found = found if kind == "blank" else found.mask(found == "")
    if kind == "levels":
        known = pd.CategoricalDtype(
            json.loads(str(attrs["levels"])), ordered=attrs.get("ordered") == "yes"
        )
        return found.astype(known)
    if kind == "truth":
        if values.dtype.kind == "b":
            return found
        truth = found.map({"True": True, "False": False}).astype("boolean")
        return truth if truth.isna().any() else truth.astype(bool)
    if kind == "whole" and values.dtype.kind == "f":
        whole = found.astype("Int64")
        return whole if whole.isna().any() else whole.astype(np.int64)
    return found


def _levels(values: pd.Series, file: str) -> pd.Series:
    """A categorical with its categories as texts, in their order, unused ones kept."""
    categories = pd.Series(values.cat.categories, name=values.name)
    texts = _level_texts(categories, file)
    kept = [one for one in texts if one not in MISSING_TEXTS]
    if len(set(kept)) < len(kept):
        twice = next(one for at, one in enumerate(kept) if one in kept[:at])
        raise DataError(
            f"two categories are written alike, {twice!r}",
            hint="rename one of them",
            file=file,
            column=str(values.name),
        )
    place = {one: at for at, one in enumerate(kept)}
    of_code = np.array([*(place.get(one, -1) for one in texts), -1])  # the last: of missing ones
    kind = pd.CategoricalDtype(kept, ordered=bool(values.cat.ordered))
    found = pd.Categorical.from_codes(of_code[values.cat.codes.to_numpy()], dtype=kind)
    return pd.Series(found, index=values.index, name=values.name)


def _level_texts(categories: pd.Series, file: str) -> list[str]:
    if isinstance(categories.dtype, pd.IntervalDtype):
        return [str(one) for one in categories]
    if pd.api.types.is_float_dtype(categories.dtype):
        return _float_texts(categories, file).tolist()
    if pd.api.types.is_timedelta64_dtype(categories.dtype):
        return [str(one) for one in categories]
    return [str(one) for one in typed(categories, file=file).tolist()]


def _whole(values: pd.Series) -> pd.Series:
    """Whole numbers as int64, Int64 where cells are missing, text where floats are not exact."""
    missing = values.isna()
    known = values[~missing]
    if len(known) and max(abs(int(known.min())), abs(int(known.max()))) > EXACT:
        return values.astype(object).map(str).astype("str").mask(missing)
    return values.astype("Int64" if missing.any() else np.int64)


def _float_texts(values: pd.Series, file: str) -> pd.Series:
    """Floats as labels: whole ones without a point."""
    kind = values.dtype
    small = getattr(kind, "numpy_dtype", kind)
    exact = {2: 2**11, 4: 2**24}.get(getattr(small, "itemsize", 8), EXACT)
    texts: dict[float, str] = {}
    for one in values.dropna().unique():
        number = float(one)
        if not np.isfinite(number) or abs(number) >= exact:
            bad = (values == one).fillna(False).to_numpy(bool)
            raise _value_at(
                bad, values, file, LOST if np.isfinite(number) else "is no id", WRITE_TEXT
            )
        texts[number] = label_of(one)
    plain = values.astype("float64")
    return plain.map(texts).astype("str").mask(values.isna())


def _dates(values: pd.Series) -> pd.Series:
    """Dates as ISO 8601: without the time of day where all are at midnight."""
    if isinstance(values.dtype, pd.PeriodDtype):
        return values.astype(object).map(str).astype("str").mask(values.isna())
    known = pd.to_datetime(values)
    days = known.dropna()
    plain = days.dt.tz is None and bool((days == days.dt.normalize()).all())
    dates = known.map(
        lambda one: one.date().isoformat() if plain else one.isoformat(), na_action="ignore"
    )
    return dates.astype("str").mask(values.isna())


def _objects(values: pd.Series, file: str) -> pd.Series:
    """A column of Python objects, by what they are."""
    cells = [  # Arrow's decimals and dates too
        None if isinstance(one, decimal.Decimal) and one.is_nan() else one
        for one in values.astype(object)
    ]
    values = pd.Series(cells, index=values.index, name=values.name, dtype=object)
    missing = values.isna()
    known = values[~missing]
    kinds = {_kind(one) for one in known}
    if None in kinds:
        bad = values.map(lambda one: _kind(one) is None).to_numpy(bool) & ~missing.to_numpy(bool)
        raise _value_at(
            bad, values, file, "is no number, text or date", "write one value in a cell"
        )
    if kinds <= {"truth"}:
        return (
            values.where(~missing, None).astype("boolean" if missing.any() else bool)
            if kinds
            else pd.Series(np.nan, index=values.index, name=values.name, dtype="str")
        )
    if kinds == {"whole"}:
        return _whole_objects(values, missing)
    if kinds <= {"whole", "number"}:
        return values.where(~missing, np.nan).map(float).astype("float64") + 0.0
    if kinds == {"duration"}:
        seconds = [
            np.nan if gone else _seconds(one) for one, gone in zip(cells, missing, strict=True)
        ]
        return pd.Series(seconds, index=values.index, name=values.name, dtype="float64")
    if kinds == {"interval"}:
        found = sorted(known.unique())
        return _levels(values.astype(pd.CategoricalDtype(found, ordered=True)), file)
    if len(kinds) > 1:
        _check_alike(known, file)
    texts = [one if gone else label_of(one) for one, gone in zip(values, missing, strict=True)]
    return _texts(pd.Series(texts, index=values.index, name=values.name, dtype=object), file)


def _kind(value: object) -> str | None:
    """What an object in a cell is; None if it is nothing that a study holds."""
    tests: tuple[tuple[str, tuple[type, ...]], ...] = (
        ("text", (str,)),
        ("truth", (bool, np.bool_)),
        ("whole", (int, np.integer)),
        ("number", (float, np.floating, decimal.Decimal, fractions.Fraction)),
        ("date", (datetime.date, datetime.time, pd.Period, np.datetime64)),
        ("duration", (datetime.timedelta, np.timedelta64)),
        ("interval", (pd.Interval,)),
    )
    if isinstance(value, numbers.Complex) and not isinstance(value, numbers.Real | np.bool_):
        return None
    return next((name for name, types in tests if isinstance(value, types)), None)


def _seconds(value: Any) -> float:
    """A duration of Python or of NumPy in seconds."""
    if isinstance(value, np.timedelta64):
        return float(value / np.timedelta64(1, "s"))
    return float(value.total_seconds())


def _whole_objects(values: pd.Series, missing: pd.Series) -> pd.Series:
    known = [int(one) for one in values[~missing]]
    if max(map(abs, known)) > EXACT:
        return values.where(~missing, None).map(str).astype("str").mask(missing)
    numbers_ = pd.array(
        [None if gone else int(one) for one, gone in zip(values, missing, strict=True)],
        dtype="Int64",
    )
    found = pd.Series(numbers_, index=values.index, name=values.name)
    return found if missing.any() else found.astype(np.int64)


def _check_alike(known: pd.Series, file: str) -> None:
    """Refuse values of different types that would be one label."""
    types: dict[str, str | None] = {}
    for at, one in enumerate(known):
        kind = _kind(one)
        if isinstance(one, float) and one.is_integer() and abs(one) >= EXACT:
            raise _value_at((known == one).to_numpy(bool), known, file, LOST, WRITE_TEXT)
        kind = "number" if kind == "whole" else kind
        if types.setdefault(label_of(one), kind) != kind:
            raise DataError(
                f"{shown(one)} and a value of another type are written alike, {label_of(one)!r}",
                hint="make them all numbers, or all text",
                file=file,
                column=str(known.name),
                row=int(known.index[at]) + 1 if isinstance(known.index, pd.RangeIndex) else None,
            )


def _texts(values: pd.Series, file: str) -> pd.Series:
    """Texts; those that stand for a missing cell are missing."""
    texts = _distinct(values)
    for one in () if _is_plain(texts) else texts:
        if not _is_unicode(one) or "\0" in one:
            what = "a NUL" if "\0" in one else "half of a character"
            raise at_first(
                (values == one).fillna(False).to_numpy(bool),
                f"{one!a} holds {what}",
                hint="write it again as text in UTF-8",
                file=file,
                column=str(values.name),
            )
    return _with_missing(values.astype("str"))


def _with_missing(values: pd.Series) -> pd.Series:
    gone = [one for one in _distinct(values) if one.strip() in MISSING_TEXTS]
    return values.mask(values.isin(gone)) if gone else values


def _distinct(values: pd.Series) -> list[str]:
    if isinstance(values.dtype, pd.CategoricalDtype):
        return list(values.cat.categories.tolist())
    return [one for one in values.unique().tolist() if isinstance(one, str)]


def _is_unicode(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _is_plain(texts: list[str]) -> bool:
    """Whether no text holds a NUL or half of a character."""
    together = "".join(texts)
    return "\0" not in together and _is_unicode(together)


def looks(text: str) -> str:
    """What is seen of a label: letters in one form, no marks that are not seen, no ``.0``.

    Examples
    --------
    >>> looks("noire\u0301"), looks("7.0 "), looks("a\u200bb")
    ('noiré', '7', 'ab')
    """
    if not text.isascii():
        text = "".join(c for c in text if c.isascii() or unicodedata.category(c) != "Cf")
        text = unicodedata.normalize("NFC", text)
    text = text.strip()
    return POINT_ZERO.sub(r"\1", text) if "." in text else text


def _check_spreadsheet(values: pd.Series, file: str) -> None:
    """Refuse labels that a spreadsheet has taken for numbers or dates."""
    found = _distinct(values)
    long = [one for one in found if LONG.fullmatch(one)]
    if len(long) > 1 and all(set(one[15:]) == {"0"} for one in long):
        at, why = long[0], "has fifteen digits and then zeros, as a spreadsheet rounds"
    else:
        at = next((one for one in found if ROUNDED.fullmatch(one) or DATED.fullmatch(one)), "")
        why = "is what a spreadsheet makes of an id or a range that looks to it like a " + (
            "number" if ROUNDED.fullmatch(at) else "date"
        )
    if at:
        hint = "export the table again with this column as text; two ids may have become one"
        raise _value_at((values == at).to_numpy(bool), values, file, why, hint)


def _value_at(bad: np.ndarray, values: pd.Series, file: str, problem: str, hint: str) -> DataError:
    """The error of the first value where `bad` holds: "<value> <problem>"."""
    value = shown(values.iloc[int(bad.argmax())])
    return at_first(bad, f"{value} {problem}", hint=hint, file=file, column=str(values.name))
