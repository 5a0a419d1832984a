"""Formulas, row conditions and priors are untrusted text."""

import contextlib

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from causalbias import DataError
from causalbias.models.fit import rows_of
from causalbias.models.formula.conditions import condition_of
from causalbias.models.formula.parse import flat_formula, formula_columns
from causalbias.models.priors import DISTRIBUTIONS, parse_prior


@pytest.mark.parametrize(
    ("formula", "response", "columns"),
    [
        ("y ~ x", "y", ["y", "x"]),
        ("y ~ 0 + C(x)*z + (1|g) + (z|g:h)", "y", ["y", "x", "z", "g", "h"]),
        ("p(hits, n) ~ np.log(x) + I(x**2)", "hits", ["hits", "n", "x"]),
        ("`my score` ~ `a b`", "my score", ["my score", "a b"]),
        ("log(y) ~ bs(x, df=4) + C(z, levels=zs)", "y", ["y", "x", "z", "zs"]),
        ("y ~ 1", "y", ["y"]),
    ],
)
def test_columns_of_a_formula(formula, response, columns):
    assert formula_columns(formula) == (response, columns)


@pytest.mark.parametrize(
    "formula",
    [
        "y ~ __import__('os')",
        "y ~ __import__('os').system('x')",
        "y ~ {x + 1}",
        "y ~ {__import__('os')}",
        "y ~ np.load('a')",
        "y ~ np.fromfile(x)",
        "y ~ x.apply(print)",
        "y ~ x.to_pickle('f')",
        "y ~ C(x).real",
        "y ~ C(x).__class__",
        "y ~ open('/etc/passwd')",
        "y ~ eval('1')",
        "y ~ exec(x)",
        "y ~ C(x, np.load('f'))",
        "y ~ I(abs(getattr(x, z)))",
        "y ~ C(x)(z)",
        "y ~ (C)(x)",
        "y ~ 'a'.join(x)",
        "y ~ [open('x')]",
        "open(y) ~ x",
        "y ~ `os.system`(x)",
        "y ~ (1|open(g))",
        "y ~ lambda: 1()",
        "y ~ x; import os",
        "y ~ [z for z in x]",
        "y ~ pd.read_pickle('f')",
    ],
)
def test_hostile_formulas(formula):
    with pytest.raises(DataError):
        formula_columns(formula)


@pytest.mark.parametrize(
    "formula",
    [
        "",
        "~",
        "y",
        "y ~",
        "~ x",
        "1 ~ x",
        "y ~ x ~ z",
        "y ~ (1|g",
        "y ~ x z",
        "y ~ C(x) C(z)",
        "y ~ x\x00",
        "y x ~ z",
        "y ~ x @ z",
    ],
)
def test_formulas_that_are_none(formula):
    with pytest.raises(DataError):
        formula_columns(formula)


@pytest.mark.parametrize(
    "formula",
    [
        "y ~ " + "(" * 20_000 + "x" + ")" * 20_000,
        "y ~ " + "-" * 20_000 + "x",
        "y ~ " + " + ".join(["x"] * 20_000),
        "y ~ " + "I(" * 5_000 + "x" + ")" * 5_000,
    ],
    ids=["brackets", "signs", "terms", "calls"],
)
def test_very_long_formulas(formula):
    with pytest.raises(DataError):
        formula_columns(formula)


@given(st.text(max_size=60))
@settings(max_examples=300, deadline=None)
def test_any_text_is_a_formula_or_a_data_error(text):
    for read in (formula_columns, condition_of):
        with contextlib.suppress(DataError):
            read(text)


@given(st.text("yxg~+*|:() 'np.`[]{}0C,=-", max_size=30))
@settings(max_examples=500, deadline=None)
def test_near_formulas(text):
    try:
        response, columns = formula_columns("y ~ " + text)
    except DataError:
        return
    assert response == columns[0] == "y"


# What fuzzing found, and its neighbours: they ended in other errors than a DataError, or hung.
@pytest.mark.parametrize(
    ("formula", "reason"),
    [
        ("y ~ x + (1|g/8)", "8 is no grouping factor"),
        ("y ~(1|5)", "5 is no grouping factor"),
        ("y~ (1|-g)", "no grouping factor"),
        ("y ~ (1|g + h)", "no grouping factor"),
        ("y ~ (1|C(g))", "no grouping factor"),
        ("y ~ (1|`g:h`)", "no grouping factor"),
        ("y ~ bs(x, df=440000003540621198,444444444444444444:4444) +(8)* C (4)", "df of bs"),
        ("y ~ bs(x, 211944) + C (4)", "df of bs.* is 211,944"),
        ("y ~ bs(x, df=z)", "no whole number"),
        ("y ~ bs(x, 4, z, 999)", "degree of bs"),
        ("y ~ poly(x, degree=1000)", "degree of poly"),
        ("y ~ C(x, 4:4)", "':' is no argument"),
        ("y~  + (+ (1|g/x/8)|x)", "inside another term"),
        ("y ~ x*(1|g)", "inside another term"),
        ("y ~ x - (1|g)", "inside another term"),
        ("y ~ (x)*g + (z|g + (z||g)|g)", "inside another term"),
        ("y ~ x|g", "cannot read on from"),
        ("y ~ (x)*g * C(x)*g + (y||g)", "response among its terms"),
        ("y ~ ( (x)*g)** C(x)*y", r"'\*\*' is no term"),
        ("y ~ x*8", "8 is no term"),
        ("y ~ x + 'a'", "'a' is no term"),
        ("y ~ x > z", "cannot read on from '>'"),
        ("y ~ x['a']", "is no term"),
        ("y ~ x + z=g", "cannot read"),
        ("y['a'] ~ x", "response is neither"),
        ("y + z ~ x", "response is neither"),
        ("y ~ (x + z + g)**20", "3,486,784,401 terms"),
        ("y ~ " + "*".join("abcdefghijk"), "2,047 terms"),
        ("y ~ I(9**9**9**9)", "not of a column by a number"),
        ("y ~ I(x**(9**9))", "not of a column by a number"),
        ("y ~ I(x + 1" + "0" * 200 + ")", "beyond 1e.100"),
        ("y ~ " + " + ".join(["x"] * 9_999), "characters"),
    ],
)
def test_formulas_outside_of_the_language(formula, reason):
    with pytest.raises(DataError, match=reason):
        formula_columns(formula)


@pytest.mark.parametrize(
    "formula",
    [
        "y ~ -1 + x",
        "y ~ x - 1",
        "y ~ x*g - x:g",
        "y ~ (x + g)**2",
        "y ~ x/g",
        "y ~ (x + g):z + (0 + x|g) + (x||h) + (1|g/h:z)",
        "y ~ (1|`a b`) + `c d`*x",
        "y ~ I(x > 3) + I((x + 1)**2 / z) + C(g, levels=z)",
        "y ~ bs(x, 4) + poly(x, 3)",
        "y ~ offset(log(x)) + (poly(x, 2)|g)",
        "y ~ bs(x20000, df=4)",
        "p(y, n) ~ n",
        "y ~ +x",
        "y ~ (1 + x) + (1|mm(g, h))",
    ],
)
def test_formulas_of_the_language(formula):
    assert formula_columns(formula)[0] == "y"


# Conditions -----------------------------------------------------------------------------------

FRAME = pd.DataFrame(
    {
        "level": [0, 1, 2, 3],
        "group": ["a", "a", "b", "b"],
        "same": [True, False, True, False],
        "maybe": pd.array([1, None, 2, 1], dtype="Int64"),
    }
)


@pytest.mark.parametrize(
    ("condition", "rows"),
    [
        ("level > 1", [2, 3]),
        ("group == 'a' and not same", [1]),
        ("level in [0, 3] or same", [0, 2, 3]),
        ("0 < level <= 2", [1, 2]),
        ("same", [0, 2]),
        ("level > -1 and level != 2", [0, 1, 3]),
        ("maybe == 1", [0, 3]),
        ("group not in ('a', 'c')", [2, 3]),
    ],
)
def test_rows_of_a_condition(condition, rows):
    assert rows_of(FRAME, condition).index.tolist() == rows


@pytest.mark.parametrize(
    "condition",
    [
        "level.__class__",
        "level.max() > 1",
        "@level == 1",
        "[x for x in level]",
        "lambda: 1",
        "{x for x in level}",
        "(x for x in level)",
        "{**level}",
        "level == open('f')",
        "f'{level}'",
        "(y := 1)",
        "level[0] == 1",
        "level if same else group",
        "__import__('os')",
        "level == 1; import os",
        "level + 1 == 2",
        "level is None",
        "await level",
        "*level",
        "not " * 50_000 + "same",
        "-" * 50_000 + "level == 1",
        "(" * 500 + "same" + ")" * 500,
        " or ".join(["level == 9"] * 3_000),
        "same\x00",
        "",
        "level ==",
        "group.str.contains('a')",
        "pd.read_pickle('f')",
        "group == 'a\x0b'",
    ],
    ids=lambda text: text[:20],
)
def test_hostile_conditions(condition):
    with pytest.raises(DataError):
        rows_of(FRAME, condition)


@pytest.mark.parametrize(
    "condition",
    [
        "level",
        "group",
        "1",
        "0",
        "'a'",
        "True",
        "[]",
        "not level",
        "level > 'a'",
        "group > 1",
        "level in 3",
        "(level, group) == 1",
        "absent == 1",
        "index == 1",
        "level == absent",
        "level > 99",
        f"level > -4 or group in [{'8' * 99}]",
        "-1 < level > -4 or group in [level]",
    ],
)
def test_conditions_that_are_none(condition):
    with pytest.raises(DataError):
        rows_of(FRAME, condition)


# Priors ---------------------------------------------------------------------------------------


OF_NO_SD = {"Normal", "StudentT", "Cauchy", "Laplace", "Flat", "HalfFlat", "Beta"}


@pytest.mark.parametrize("name", DISTRIBUTIONS)
@given(data=st.data())
@settings(max_examples=20, deadline=None)
def test_priors_come_back(name, data):
    numbers = {
        key: data.draw(st.floats(0.001, 1000), label=key)
        for key in sorted(DISTRIBUTIONS[name].parameters)
    }
    if name == "Uniform":
        numbers["upper"] = numbers["lower"] + 1
    in_order = ", ".join(repr(numbers[key]) for key in DISTRIBUTIONS[name].parameters)
    named = ", ".join(f"{key}={value!r}" for key, value in numbers.items())
    for text in (f"{name}({in_order})", f"  {name}( {named} )"):
        prior = parse_prior(text, "x")
        assert prior.name == name
        assert prior.args == numbers
        if name not in OF_NO_SD:
            of_sd = parse_prior(text, "x|g")
            assert of_sd.name == "Normal"
            assert of_sd.args["sigma"].name == name
            assert of_sd.args["sigma"].args == numbers
        else:  # not about zero, flat, or of numbers below one: none of a standard deviation
            with pytest.raises(DataError, match=r"standard deviation of 'x\|g'"):
                parse_prior(text, "x|g")


@pytest.mark.parametrize(
    "text",
    [
        "Norm(0, 1)",
        "normal(0, 1)",
        "Normal",
        "Normal(0)",
        "Normal(0, 1, 2)",
        "Flat(1)",
        "Normal(mu=0)",
        "Normal(0, sigma=1, x=2)",
        "Normal(0, 1, mu=3)",
        "Normal(0, 1, **{})",
        "Normal(*[0, 1])",
        "Normal(0, [1, 2])",
        "Normal(0, None)",
        "Normal(0, 1j)",
        "Normal(0, x)",
        "Normal(0, -1)",
        "Normal(0, 0)",
        "Normal(1e999, 1)",
        "Normal(0, 1e999)",
        "HalfNormal(-3)",
        "Uniform(5, 1)",
        "Cauchy(0, 0)",
        "Gamma(0, 1)",
        "",
        "(" * 50_000,
        "-" * 50_000 + "1",
        "Normal(0, 1).x",
        "Normal(0, 1); import os",
        "os.system('x')",
        "__import__('os').x(0, 1)",
        "Normal(0, __import__('os'))",
        "Normal(0, (lambda: 1)())",
        "eval('1')",
        "print(1)",
        "Normal(0, 1) if 1 else 2",
        "Normal(0,\x001)",
    ],
    ids=lambda text: text[:25],
)
def test_priors_that_are_none(text):
    with pytest.raises(DataError, match="'x'"):
        parse_prior(text, "x")


def test_a_location_may_be_negative():
    assert parse_prior("Normal(-3, 2)", "x").args == {"mu": -3.0, "sigma": 2.0}
    assert parse_prior("Cauchy(-3, 2)", "x").args == {"alpha": -3.0, "beta": 2.0}
    assert parse_prior("Uniform(-3, -2)", "x").args == {"lower": -3.0, "upper": -2.0}


@pytest.mark.parametrize(
    ("formula", "flat"),
    [
        ("y ~ (a + b + c)**2 - c:a", "y ~ 1 + a + b + c + a:b + b:c"),
        ("y ~ a*b*c - c:a:b - b:a", "y ~ 1 + a + b + c + a:c + b:c"),
        ("y ~ a*b - (b:a + a)", "y ~ 1 + b"),
        ("y ~ a*b - b:a + a:b", "y ~ 1 + a + b + a:b"),
        ("y ~ a*b + (1|g) - 1", "y ~ 0 + a + b + a:b"),
    ],
)
def test_a_minus_takes_out_a_term_in_any_order_of_its_factors(formula, flat):
    assert flat_formula(formula) == flat


@pytest.mark.parametrize("formula", ["y ~ a - b", "y ~ a*b - a:c", "y ~ a + (b|g) - b"])
def test_a_term_that_is_not_there_cannot_be_taken_out(formula):
    with pytest.raises(DataError, match="takes out"):
        flat_formula(formula)
