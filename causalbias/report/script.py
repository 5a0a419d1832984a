"""The script of a report's page, what it reads, and the policy that lets nothing else run."""

import base64
import hashlib
import json
from importlib.resources import files
from typing import Any

import numpy as np
from markupsafe import Markup

from causalbias.report.content import Slider

KINDS = {"FMR": "False match rate", "FNMR": "False non-match rate"}


def script() -> Markup:
    """The script of every page, which is written into it."""
    text = files("causalbias.report").joinpath("templates/report.js").read_text(encoding="utf-8")
    return Markup(text)  # our own text, without anything from the data


def policy() -> str:
    """Content security policy of a page: its one script runs, and nothing is fetched."""
    digest = base64.b64encode(hashlib.sha256(script().encode()).digest()).decode()
    return (
        f"default-src 'none'; img-src data:; style-src 'unsafe-inline'; "
        f"script-src 'sha256-{digest}'; base-uri 'none'; form-action 'none'"
    )


def kinds_of(slider: Slider) -> dict[str, str]:
    """The kinds of error that a slider has, with their titles."""
    there = set(slider.table["rate_of"])
    return {kind: title for kind, title in KINDS.items() if kind in there}


def as_json(sliders: list[Slider]) -> Markup:
    """Sliders as JSON that stays text within HTML, whatever names are in it."""
    text = json.dumps([_plain(one) for one in sliders], allow_nan=False, ensure_ascii=False)
    for letter in "<>&":  # no end of a script, no comment and no entity
        text = text.replace(letter, f"\\u{ord(letter):04x}")
    return Markup(text)


def _plain(slider: Slider) -> dict[str, Any]:
    """Thresholds, groups, and [estimate, lower, upper, errors, n] by kind, threshold and group."""
    table = slider.table
    thresholds = list(dict.fromkeys(table["threshold"].tolist()))
    groups = list(dict.fromkeys(table["group"].astype(str)))
    places = {one: at for at, one in enumerate(thresholds)}
    rates: dict[str, list[list[list[float | None] | None]]] = {
        kind: [[None] * len(groups) for _ in thresholds] for kind in kinds_of(slider)
    }
    columns = ["estimate", "lower", "upper", "errors", "n"]
    for row, values in zip(
        table.itertuples(), table[columns].to_numpy(float).tolist(), strict=True
    ):
        cell = [None if np.isnan(one) else one for one in values]
        rates[str(row.rate_of)][places[row.threshold]][groups.index(str(row.group))] = cell
    return {
        "name": slider.name,
        "unit": slider.unit,
        "thresholds": thresholds,
        "start": places[slider.start],
        "groups": groups,
        "rates": rates,
    }
