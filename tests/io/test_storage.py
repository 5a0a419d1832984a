"""Saving and opening: bit for bit, whole or not at all, lazily on request."""

import numpy as np
import pandas as pd
import pytest
import xarray as xr

import causalbias as cb
import causalbias.io.storage
from causalbias import DataError


def study_of(name="kept"):
    """A study with what formats get wrong: empty and non-Latin text, NaN, negative zero, flags."""
    stimuli = pd.DataFrame(
        {
            "stimulus": ["f1", "f2", "f3"],
            "seed": ["Zoë", "Zoë", "李"],
            "level": [0, 1, 0],
            "image": ["a.png", "b.png", "ç.png"],
            "width": [1.5, 0.1 + 0.2, 5e-324],
        }
    )
    pairs = pd.DataFrame({"stimulus_a": ["f1", "f1"], "stimulus_b": ["f2", "f3"]})
    distances = pd.DataFrame(
        {
            "system": "net",
            "pair": ["f1~f2", "f1~f3"],
            "distance": [1 / 3, np.nan],
            "status": ["ok", "no face"],
        }
    )
    judgements = pd.DataFrame(
        {
            "annotator": ["ann", "bob"],
            "question": "alike?",
            "pair": ["f1~f2", "f1~f3"],
            "score": [0.1, -0.0],
            "trial": [1, 2],
            "catch": [True, False],
        }
    )
    excluded = pd.DataFrame({"file": ["f"], "what": ["faces"], "reason": ["too few"], "count": [3]})
    return cb.make_study(
        factors=["seed", "level"],
        stimuli=stimuli,
        pairs=pairs,
        distances=distances,
        judgements=judgements,
        scales=(-1, 1),
        excluded=excluded,
        name=name,
    )


@pytest.fixture(scope="module")
def fit():
    rows = cb.to_frame(cb.demo_study(), "human").query("question == 'age' and level < 2")
    return cb.fit("score ~ C(level) + (1|annotator)", rows, draws=200)


def assert_bit_for_bit(one: xr.DataTree, other: xr.DataTree):
    assert type(one) is type(other)
    assert one.identical(other)
    assert set(one.children) == set(other.children)
    for name, node in one.children.items():
        for key, values in node.to_dataset().variables.items():
            again = other[name].to_dataset().variables[key]
            assert values.dtype.kind == again.dtype.kind, (name, key)
            if values.dtype.kind in "iuf":
                assert values.dtype == again.dtype, (name, key)
                assert values.values.tobytes() == again.values.tobytes(), (name, key)


@pytest.mark.parametrize("suffix", [".nc", ".zarr"])
def test_study_comes_back(tmp_path, suffix):
    study = study_of()
    again = cb.open(cb.save(study, tmp_path / f"study{suffix}"))
    assert_bit_for_bit(study, again)
    assert repr(study) == repr(again)
    cb.validate(again)
    assert np.signbit(again["human"]["score"].values[1])
    for group in study.children:
        # Zarr lists names in its own order.
        pd.testing.assert_frame_equal(
            cb.to_frame(study, group), cb.to_frame(again, group), check_like=suffix == ".zarr"
        )


@pytest.mark.parametrize("suffix", [".nc", ".zarr"])
def test_fit_comes_back(tmp_path, suffix, fit):
    again = cb.open(cb.save(fit, tmp_path / f"fit{suffix}"))
    assert_bit_for_bit(fit, again)
    pd.testing.assert_frame_equal(cb.summary(fit), cb.summary(again), check_like=suffix == ".zarr")
    one, other = cb.effects(fit, "level"), cb.effects(again, "level")
    assert one.identical(other)


@pytest.mark.parametrize("suffix", [".nc", ".zarr"])
def test_twice_saved_is_once_saved(tmp_path, suffix):
    first = cb.open(cb.save(study_of(), tmp_path / f"one{suffix}"))
    second = cb.open(cb.save(first, tmp_path / f"two{suffix}"))
    assert_bit_for_bit(first, second)


@pytest.mark.parametrize("suffix", [".nc", ".zarr"])
def test_lazy_opening(tmp_path, suffix):
    study = study_of()
    lazy = cb.open(cb.save(study, tmp_path / f"study{suffix}"), lazy=True)
    try:
        assert lazy["machine"]["distance"].chunks is not None
        assert lazy["human"]["score"].chunks is not None
        assert repr(lazy) == repr(study)
        assert lazy["machine"]["distance"].chunks is not None, "printing leaves it on disk"
        assert lazy.load().identical(study)
    finally:
        lazy.close()


@pytest.mark.parametrize("suffix", [".nc", ".zarr"])
def test_opened_file_can_be_replaced(tmp_path, suffix):
    path = cb.save(study_of("old"), tmp_path / f"study{suffix}")
    opened = cb.open(path)
    cb.save(opened, path)
    cb.save(study_of("new"), path)
    assert cb.open(path).attrs["name"] == "new"
    assert [p.name for p in tmp_path.iterdir()] == [path.name], "no scratch is left behind"


@pytest.mark.parametrize(
    ("suffix", "home", "method"),
    [(".nc", causalbias.io.storage, "write_netcdf"), (".zarr", xr.DataTree, "to_zarr")],
)
def test_failing_write_leaves_the_old_one(tmp_path, monkeypatch, suffix, home, method):
    path = cb.save(study_of("old"), tmp_path / f"study{suffix}")
    before = cb.open(path)
    write = getattr(home, method)

    def half(tree, target, **options):
        write(tree, target, **options)
        raise OSError("disk full")

    monkeypatch.setattr(home, method, half)
    with pytest.raises(DataError, match=r"cannot be written \(disk full"):
        cb.save(study_of("new"), path)
    monkeypatch.undo()
    assert_bit_for_bit(before, cb.open(path))
    assert [p.name for p in tmp_path.iterdir()] == [path.name]


def test_failing_last_step_leaves_the_old_store(tmp_path, monkeypatch):
    import os

    path = cb.save(study_of("old"), tmp_path / "study.zarr")
    move = os.replace

    def refuse(source, target):
        if str(target) == str(path) and "replaced" not in str(source):
            raise OSError("device lost")
        move(source, target)

    monkeypatch.setattr("causalbias.io.atomic.os.replace", refuse)
    with pytest.raises(DataError, match=r"cannot be written \(device lost"):
        cb.save(study_of("new"), path)
    monkeypatch.undo()
    assert cb.open(path).attrs["name"] == "old"


@pytest.mark.parametrize("share", [0.0, 0.1, 0.5, 0.95])
def test_truncated_file(tmp_path, share):
    path = cb.save(study_of(), tmp_path / "study.nc")
    content = path.read_bytes()
    path.write_bytes(content[: int(share * len(content))])
    for lazy in (False, True):
        with pytest.raises(DataError) as caught:
            cb.open(path, lazy=lazy)
        assert caught.value.file == str(path)


def test_store_with_a_part_missing(tmp_path):
    path = cb.save(study_of(), tmp_path / "study.zarr")
    for chunk in (path / "machine").rglob("zarr.json"):
        chunk.write_text("{")
    (path / "zarr.json").write_text("{")
    with pytest.raises(DataError):
        cb.open(path)


def test_what_was_not_written_by_us(tmp_path):
    xr.DataTree(xr.Dataset({"x": 1})).to_netcdf(tmp_path / "other.nc", engine="h5netcdf")
    with pytest.raises(DataError, match="not written by causalbias"):
        cb.open(tmp_path / "other.nc")
    (tmp_path / "text.nc").write_text("hello")
    with pytest.raises(DataError, match="not a readable"):
        cb.open(tmp_path / "text.nc")
    with pytest.raises(DataError, match="no such file"):
        cb.open(tmp_path / "gone.nc")


@pytest.mark.parametrize("name", ["study", "study.h5", "study.pickle", "study.nc.gz"])
def test_other_endings(tmp_path, name):
    with pytest.raises(DataError, match=r"\.nc or \.zarr"):
        cb.save(study_of(), tmp_path / name)
    with pytest.raises(DataError, match=r"\.nc or \.zarr"):
        cb.open(tmp_path / name)


def test_saved_without_pickle(tmp_path):
    path = cb.save(study_of(), tmp_path / "study.nc")
    assert b"pickle" not in path.read_bytes()


@pytest.mark.parametrize("suffix", [".nc", ".zarr"])
def test_a_changed_bit_of_a_number_is_noticed(tmp_path, suffix):
    """Wherever a bit changes in what holds numbers, the file is refused or says the same."""
    study = cb.simulate(4, random_seed=1)
    path = cb.save(study, tmp_path / f"s{suffix}")
    files = [one for one in (path.rglob("c/*") if suffix == ".zarr" else [path]) if one.is_file()]
    rng, refused = np.random.default_rng(0), 0
    for file in rng.choice(np.array(files, object), 25):
        whole = file.read_bytes()
        changed = bytearray(whole)
        changed[rng.integers(len(whole))] ^= 1 << rng.integers(8)
        file.write_bytes(changed)
        try:
            again = cb.open(path)
        except cb.DataError:
            refused += 1
        else:
            for node in study.subtree:
                for name, one in node.to_dataset(inherit=False).variables.items():
                    if one.dtype.kind in "biufc":
                        np.testing.assert_array_equal(again[node.path][name], one)
        file.write_bytes(whole)
    assert refused >= (25 if suffix == ".zarr" else 10)
    assert cb.open(path).identical(study)


def test_only_what_can_be_opened_again_is_saved(tmp_path):
    with pytest.raises(DataError, match="a study, a fit"):
        cb.save(pd.DataFrame({"a": [1]}), tmp_path / "table.nc")
    assert not list(tmp_path.iterdir())
