"""Counts of all pairs by identity: both kinds of error, and sums over sites."""

import json

import numpy as np
import pandas as pd
import pytest
import xarray as xr
from scipy.spatial.distance import pdist

import causalbias as cb
from causalbias import DataError
from causalbias.rates import all_pairs as all_pairs_module
from causalbias.rates import assembly
from causalbias.rates.dependence import ASSUMED, seed_correlation

AT = [3.0, 3.6]
FACTS = ("errors", "n", "n_effective", "disjoint", "smallest_rate", "supported", "top_share")


def people(rng, n=80, groups="ab", faces=2):
    """Faces of one site: embeddings, groups, identities; some have one face, some three."""
    random = np.random.default_rng(rng)
    whose = np.repeat(np.arange(n), random.integers(1, 2 * faces, n))
    group = np.array(list(groups))[np.arange(n) % len(groups)][whose]
    own = random.normal(size=(n, 8))
    vectors = own[whose] + random.normal(0, 0.7, (len(whose), 8))
    return vectors.astype(np.float32), group, whose


def pairs_of(vectors, group, whose, site=""):
    first, second = np.triu_indices(len(vectors), 1)
    name = np.char.add(f"{site}.", whose.astype(str))
    return pd.DataFrame(
        {
            "seed_a": name[first],
            "seed_b": name[second],
            "distance": pdist(vectors.astype(float)),
            "group_a": group[first],
            "group_b": group[second],
            "same_identity": whose[first] == whose[second],
        }
    )


def counts_of(vectors, group, whose, **more):
    given = {"thresholds": AT, "largest": 40.0, "bins": 50} | more
    return cb.all_pairs(vectors, group, identity=whose, **given)


def shared(rng, name, **more):
    of = people(rng, **more)
    return cb.rates.site_counts(counts_of(*of), site=name, system="net 1")


@pytest.fixture
def assumed(monkeypatch):
    """Dependence as it is assumed where there are no distances."""

    def found(first, second, distance, weight):
        return seed_correlation(first, second, distance, weight)._replace(
            correlation=ASSUMED, tail=0.0
        )

    monkeypatch.setattr(assembly, "seed_correlation", found)


@pytest.mark.usefixtures("assumed")
def test_false_non_match_rates_are_those_of_the_pairs():
    of = people(1)
    frame = pairs_of(*of)
    same = frame[frame["same_identity"]].rename(columns={"group_a": "group"})
    counts = counts_of(*of)
    ours = cb.rates.all_pairs_rates(counts, kind="genuine", draws=200).sel(threshold=AT[0])
    theirs = cb.error_rates(
        same.drop(columns="group_b"), by="group", threshold=AT[0], draws=200
    ).sel(rate_of="FNMR", system="system")
    for at in "ab":
        one, other = ours.sel(group=at, other=at), theirs.sel(group=at)
        for name in FACTS:
            np.testing.assert_allclose(one[name], other[name], rtol=1e-9, err_msg=name)
        np.testing.assert_allclose(
            np.sort(one["rate"].values.ravel()), np.sort(other["rate"].values.ravel()), rtol=0.02
        )
        assert 0 < float(one["errors"]) < float(one["n"])
    assert int(ours["n"].sel(group="a", other="b")) == 0  # no identity is in two groups
    assert ours.attrs["estimand"].startswith("false non-match rates")


@pytest.mark.usefixtures("assumed")
def test_an_identity_in_two_groups_has_genuine_pairs_of_both():
    vectors, _, whose = people(2)
    group = np.where(np.arange(len(whose)) % 3 == 0, "x", "y")
    counts = counts_of(vectors, group, whose)
    frame = pairs_of(vectors, group, whose)
    both = frame["same_identity"] & (frame["group_a"] != frame["group_b"])
    ours = cb.rates.all_pairs_rates(counts, kind="genuine", draws=5)
    cell = ours.sel(group="x", other="y", threshold=AT[1])
    assert int(cell["n"]) == both.sum() > 0
    assert int(cell["errors"]) == (frame.loc[both, "distance"] > AT[1]).sum()


@pytest.mark.usefixtures("assumed")
def test_the_sum_of_sites_has_the_rates_of_all_their_pairs():
    """False match rates as of a frame of each site's own pairs; pairs of two sites are in none."""
    one, other = people(3), people(4, n=60)
    own = [np.arange(len(of[2])) for of in (one, other)]  # a face a person: pairs are not shared
    sites = [
        cb.rates.site_counts(counts_of(*of[:2], whose), site=name, system="net 1")
        for of, whose, name in zip((one, other), own, ("north", "south"), strict=True)
    ]
    whole = cb.rates.add_counts(sites)
    frame = pd.concat(
        [
            pairs_of(*of[:2], whose, site=name)
            for of, whose, name in zip((one, other), own, ("north", "south"), strict=True)
        ]
    )
    ours = cb.rates.all_pairs_rates(whole, draws=200).sel(threshold=AT[0])
    theirs = cb.rates.group_pair_rates(frame, "group", threshold=AT[0], draws=200).sel(
        system="system"
    )
    for name in FACTS:
        np.testing.assert_allclose(ours[name], theirs[name], rtol=1e-9, err_msg=name)
    ends = [one["rate"].quantile([0.05, 0.5, 0.95], ["chain", "draw"]) for one in (ours, theirs)]
    np.testing.assert_allclose(*ends, rtol=0.02)


def test_one_site_alone_has_the_rates_of_its_counts():
    counts = counts_of(*people(5))
    alone = cb.rates.site_counts(counts, site="north", system="net 1")
    for kind in ("impostor", "genuine"):
        wanted = cb.rates.all_pairs_rates(counts, kind=kind, draws=50)
        found = cb.rates.all_pairs_rates(cb.rates.add_counts([alone]), kind=kind, draws=50)
        for name in (*FACTS, "within_30_percent", "few_identities"):
            np.testing.assert_allclose(found[name], wanted[name], rtol=1e-12, err_msg=name)
        cells = [one["rate"].sel(group="a", other="a") for one in (found, wanted)]
        ends = [cell.quantile([0.1, 0.9], ["chain", "draw"]) for cell in cells]
        np.testing.assert_allclose(*ends, rtol=1e-9)


def test_sums_do_not_depend_on_order_or_brackets_and_survive_a_file(tmp_path):
    a, b, c = (shared(seed, name) for seed, name in ((6, "a"), (7, "b"), (8, "c")))
    paths = [cb.save(one, tmp_path / f"{at}.nc") for at, one in enumerate((a, b, c))]
    add = cb.rates.add_counts
    whole = add([a, b, c])
    for other in (add([c, a, b]), add([add([b, a]), c]), add([cb.open(path) for path in paths])):
        for name in ("histogram", "matches", "n"):
            xr.testing.assert_equal(other[name], whole[name])
        rates = [cb.rates.all_pairs_rates(one, draws=20) for one in (whole, other)]
        for name in ("n_effective", "errors"):
            xr.testing.assert_allclose(rates[0][name], rates[1][name])
    assert whole.sizes["row"] == sum(one.sizes["row"] for one in (a, b, c))


def test_a_group_of_one_site_only_and_another_order_of_groups():
    a, b = shared(9, "a", groups="ab"), shared(10, "b", groups="cb")
    whole = cb.rates.add_counts([a, b])
    assert whole["group"].values.tolist() == ["a", "b", "c"]
    n = whole["n"].sel(kind="impostor")
    assert int(n.sel(group="a", other="c")) == 0  # they are at two sites
    assert int(n.sel(group="b", other="b")) == sum(
        int(one["n"].sel(kind="impostor", group="b", other="b")) for one in (a, b)
    )
    rates = cb.rates.all_pairs_rates(whole, draws=10)
    assert int(rates["n"].sel(group="a", other="c", threshold=AT[0])) == 0
    assert bool(rates["rate"].sel(group="a", other="c").isnull().all())


def test_what_a_site_gives_away_holds_no_embedding_name_or_order():
    vectors, group, whose = people(11)
    names = np.char.add("Jane Doe ", whose.astype(str))
    order = np.random.default_rng(0).permutation(len(whose))
    given = [
        cb.rates.site_counts(
            counts_of(vectors[rows], group[rows], names[rows]), site="s", system="net"
        )
        for rows in (np.arange(len(whose)), order)
    ]
    for name in ("matches", "n", "faces", "identity_matches", "identity_group"):
        xr.testing.assert_equal(given[0][name], given[1][name])
    assert set(given[0].variables) == {
        *("histogram", "matches", "n", "faces", "identity_matches"),
        *("kind", "group", "other", "threshold", "low", "high"),
        *("identity", "identity_group", "site"),
    }
    assert set(given[0].attrs) == {"kind", "system", "metric", "left_out"}
    assert "Jane" not in str(given[0].to_dict())


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"thresholds": [3.0, 3.5]}, "thresholds"),
        ({"bins": 51}, "histograms of 50 bins"),
        ({"largest": 41.0}, "up to 40 and of 50 up to 41"),
        ({"metric": "cosine", "largest": 2.0}, "metric 'euclidean' and 'cosine'"),
        ({"system": "net 2"}, "system 'net 1' and 'net 2'"),
        ({"site": "a"}, "'a' is there twice"),
        ({"rng": 12}, "have the same counts"),
    ],
)
def test_counts_that_cannot_be_added_are_refused(change, told):
    change = dict(change)
    other = people(change.pop("rng", 13))
    names = {"site": change.pop("site", "b"), "system": change.pop("system", "net 1")}
    mine = shared(12, "a")
    theirs = cb.rates.site_counts(counts_of(*other, **change), **names)
    with pytest.raises(DataError, match=told):
        cb.rates.add_counts([mine, theirs])


@pytest.mark.parametrize(
    ("mine", "theirs"),
    [
        (["f", "m"], ["F", "m"]),
        (["1", "2"], ["01", "02"]),
        (["True", "False"], ["true", "false"]),
        (["\u00e9", "m"], ["e\u0301", "m"]),
        (["east asian", "m"], ["East-Asian", "m"]),
    ],
)
def test_a_group_that_two_sites_write_differently_does_not_count_as_two(mine, theirs):
    one, two = shared(6, "a", groups=mine), shared(7, "b", groups=theirs)
    for sites in ([one, two], [two, one]):
        with pytest.raises(DataError, match=r"column 'group'.*look like one"):
            cb.rates.add_counts(sites)
    # Groups that a single site tells apart are two: it knows them.
    assert cb.rates.add_counts([one, shared(8, "c", groups=mine[1:])]).sizes["group"] == 2


def test_a_site_that_is_in_a_sum_is_not_added_under_another_name():
    one, two = shared(12, "a"), shared(13, "b")
    again = shared(12, "c").isel(group=slice(None, None, -1), other=slice(None, None, -1))
    whole = cb.rates.add_counts([one, two])
    with pytest.raises(DataError, match="sites 'a' and 'c' have the same counts"):
        cb.rates.add_counts([whole, again])
    assert cb.rates.add_counts([whole, shared(14, "c")])["n"].sum() > whole["n"].sum()


def test_counts_that_contradict_themselves_are_refused():
    site = shared(14, "a")
    for name in ("n", "matches", "faces", "identity_matches"):
        wrong = site.copy(deep=True)
        wrong[name].values[..., -1] += 1
        with pytest.raises(DataError, match="not the sums over its identities"):
            cb.rates.add_counts([wrong])
        for broken in (site.drop_vars(name), site.assign({name: -site[name] - 1})):
            with pytest.raises(DataError, match=f"no counts of a site: {name}"):
                cb.rates.add_counts([broken])
    other = site.assign_coords(identity_group=("row", ["q"] * site.sizes["row"]))
    with pytest.raises(DataError, match="identity_group"):
        cb.rates.add_counts([other])


def test_groups_selected_of_counts_have_no_rates_of_their_own(tmp_path):
    counts = counts_of(*people(21))
    opened = cb.open(cb.save(counts, tmp_path / "counts.nc"))
    xr.testing.assert_identical(opened, counts)
    wanted = cb.rates.all_pairs_rates(counts, draws=5)
    xr.testing.assert_identical(cb.rates.all_pairs_rates(opened, draws=5), wanted)
    one = cb.rates.all_pairs_rates(opened.sel(threshold=[AT[1]]), draws=5)
    np.testing.assert_array_equal(one["errors"].values[0], wanted["errors"].values[1])
    for part in (counts.sel(group=["a"], other=["a"]), counts.sel(other=["b", "a"])):
        with pytest.raises(DataError, match="lack some of the faces' groups"):
            cb.rates.all_pairs_rates(part)


def test_small_groups_are_refused():
    vectors, group, whose = people(15, n=60)
    group = np.where(np.isin(whose, [0, 2, 4]), "rare", group)
    counts = counts_of(vectors, group, whose)
    with pytest.raises(DataError, match=r"fewer than 10 identities: group 'rare' \(3\), genuine"):
        cb.rates.site_counts(counts, site="a", system="net 1")
    cb.rates.site_counts(counts, site="a", system="net 1", min_identities=1)
    group = np.array(["a", "b"])[whose % 2]
    group[0] = "b"  # one face of an identity is in another group
    counts = counts_of(vectors, group, np.concatenate([[whose[-1] - 1], whose[1:]]))
    with pytest.raises(DataError, match=r"genuine pairs of 'a' and 'b' \(1\)"):
        cb.rates.site_counts(counts, site="a", system="net 1")


@pytest.mark.parametrize(
    "call",
    [
        lambda _, __: cb.rates.add_counts([]),
        lambda counts, _: cb.rates.add_counts([counts]),
        lambda _, site: cb.rates.add_counts([site, "b.nc"]),
        lambda _, site: cb.rates.site_counts(site, site="b", system="net 1"),
        lambda counts, _: cb.rates.site_counts(counts, site=" ", system="net 1"),
        lambda counts, _: cb.rates.site_counts(counts, site="b", system=None),
        lambda counts, _: cb.rates.site_counts(counts, site="b", system="n", min_identities=0),
        lambda _, site: cb.rates.all_pairs_rates(site, kind="both"),
        lambda _, site: cb.rates.add_counts(site),
        lambda _, __: cb.rates.all_pairs_rates(cb.demo_study()),
    ],
)
def test_what_is_no_site_or_count_is_one_error(call):
    counts = counts_of(*people(16))
    site = cb.rates.site_counts(counts, site="a", system="net 1")
    with pytest.raises(DataError):
        call(counts, site)


def test_counts_at_no_threshold_add_up_to_histograms():
    counts = counts_of(*people(16), thresholds=())
    site = cb.rates.site_counts(counts, site="a", system="net 1")
    xr.testing.assert_equal(cb.rates.add_counts([site])["histogram"], counts["histogram"])
    with pytest.raises(DataError, match="no threshold"):
        cb.rates.all_pairs_rates(site)


def test_counts_without_genuine_pairs_have_no_false_non_match_rate():
    vectors, group, _ = people(17)
    with pytest.raises(DataError, match="no genuine pair"):
        cb.rates.all_pairs_rates(cb.all_pairs(vectors, group, thresholds=1.0), kind="genuine")


def test_left_out_faces_are_added():
    sites = []
    for seed, name in ((18, "a"), (19, "b")):
        vectors, group, whose = people(seed)
        vectors[:seed] = np.nan
        counts = counts_of(vectors, group, whose)
        sites.append(cb.rates.site_counts(counts, site=name, system="n", min_identities=5))
    rates = cb.rates.all_pairs_rates(cb.rates.add_counts(sites), draws=5)
    assert json.loads(rates.attrs["left_out"]) == {"faces without an embedding": 37}


def test_weights_of_many_identities_are_shared(monkeypatch):
    """The intervals stay, and so does that draws of two groups of the same faces are dependent."""
    counts = counts_of(*people(20, n=150))
    wanted = cb.rates.all_pairs_rates(counts, draws=400)
    monkeypatch.setattr(all_pairs_module, "MOST", 60)
    found = cb.rates.all_pairs_rates(counts, draws=400)
    for name in FACTS:
        xr.testing.assert_equal(found[name], wanted[name])
    ends = [one["rate"].quantile([0.05, 0.5, 0.95], ["chain", "draw"]) for one in (found, wanted)]
    np.testing.assert_allclose(*ends, rtol=1e-6)
    near = [
        np.corrcoef(one["rate"].sel(group="a", other="a").values[0].T)[0, 1]
        for one in (found, wanted)
    ]
    assert abs(near[0] - near[1]) < 0.1
