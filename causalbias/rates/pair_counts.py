"""Counts of all pairs as data: by identity, of one site and of several."""

import hashlib
import json
from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr

from causalbias.arguments import not_what, whole_in
from causalbias.errors import DataError, shown
from causalbias.study.columns import ALIKE, both_shown, groups_alike
from causalbias.study.tables import spelled_apart

FINISHED, UNFINISHED = "pair counts", "unfinished pair counts"
OF_SITES = "pair counts of sites"
BY_GROUP = ("histogram", "matches", "n")
# Variables of a site's counts with their dims, and those that are numbers of something.
FORM = {
    "histogram": ("kind", "group", "other", "bin"),
    "matches": ("kind", "group", "other", "threshold"),
    "n": ("kind", "group", "other"),
    "faces": ("row",),
    "identity_matches": ("kind", "threshold", "row", "other"),
    "identity": ("row",),
    "identity_group": ("row",),
    "site": ("row",),
    "low": ("bin",),
    "high": ("bin",),
}
COUNTS = (*BY_GROUP, "faces", "identity_matches", "identity")


def opened_counts(tree: xr.DataTree) -> xr.Dataset:
    """Return the counts that a file holds; the reader of `open`.

    Raises
    ------
    DataError
        If the counts are not finished.
    """
    found = tree.to_dataset()
    if tree.attrs["kind"] == UNFINISHED:
        raise DataError(
            f"the counts are not finished ({found['done'].values.mean():.0%} of the pairs were "
            "counted)",
            hint="call all_pairs again with the same arguments and this file",
        )
    return found


def by_identity(counts: xr.Dataset) -> xr.Dataset:
    """Counts of `all_pairs` with faces of one identity and group added up.

    Raises
    ------
    DataError
        If groups were selected, of which the faces' matches are not.

    Returns
    -------
    Dataset
        As `site_counts`; `identity` has the codes of `face_identity`, and there is no site.
    """
    groups = counts["group"].values
    code = pd.Index(groups).get_indexer(pd.Index(counts["face_group"].values))
    if (code < 0).any() or groups.tolist() != counts["other"].values.tolist():
        raise DataError(
            "the counts lack some of the faces' groups",
            hint="give all that all_pairs returned, and select from the rates",
        )
    key = counts["face_identity"].values * len(groups) + code
    rows, row = np.unique(key, return_inverse=True)
    of_face = [counts[name].values for name in ("face_matches", "face_genuine_matches")]
    matches = np.zeros((2, len(of_face[0]), len(rows), len(groups)), np.int64)
    for kind, at, other in np.ndindex(2, len(of_face[0]), len(groups)):
        found = np.bincount(row, of_face[kind][at, :, other], len(rows))
        matches[kind, at, :, other] = found.round()
    dims = ("kind", "threshold", "row", "other")
    return xr.Dataset(
        {name: counts[name] for name in BY_GROUP}
        | {"faces": ("row", np.bincount(row)), "identity_matches": (dims, matches)},
        coords={
            "identity": ("row", rows // len(groups)),
            "identity_group": ("row", groups[rows % len(groups)]),
            "site": ("row", np.full(len(rows), "", dtype=object).astype(str)),
        },
        attrs=counts.attrs,
    )


def site_counts(
    counts: xr.Dataset, *, site: str, system: str, min_identities: int = 10
) -> xr.Dataset:
    """Counts of all pairs in a form that a site may give away, to be added to those of others.

    The result holds no embedding, image, name or row number, and identities in an order that says
    nothing. It does hold, for each identity, its group, its number of faces, and its numbers of
    matches at each threshold with faces of each group, from which `all_pairs_rates` computes
    intervals; and the histograms of distances by group. `save` writes it to a file.

    Parameters
    ----------
    counts : Dataset
        Result of `all_pairs`.
    site : str
        Name of the site, by which `add_counts` tells sites apart.
    system : str
        Name and version of the network. Distances of different networks cannot be added.
    min_identities : int, default 10
        Least number of identities in a group, and of those that have any genuine pair in it.

    Returns
    -------
    Dataset
        ``histogram``, ``matches``, ``n`` as `all_pairs` returns them; ``faces`` (row), and
        ``identity_matches`` (kind, threshold, row, other), each row an identity in a group:
        ``identity``, ``identity_group``, ``site`` (row).

    Raises
    ------
    DataError
        If a group, or the genuine pairs of two groups, are of fewer identities than that.

    Examples
    --------
    >>> import causalbias as cb, numpy as np
    >>> faces = np.random.default_rng(1).normal(size=(40, 4))
    >>> counts = cb.all_pairs(faces, ["a", "b"] * 20, thresholds=2.0, largest=12.0)
    >>> shared = cb.rates.site_counts(counts, site="north", system="net 1")
    >>> dict(shared.sizes)["row"], [name for name in shared.variables if "face" in name]
    (40, ['faces'])
    """
    if not isinstance(counts, xr.Dataset) or counts.attrs.get("kind") != FINISHED:
        raise not_what(counts, "the result of all_pairs")
    for name, value in (("site", site), ("system", system)):
        if not isinstance(value, str) or not value.strip():
            raise DataError(f"{name} {shown(value)}", hint=f"give the name of the {name}")
    found = by_identity(counts)
    faces = identity_faces(found)
    _check_cells(found, faces, min_identities)
    # By group and counts, which tell nothing of the order of faces.
    values = found["identity_matches"].values.reshape(-1, *found["identity_matches"].shape[-2:])
    keys = np.concatenate(
        [found["faces"].values[None], values.transpose(0, 2, 1).reshape(-1, found.sizes["row"])]
    )
    order = np.lexsort([*keys, found["identity_group"].values])
    found = found.isel(row=order)
    identity = found["identity"].values
    first = np.unique(identity, return_index=True, return_inverse=True)
    rank = np.argsort(np.argsort(first[1]))
    attrs = {name: counts.attrs[name] for name in ("metric", "left_out")}
    found.attrs = {"kind": OF_SITES, "system": system.strip()} | attrs
    return found.assign_coords(
        identity=("row", rank[first[2]]),
        site=("row", np.full(found.sizes["row"], site.strip())),
    )


def _check_cells(found: xr.Dataset, faces: np.ndarray, min_identities: int) -> None:
    """Refuse groups, and genuine pairs of two groups, of few identities."""
    whole_in(min_identities, "min_identities", 1)
    groups = found["group"].values.tolist()
    few = [
        f"group {groups[at]!r} ({n})"
        for at, n in enumerate((faces > 0).sum(axis=0))
        if n < min_identities
    ]
    for g, h in np.ndindex(len(groups), len(groups)):
        n = int((genuine_pairs(faces, g, h) > 0).sum())
        if g <= h and 0 < n < min_identities:
            few.append(f"genuine pairs of {groups[g]!r} and {groups[h]!r} ({n})")
    if few:
        raise DataError(
            f"fewer than {min_identities} identities: {', '.join(few[:5])}"
            + (f" and {len(few) - 5} more" if len(few) > 5 else ""),
            hint="merge or leave out these groups, or count without identity= if faces of one "
            "identity are few",
            file="counts",
        )


def add_counts(counts: Sequence[xr.Dataset]) -> xr.Dataset:
    """Add the counts of all pairs of several sites.

    Pairs of faces of two sites are not compared, and persons of two sites are taken for different
    ones. So the rates are those within sites, a mean of the sites' rates weighted by their pairs,
    and their intervals are about persons such as those at these sites: sites that were not asked
    may differ more.

    Parameters
    ----------
    counts : sequence of Dataset
        Results of `site_counts`, or of `add_counts`.

    Returns
    -------
    Dataset
        As of `site_counts`, for `all_pairs_rates`. Groups are in the order of the first site; a
        group that a site does not have adds nothing.

    Raises
    ------
    DataError
        If two sites differ in system, metric, thresholds or bins, or in how they write a group; if
        a site is there twice, by its name or by its counts; or if the counts of a site contradict
        each other.

    Examples
    --------
    >>> import causalbias as cb, numpy as np
    >>> def site(name, seed):
    ...     faces = np.random.default_rng(seed).normal(size=(40, 4))
    ...     counts = cb.all_pairs(faces, ["a", "b"] * 20, thresholds=2.0, largest=12.0)
    ...     return cb.rates.site_counts(counts, site=name, system="net 1")
    >>> whole = cb.rates.add_counts([site("north", 1), site("south", 2)])
    >>> whole["n"].sel(kind="impostor").values
    array([[380, 800],
           [800, 380]])
    >>> rates = cb.rates.all_pairs_rates(whole)
    """
    if isinstance(counts, xr.Dataset):
        raise not_what(counts, "a list of results of cb.rates.site_counts")
    parts = list(counts)
    if not parts:
        raise DataError("no counts", hint="give those of one site or more")
    for part in parts:
        if not isinstance(part, xr.Dataset) or part.attrs.get("kind") != OF_SITES:
            raise not_what(part, "the result of cb.rates.site_counts")
        _check_sums(part)
    _check_alike(parts)
    groups = _groups_of(parts)
    found = [part.reindex(group=groups, other=groups, fill_value=0) for part in parts]
    whole = found[0][list(BY_GROUP)]
    rows, persons = [], 0
    for at, part in enumerate(found):
        if at:
            whole = whole + part[list(BY_GROUP)]
        own = part[["faces", "identity_matches", "identity", "identity_group", "site"]]
        rows.append(own.assign_coords(identity=own["identity"] + persons))
        persons += int(part["identity"].max()) + 1
    joined = xr.concat(rows, "row", join="exact", compat="override", coords="minimal")
    result = whole.merge(joined, compat="override", join="exact")
    left_out: dict[str, int] = {}
    for part in parts:
        for reason, number in json.loads(part.attrs["left_out"]).items():
            left_out[reason] = left_out.get(reason, 0) + number
    result.attrs = parts[0].attrs | {"left_out": json.dumps(left_out)}
    return result


def _groups_of(parts: Sequence[xr.Dataset]) -> list[str]:
    """The groups of all sites; a group that two sites write differently would count as two."""
    groups: list[str] = []
    for part in parts:
        own = part["group"].values.tolist()
        apart = spelled_apart(groups, own) or groups_alike([*groups, *own])
        if apart is not None:
            raise DataError(
                f"{both_shown(*apart[:2])} are groups of site {_sites(part)[0]!r} and of those "
                "before it, and look like one",
                hint=ALIKE,
                column="group",
            )
        groups += [one for one in own if one not in groups]
    return groups


def _check_alike(parts: Sequence[xr.Dataset]) -> None:
    """Refuse counts that cannot be added, and sites that are there twice."""
    first = parts[0]
    names = [_sites(part) for part in parts]
    for at, part in enumerate(parts[1:], start=1):
        pair = f"sites {names[0][0]!r} and {names[at][0]!r}"
        for name in ("system", "metric"):
            if part.attrs[name] != first.attrs[name]:
                both = f"{first.attrs[name]!r} and {part.attrs[name]!r}"
                raise DataError(f"{pair} have the {name} {both}", hint="add counts of one only")
        if not np.array_equal(part["threshold"], first["threshold"]):
            raise DataError(
                f"{pair} counted at thresholds {first['threshold'].values.tolist()} and "
                f"{part['threshold'].values.tolist()}",
                hint="give all_pairs the same thresholds at all sites",
            )
        if not all(np.array_equal(first[end], part[end]) for end in ("low", "high")):
            raise DataError(
                f"{pair} have histograms of {first.sizes['bin']} bins up to "
                f"{first['high'].values.max():.6g} and of {part.sizes['bin']} up to "
                f"{part['high'].values.max():.6g}",
                hint="give all_pairs the same bins= and largest= at all sites",
            )
    every = [name for own in names for name in own]
    twice = sorted({name for name in every if every.count(name) > 1})
    if twice:
        raise DataError(f"site {twice[0]!r} is there twice", hint="give each site once")
    seen: dict[str, str] = {}
    for part in parts:
        for site, content in _contents(part).items():
            other = seen.setdefault(content, site)
            if other != site:
                raise DataError(
                    f"sites {other!r} and {site!r} have the same counts",
                    hint="give each site's own counts",
                )


def _contents(part: xr.Dataset) -> dict[str, str]:
    """What each site's faces and matches are, by site, whatever the order of groups and persons.

    A site that is in a sum already is so found under another name.
    """
    faces, matches = part["faces"].values, part["identity_matches"]
    whole = matches.transpose("row", "kind", "threshold", "other").sortby("other").values
    group, persons, site = (part[name].values for name in ("identity_group", "identity", "site"))
    others = [str(name) for name in np.sort(part["other"].values)]
    found = {}
    for name in _sites(part):
        rows = np.flatnonzero(site == name)
        own = [
            (
                str(group[row]),
                int(faces[row]),
                *(
                    (other, *counts)
                    for at, other in enumerate(others)
                    if any(counts := whole[row, ..., at].ravel().tolist())
                ),
            )
            for row in rows
        ]
        people = pd.Series(own).groupby(persons[rows]).agg(lambda one: sorted(one, key=repr))
        text = repr(sorted(map(repr, people)))
        found[name] = hashlib.sha256(text.encode()).hexdigest()
    return found


def _sites(part: xr.Dataset) -> list[str]:
    return list(dict.fromkeys(part["site"].values.tolist()))


def _check_sums(part: xr.Dataset) -> None:
    """Refuse counts that lack something, and those whose totals are not sums of their identities.

    A file from elsewhere may hold anything.
    """
    lacking = [
        name
        for name, dims in FORM.items()
        if name not in part.variables
        or part[name].dims != dims
        or (name in COUNTS and (part[name].dtype.kind not in "iu" or bool((part[name] < 0).any())))
    ]
    known = [] if lacking else list(_sites(part))
    if lacking or not known or not set(part["identity_group"].values) <= set(part["group"].values):
        raise DataError(
            f"no counts of a site: {', '.join(lacking) or 'identity_group'} is not what it says",
            hint="make them by cb.rates.site_counts",
        )
    size, n = site_sizes(part), part["n"].values
    faces, own = identity_faces(part), identity_sums(part)
    for g, h in np.ndindex(*n.shape[1:]):
        pairs = impostor_pairs(faces, size, g, h).sum() / 2, genuine_pairs(faces, g, h).sum()
        for kind in range(2):
            matches = own(kind, g, h).sum(axis=0) / (1 if kind else 2)
            told = part["matches"].values[kind, g, h]
            if pairs[kind] != n[kind, g, h] or not np.array_equal(matches, told):
                raise DataError(
                    f"the totals of site {_sites(part)[0]!r} are not the sums over its identities",
                    hint="make its counts again by site_counts",
                )


# Sums over faces, by identity


def identity_faces(found: xr.Dataset) -> np.ndarray:
    """Number of faces of each identity in each group (identity, group)."""
    code = _codes(found)
    faces = np.zeros((int(found["identity"].max()) + 1, found.sizes["group"]))
    np.add.at(faces, (found["identity"].values, code), found["faces"].values)
    return faces


def _codes(found: xr.Dataset) -> np.ndarray:
    place = {name: at for at, name in enumerate(found["group"].values.tolist())}
    return np.array([place[name] for name in found["identity_group"].values.tolist()])


def site_sizes(found: xr.Dataset) -> np.ndarray:
    """Number of faces of each group at the site of each identity (identity, group)."""
    faces = identity_faces(found)
    site = np.zeros(len(faces), int)
    site[found["identity"].values] = np.unique(found["site"].values, return_inverse=True)[1]
    size = np.zeros((int(site.max()) + 1, faces.shape[1]))
    np.add.at(size, site, faces)
    sizes: np.ndarray = size[site]
    return sizes


def impostor_pairs(faces: np.ndarray, size: np.ndarray, g: int, h: int) -> np.ndarray:
    """Pairs of two identities of groups g and h that each one is in (identity,)."""
    pairs = faces[:, g] * (size[:, h] - faces[:, h])
    if g != h:
        pairs = pairs + faces[:, h] * (size[:, g] - faces[:, g])
    return np.asarray(pairs)


def genuine_pairs(faces: np.ndarray, g: int, h: int) -> np.ndarray:
    """Pairs of faces of one identity in groups g and h (identity,)."""
    own = faces[:, g]
    return np.asarray(own * (own - 1) / 2 if g == h else own * faces[:, h])


def identity_sums(found: xr.Dataset) -> Any:
    """Return a function of kind, g and h: matching pairs of each identity (identity, threshold)."""
    code, identity = _codes(found), found["identity"].values
    matches, n = found["identity_matches"].values, int(identity.max()) + 1

    def of(kind: int, g: int, h: int) -> np.ndarray:
        def side(own: int, other: int) -> np.ndarray:
            rows = code == own
            columns = [np.bincount(identity[rows], at[rows, other], n) for at in matches[kind]]
            return np.array(columns).reshape(len(columns), n).T

        if kind == 1:  # both faces are of the identity, and so is each pair within a group twice
            return side(g, h) / (2 if g == h else 1)
        return side(g, h) if g == h else side(g, h) + side(h, g)

    return of
