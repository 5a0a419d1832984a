"""Whose identity an editor or generator keeps: distances, matches, perceived groups, effects."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr
from numpy.typing import NDArray

from causalbias.agreement.dyads import covariance_of, draws_of_t
from causalbias.analyses.editing.pairs import (
    GENUINE,
    IMPOSTOR,
    KINDS,
    SOURCE,
    Pairs,
    pairs_of,
    read_manifest,
)
from causalbias.analyses.fitting import fit_models, join
from causalbias.arguments import generator, mapping_in, number_in
from causalbias.datasets.answers import Answers
from causalbias.datasets.scores.checks import check_unit
from causalbias.draws.estimate import Estimate, estimate
from causalbias.draws.printing import Listed
from causalbias.errors import DataError
from causalbias.estimands.contrasts import effects
from causalbias.io.memory import check_memory
from causalbias.models.result import Fit
from causalbias.rates.assembly import rates_cube, sampler, shares_at
from causalbias.rates.cells import Cell
from causalbias.rates.dependence import ASSUMED, seed_correlation
from causalbias.rates.intervals import Shares, shares_of
from causalbias.rates.thresholds import threshold_at
from causalbias.study.build import exclusions

Floats = NDArray[np.float64]
LEAST = 5  # persons whose photographs were edited, below which a group has no estimate
FULL = 5  # outputs of each combination of attributes and editor, for a model of interactions
DRAWS = 4000
CELL = ["kind", "network", "editor", "group"]


@dataclass(frozen=True, repr=False)
class Editing(Listed):
    """Result of `analyse_editing`.

    Attributes
    ----------
    manifest : Answers
        One row per output, as columns `output`, `source`, `person`, `editor`, `group` (all
        attributes of the source) and those that were named.
    pairs : DataFrame
        `kind`, `network`, `editor`, `group`, `a`, `b` (codes of images), `first`, `second` (codes
        of persons), `distance`. Of kind "source" (output and its source), "genuine" (two
        photographs of one person), "impostor" (output and the source of another person of its
        group) or "target" (output and its target).
    identity : Estimate
        ``mean`` (chain, draw, kind, network, editor, group): mean distance; and ``kept`` (chain,
        draw, network, editor, group), (impostor - source) / (impostor - genuine): 1 where outputs
        are as near to their source as photographs of one person, 0 where they are as far as
        strangers; missing without both baselines. Without draws: ``n``, ``persons``, ``failed``.
    matching : Estimate or None
        ``rate`` (chain, draw, kind, network, editor, group): share of pairs that match at the
        threshold; and ``matches``, ``n``, ``failed``, ``n_effective`` as in `error_rates`;
        ``threshold`` (network). None without threshold.
    lost : Estimate or None
        ``difference`` (chain, draw, network, editor, group): how much more often outputs do not
        match their source than on average over groups; ``n``: outputs. None with one group.
    seen : Estimate or None
        ``rate`` (chain, draw, attribute, seen_as, editor, level): of outputs whose source is of
        this level and whose target, if there is one, is not, the share that is seen as of the
        "source", of the "target", or as "neither".
    fits : dict of str to Fit
        By network: distance to the source.
    effects : dict of str to Estimate
        By attribute (``race`` of the source, ``target_race``) and "editor": ``effect`` on the
        distance to the source (chain, draw, network, ...).
    prob : float
        Probability of the intervals.
    """

    manifest: Answers
    pairs: pd.DataFrame
    identity: Estimate
    matching: Estimate | None
    lost: Estimate | None
    seen: Estimate | None
    fits: dict[str, Fit]
    effects: dict[str, Estimate]
    prob: float


def analyse_editing(
    manifest: pd.DataFrame | str | Path,
    distances: pd.DataFrame | str | Path | xr.Dataset,
    *,
    output: str = "output",
    source: str = "source",
    person: str = "",
    target: str = "",
    target_person: str = "",
    reference: str = "",
    editor: str = "",
    source_attributes: Mapping[str, str] | None = None,
    target_attributes: Mapping[str, str] | None = None,
    output_attributes: Mapping[str, str] | None = None,
    image_a: str = "image_a",
    image_b: str = "image_b",
    distance: str = "distance",
    network: str = "",
    threshold: float | Mapping[str, float] | None = None,
    fmr: float | None = None,
    prob: float = 0.95,
    draws: int = 1000,
    random_seed: int = 0,
    progress: Callable[[str], None] | None = None,
    keep: Path | None = None,
) -> Editing:
    """Estimate whose identity is lost by editors that should keep it, by group of the source.

    Distances of outputs to their source stand beside two baselines of the same group, which are
    never pooled: photographs of one person (the source and the `reference`, and sources of one
    person), and outputs beside the sources of other persons, but not of the target's. Pairs that
    share a person are not independent: intervals of means and rates are over persons of sources
    and targets. Draws of all groups, editors and kinds are joint, so that their differences have
    the right intervals.

    Effects are of one Gaussian model a network of the distances to the source: attributes of the
    source and editors with all interactions (without, where a combination has fewer than 5
    outputs), attributes of the target, ``(1|person)`` and ``(1|target)`` where these repeat, and
    both by editor.

    Parameters
    ----------
    manifest : DataFrame or path
        One row per output, or a CSV, TSV or Parquet file of such rows.
    distances : DataFrame, path or Dataset
        One row per two images of the manifest and network, in any order; a missing distance is a
        failure (no face was found). Or what `embed` returned for these images. Judgements of
        people, as dissimilarities, are one more network.
    output, source : str
        Columns of the manifest: images.
    person : str
        Column of the source's person; by default each source is a person.
    target, target_person : str
        Columns of the image into which the source was put, and its person; missing where there is
        none, as with prompts.
    reference : str
        Column of another photograph of the source's person.
    editor : str
        Column of the method.
    source_attributes, target_attributes, output_attributes : mapping of attribute to column
        As ``{"race": "source_race"}``. Those of the source make the groups. Those of the output are
        what people or a classifier see in it.
    image_a, image_b, distance, network : str
        Columns of the table of distances.
    threshold : float or mapping of network to float, optional
        At which two images match; by default that of the embeddings.
    fmr : float, optional
        In its place: a false match rate of all impostor pairs of a network together.
    prob : float
        Probability of the intervals.
    draws, random_seed
        As in `fit`.
    progress, keep
        Called with a line of text before each step; directory of the fits.

    Returns
    -------
    Editing
        Outputs that are their source or target, and those whose source and target are one person,
        are left out, and counted in ``manifest.excluded``.

    Raises
    ------
    DataError
        If a column is missing; an output is there twice; a source has two persons, or a person two
        groups; two images have two distances; no output has a distance to its source; the
        distances are similarities; or no group has 5 persons.

    Examples
    --------
    >>> import causalbias as cb
    >>> manifest, distances = cb.simulation.simulate_editing(persons=12, editors=["swap"])
    >>> found = cb.analyses.analyse_editing(
    ...     manifest, distances, person="person", target="target", reference="reference",
    ...     source_attributes={"race": "source_race"}, threshold=0.7, draws=100)
    >>> found.matching["rate"].dims
    ('chain', 'draw', 'kind', 'network', 'editor', 'group')
    """
    prob = number_in(prob, "prob", 0, 1)
    attributes = {
        of: {} if given is None else dict(mapping_in(given, f"{of}_attributes", '{"race": "race"}'))
        for of, given in (
            ("source", source_attributes),
            ("target", target_attributes),
            ("output", output_attributes),
        )
    }
    if lone := sorted(set(attributes["output"]) - set(attributes["source"])):
        raise DataError(
            f"{lone[0]} of outputs is given, and that of sources is not",
            hint="name the column of the source's too",
        )
    columns = {"output": output, "source": source, "person": person, "target": target}
    columns |= {"target_person": target_person, "reference": reference, "editor": editor}
    table = {"image_a": image_a, "image_b": image_b, "distance": distance, "network": network}
    if progress is not None:
        progress("pairs")
    answers = read_manifest(manifest, columns, attributes)
    pairs, read = pairs_of(answers, distances, table)
    cells, few = _cells(pairs)
    answers = Answers(
        answers.frame,
        answers.columns | {one: name for one, name in table.items() if name},
        answers.name,
        pd.concat([answers.excluded, exclusions([*pairs.notes, *few])], ignore_index=True),
        pd.concat([answers.sources, read], ignore_index=True),
        answers.rows,
    )
    if progress is not None:
        progress("rates and means")
    at = _thresholds(pairs, threshold, fmr, random_seed)
    matching = _matching(pairs, cells, at, random_seed) if at else None
    fits, found = _models(answers, pairs, attributes, draws, random_seed, progress, keep)
    return Editing(
        answers,
        pairs.frame,
        _identity(pairs, cells, random_seed),
        matching,
        _lost(matching) if matching is not None and len(pairs.groups) > 1 else None,
        _seen(answers, attributes, random_seed),
        fits,
        found,
        prob,
    )


def _cells(
    pairs: Pairs,
) -> tuple[dict[tuple[str, ...], pd.DataFrame], list[tuple[str, str, str, int]]]:
    """Pairs by kind, network, editor and group, where persons are enough; and what is left out."""
    cells, few = {}, []
    for key, part in pairs.frame.groupby(CELL, sort=False):
        found = part[part["distance"].notna()]
        if found["first"].nunique() >= LEAST:
            cells[tuple(map(str, key))] = part
        else:
            said = f"{key[0]}, {key[1]}, {key[2]}, {key[3]}: fewer than {LEAST} persons"
            few.append(("distances", "pairs", said, len(part)))
    if not any(key[0] == SOURCE for key in cells):
        raise DataError(
            f"no group has {LEAST} persons whose photographs were edited",
            hint="intervals are from differences of persons: give more, or fewer attributes",
        )
    return cells, few


def _thresholds(
    pairs: Pairs,
    given: float | Mapping[str, float] | None,
    fmr: float | None,
    random_seed: int,
) -> dict[str, float]:
    """Threshold of each network; none of any if none is asked for."""
    if given is not None and fmr is not None:
        raise DataError("both a threshold and a target fmr are given", hint="give one of them")
    if fmr is not None:
        frame = pairs.frame[pairs.frame["kind"] == IMPOSTOR].dropna(subset="distance")
        if frame.empty:
            raise DataError(
                "no output is compared with the source of another person of its group",
                hint="give such distances, or a threshold",
            )
        impostors = pd.DataFrame(
            {
                "system": frame["network"].to_numpy(),
                "seed_a": frame["first"].astype(str).to_numpy(),
                "seed_b": frame["second"].astype(str).to_numpy(),
                "stimulus_a": frame["a"].astype(str).to_numpy(),
                "stimulus_b": frame["b"].astype(str).to_numpy(),
                "distance": frame["distance"].to_numpy(),
                "same_identity": False,
            }
        )
        found = threshold_at(impostors, fmr, random_seed=random_seed)["point"]
        known = {str(one): float(found.sel(system=one)) for one in found["system"].values}
    elif given is None:
        known = pairs.thresholds
        if not known:
            return {}
    elif isinstance(given, Mapping):
        known = {one: number_in(value, f"threshold of {one}") for one, value in given.items()}
    else:
        known = dict.fromkeys(pairs.networks, number_in(given, "threshold"))
    if lacking := [one for one in pairs.networks if one not in known]:
        raise DataError(f"{lacking[0]!r} has no threshold", hint="give one of each network")
    for network, own in pairs.frame.groupby("network"):
        check_unit(known[str(network)], own["distance"].to_numpy(float), f"network {network!r}")
    return {one: known[one] for one in pairs.networks}


def _cell(key: tuple[str, ...], part: pd.DataFrame) -> Cell:
    """Pairs that have a distance, as `error_rates` takes them: failures are counted apart."""
    found = part[part["distance"].notna()]
    kind, network, editor, group = key
    return Cell(
        network,
        "impostor",  # whose rate is the share that matches
        (kind, editor, group),
        found["first"].to_numpy(),
        found["second"].to_numpy(),
        found["distance"].to_numpy(),
        np.ones(len(found)),
        len(part) - len(found),
    )


def _matching(
    pairs: Pairs,
    cells: Mapping[tuple[str, ...], pd.DataFrame],
    at: Mapping[str, float],
    random_seed: int,
) -> Estimate:
    """Share of pairs that match, of each kind."""
    found = []
    for key, part in cells.items():
        cell = _cell(key, part)
        found.append((key, cell, shares_at(cell, np.array([at[cell.system]]))))
    rates = rates_cube(
        found,
        CELL,
        sampler(pairs.people, DRAWS, random_seed),
        _levels(pairs),
        estimand="share of pairs that match, over persons of sources and targets",
    ).rename(errors="matches")
    rates["threshold"] = ("network", [at[str(one)] for one in rates["network"].values])
    return rates


def _levels(pairs: Pairs) -> dict[str, list[str]]:
    return {
        "kind": list(KINDS),
        "network": list(pairs.networks),
        "editor": list(pairs.editors),
        "group": list(pairs.groups),
    }


def _lost(matching: Estimate) -> Estimate:
    """How much more often outputs do not match their source than on average over groups."""
    rate = 1 - matching["rate"].sel(kind=SOURCE, drop=True)
    difference = (rate - rate.mean("group")).drop_attrs()
    return estimate(
        xr.Dataset({"difference": difference, "n": matching["n"].sel(kind=SOURCE, drop=True)}),
        of=[matching],
        variable="difference",
        estimand="share of outputs that do not match their source, minus the mean over groups",
        outcome="identity lost more often than on average",
        scale="difference of probabilities",
    )


def _identity(
    pairs: Pairs, cells: Mapping[tuple[str, ...], pd.DataFrame], random_seed: int
) -> Estimate:
    """Mean distances of each kind and network, and where those to the source are between others."""
    levels = _levels(pairs)
    shape = tuple(len(one) for one in levels.values())
    mean = np.full((DRAWS, *shape), np.nan)
    plain = {name: np.zeros(shape, int) for name in ("n", "persons", "failed")}
    for stream, network in enumerate(pairs.networks):
        own = {key: part for key, part in cells.items() if key[1] == network}
        index = {
            key: tuple(levels[dim].index(one) for dim, one in zip(CELL, key, strict=True))
            for key in own
        }
        for (key, part), value in zip(own.items(), _means(own, random_seed, stream).T, strict=True):
            found = part[part["distance"].notna()]
            whole: Any = (slice(None), *index[key])
            mean[whole] = value
            plain["n"][index[key]] = len(found)
            plain["persons"][index[key]] = found["first"].nunique()
            plain["failed"][index[key]] = len(part) - len(found)
    source, genuine, impostor = (mean[:, KINDS.index(one)] for one in (SOURCE, GENUINE, IMPOSTOR))
    room = impostor - genuine
    # A network that does not tell persons apart says nothing of identity.
    known = (room > 0).all(axis=0)
    kept = np.where(known, (impostor - source) / np.where(known, room, 1), np.nan)
    dataset = xr.Dataset(
        {
            "mean": (("chain", "draw", *CELL), mean[None]),
            "kept": (("chain", "draw", *CELL[1:]), kept[None]),
            **{name: (CELL, one) for name, one in plain.items()},
        },
        coords={"chain": [0], "draw": np.arange(DRAWS), **levels},
    )
    return estimate(
        dataset,
        of=[],
        variable="mean",
        estimand="mean distance, over persons of sources and targets",
        outcome="mean distance",
        scale="response",
    )


def _means(cells: Mapping[tuple[str, ...], pd.DataFrame], random_seed: int, stream: int) -> Floats:
    """Joint draws (draw, cell) of the mean distances of a network's cells."""
    parts = []
    for at, part in enumerate(cells.values()):
        found = part[part["distance"].notna()]
        values = found["distance"].to_numpy(float)
        moved = (values - values.mean()) / len(values)
        first, second = found["first"].to_numpy(), found["second"].to_numpy()
        dyads = pd.DataFrame(
            {"low": np.minimum(first, second), "high": np.maximum(first, second), "moved": moved}
        )
        parts.append(dyads.groupby(["low", "high"], as_index=False)["moved"].sum().assign(at=at))
    rows = pd.concat(parts, ignore_index=True)
    names, dyad = np.unique(rows[["low", "high"]].to_numpy(), axis=0, return_inverse=True)
    check_memory(3.0 * len(names) * len(parts), "sums over pairs of persons", "give fewer pairs")
    influence = np.zeros((len(names), len(parts)))
    influence[dyad.ravel(), rows["at"]] = rows["moved"]
    members = np.unique(names, return_inverse=True)[1].reshape(names.shape)
    # A row of one person has a second member that no other row has.
    alone = members[:, 0] == members[:, 1]
    members[alone, 1] = members.max() + 1 + np.arange(alone.sum())
    persons = [int(part["first"].nunique()) for part in cells.values()]
    centre = np.array([part["distance"].mean() for part in cells.values()])
    correction = np.sqrt([one / (one - 1) for one in persons])
    return draws_of_t(
        centre,
        covariance_of(influence * correction, members.astype(np.int64)),
        min(persons) - 1,
        DRAWS,
        generator(random_seed, 1, stream),
    )


def _seen(
    answers: Answers, attributes: Mapping[str, Mapping[str, str]], random_seed: int
) -> Estimate | None:
    """Share of outputs that are seen as of the source's level, of the target's, or of neither."""
    if not attributes["output"]:
        return None
    frame = answers.frame
    one = pd.factorize(frame["person"].astype("str"))[0]
    other = one
    if "target" in frame:
        image = frame["target"].astype(object)
        place = pd.factorize(image)[0]
        other = np.where(image.isna(), one, one.max() + 1 + place)
    draw = sampler(int(max(one.max(), other.max())) + 1, DRAWS, random_seed)
    found = []
    for name in attributes["output"]:
        source, seen = (frame[f"{of} {name}"].astype(object) for of in ("source", "output"))
        target = frame.get(f"target {name}", pd.Series(np.nan, index=frame.index)).astype(object)
        prompts = frame["target"].isna() if "target" in frame else pd.Series(True, frame.index)
        # Where source and target are alike, nothing says whose level it is.
        asked = seen.notna() & np.where(prompts, True, target.notna() & (target != source))
        if not target.notna().any():
            asked = seen.notna()
        ways = {"source": seen == source, "target": seen == target}
        ways["neither"] = ~ways["source"] & ~ways["target"]
        for (editor, level), rows in frame[asked].groupby(
            [frame["editor"].astype("str"), source.astype("str")]
        ):
            at = rows.index.to_numpy()
            if len(np.unique(one[at])) < LEAST:
                continue
            for way, which in ways.items():
                if way == "target" and not target[at].notna().any():
                    continue
                no = (~which).to_numpy(float)[at]
                cell = Cell(way, "impostor", (), one[at], other[at], no, np.ones(len(at)), 0)
                found.append(((name, way, str(editor), str(level)), cell, _share(cell)))
    if not found:
        return None
    return rates_cube(
        found,
        ["attribute", "seen_as", "editor", "level"],
        draw,
        estimand="share of outputs that are seen as of the source's level, or of another",
    ).rename(errors="outputs")


def _share(cell: Cell) -> Shares:
    """Share of 0 among the distances, 0 or 1, which tell little of how persons depend."""
    seen = seed_correlation(cell.first, cell.second, cell.distance, cell.weight)
    seen = seen._replace(correlation=max(seen.correlation, ASSUMED))
    step = cell.distance.astype(int)
    return shares_of(cell.first, cell.second, step, cell.weight, 1, seen)


def _models(
    answers: Answers,
    pairs: Pairs,
    attributes: Mapping[str, Mapping[str, str]],
    draws: int,
    random_seed: int,
    progress: Callable[[str], None] | None,
    keep: Path | None,
) -> tuple[dict[str, Fit], dict[str, Estimate]]:
    """Model of the distance to the source of each network, and effects by variable."""
    frame = answers.frame
    made = frame[["output", "person", "editor"]].copy()
    made["target"] = frame.get("target", np.nan)
    for one in attributes["source"]:
        made[one] = frame[f"source {one}"]
    for one in attributes["target"]:
        made[f"target_{one}"] = frame[f"target {one}"]
    parts = {}
    for network in pairs.networks:
        which = (pairs.frame["kind"] == SOURCE) & (pairs.frame["network"] == network)
        own = pairs.frame[which & pairs.frame["distance"].notna()]
        rows = made.iloc[own["row"].to_numpy()].assign(distance=own["distance"].to_numpy())
        if rows["person"].nunique() >= LEAST and rows["distance"].nunique() > 1:
            parts[network] = rows.reset_index(drop=True)
    crossed = all(_crossed(rows, attributes) for rows in parts.values())
    written = {
        network: formula_of(rows, attributes, crossed=crossed) for network, rows in parts.items()
    }
    models = {name: (formula, parts[name]) for name, (formula, own) in written.items() if own}
    fits = fit_models(models, progress=progress, keep=keep, draws=draws, random_seed=random_seed)
    each: dict[str, dict[str, xr.Dataset]] = {}
    for network, fit in fits.items():
        variables = written[network][1]
        for one in variables:
            by = ["editor"] if crossed and one in attributes["source"] else []
            by = [name for name in by if name in variables]
            each.setdefault(one, {})[network] = effects(fit, one, by=by)
    return fits, {one: join(found, "network") for one, found in each.items()}


def _own(rows: pd.DataFrame, attributes: Mapping[str, Mapping[str, str]]) -> list[str]:
    """Attributes of the source, and editor, that vary."""
    return [one for one in (*attributes["source"], "editor") if rows[one].nunique() > 1]


def _crossed(rows: pd.DataFrame, attributes: Mapping[str, Mapping[str, str]]) -> bool:
    """Whether each combination of attributes of the source and editor has outputs enough."""
    own = _own(rows, attributes)
    if not own:
        return False
    size = rows.groupby(own, observed=True).size()
    full = len(size) == np.prod([rows[one].nunique() for one in own])
    return bool(full and (size >= FULL).all())


def formula_of(
    rows: pd.DataFrame, attributes: Mapping[str, Mapping[str, str]], *, crossed: bool
) -> tuple[str, list[str]]:
    """Formula of the distance to the source, and its variables: what the rows can tell.

    Examples
    --------
    >>> rows = pd.DataFrame({"race": list("aabb") * 9, "person": list("1234") * 9, "editor": "e"})
    >>> rows["target"] = "t"
    >>> formula_of(rows, {"source": {"race": ""}, "target": {}}, crossed=True)
    ('distance ~ race + (1|person)', ['race'])
    """
    own = _own(rows, attributes)
    # Outputs without target have no level of its attributes: they would fall out of the model.
    into = [f"target_{one}" for one in attributes["target"]]
    into = [one for one in into if rows[one].notna().all() and rows[one].nunique() > 1]
    terms = [("*" if crossed else " + ").join(own), *into] if own else into
    terms = terms or ["1"]
    for one in ("person", "target"):
        if rows[one].isna().any() or not _repeats(rows, [one]):
            continue
        terms.append(f"(1|{one})")
        if "editor" in own and _repeats(rows, [one, "editor"]):
            terms.append(f"(1|{one}:editor)")
    return f"distance ~ {' + '.join(terms)}", [*own, *into]


def _repeats(rows: pd.DataFrame, by: list[str]) -> bool:
    """Whether several of these have several rows, and are not one."""
    size = rows.groupby(by, observed=True).size()
    return len(size) > 2 and bool((size > 1).sum() > 1)
