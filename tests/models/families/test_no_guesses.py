"""No module but those of families asks for a family by name, and no match guesses."""

import ast
from pathlib import Path

import causalbias
from causalbias.models.families import FAMILIES

PACKAGE = Path(causalbias.__file__).parent
# Kernels are called as families are; the lines of `check` and answers to R users name some, and an
# analysis says of which family its models are.
NAMING = (
    PACKAGE / "analyses",
    PACKAGE / "models" / "families",
    PACKAGE / "inference" / "rowwise" / "densities.py",
    PACKAGE / "model_checks" / "changes.py",
    PACKAGE / "elsewhere.py",
)
MODULES = [
    file
    for file in sorted(PACKAGE.rglob("*.py"))
    if not any(file.is_relative_to(one) for one in NAMING)
]
NAMES = set(FAMILIES) - {"beta", "t", "laplace"}  # a parameter, a letter and an engine, too


def defaults_of_family(node):
    """Default values of arguments and fields called family, of which a signature may have one."""
    if isinstance(node, ast.AnnAssign) and getattr(node.target, "id", "") == "family":
        return [node.value]
    if isinstance(node, ast.FunctionDef):
        named = zip(node.args.kwonlyargs, node.args.kw_defaults, strict=True)
        return [default for argument, default in named if argument.arg == "family"]
    return []


def test_no_family_is_named_outside_of_its_module():
    found = []
    for file in MODULES:
        nodes = list(ast.walk(ast.parse(file.read_text())))
        allowed = {id(default) for node in nodes for default in defaults_of_family(node)}
        found += [
            f"{file.relative_to(PACKAGE)}:{node.lineno}"
            for node in nodes
            if isinstance(node, ast.Constant) and node.value in NAMES and id(node) not in allowed
        ]
    assert found == []


def test_what_a_match_does_not_list_is_an_error():
    for file in MODULES:
        for node in ast.walk(ast.parse(file.read_text())):
            if isinstance(node, ast.match_case) and ast.unparse(node.pattern) == "_":
                assert isinstance(node.body[-1], ast.Raise), f"{file}: {ast.unparse(node)}"
