"""Fits, counts and refits on a scheduler of dask: the numbers are those without, killed or not."""

import os
import signal
from contextlib import suppress
from functools import partial

import dask
import dask.array
import dask.dataframe
import numpy as np
import pandas as pd
import pytest
import xarray as xr

import causalbias as cb
from causalbias import DataError
from causalbias.analyses.fitting import fit_models
from causalbias.cli.cluster import workers_at
from causalbias.recognition import tiles
from causalbias.scheduler import map_jobs, map_tasks, scheduled
from tests.recognition.test_all_pairs import faces

FORMULA = "distance ~ race + (1|seed)"


@pytest.fixture(scope="module")
def rows():
    rng = np.random.default_rng(0)
    race, seed = rng.choice(["a", "b"], 300), rng.integers(0, 6, 300)
    distance = 0.8 + 0.1 * (race == "b") + 0.1 * rng.normal(size=6)[seed] + rng.normal(0, 0.1, 300)
    return pd.DataFrame({"race": race, "seed": seed.astype(str), "distance": distance})


@pytest.fixture(scope="module")
def cluster():
    distributed = pytest.importorskip("distributed")
    with distributed.LocalCluster(
        n_workers=2, threads_per_worker=1, dashboard_address=":0"
    ) as workers:
        yield workers


@pytest.fixture
def killing(tmp_path):
    """A function of a value that gives it back, and kills the first worker that calls it."""
    flag = tmp_path / "flag"
    flag.touch()
    yield partial(_killing, str(flag), os.getpid())
    assert not flag.exists()


def _killing(flag, own, value):
    if os.getpid() != own:
        with suppress(FileNotFoundError):  # of two workers the one that removes it
            os.unlink(flag)
            os.kill(os.getpid(), signal.SIGKILL)
    return value


def race(after, fit):
    return after(cb.effects(fit, "race"))


def without_each(fit, after=lambda value: value):
    settings = {"over": "seed", "refit": "always", "draws": 100}
    return cb.model_checks.influence(fit, partial(race, after), **settings)


def in_task():
    return scheduled(), list(map_jobs(divmod, [lambda: (7, 2)]))


def test_jobs_have_the_same_results_in_order_whatever_the_scheduler():
    rng = np.random.default_rng(0)
    jobs = [lambda at=at: (at, float(rng.normal())) for at in range(50)]
    wanted = [(at, float(one)) for at, one in enumerate(np.random.default_rng(0).normal(size=50))]
    assert not scheduled()
    assert list(map_jobs(lambda *one: one, jobs)) == wanted
    for scheduler in ("threads", "synchronous"):
        rng = np.random.default_rng(0)
        with dask.config.set(scheduler=scheduler):
            assert scheduled()
            assert list(map_tasks(lambda *one: one, jobs, 7)) == wanted
            # Tasks of a task would wait for the worker that it holds.
            assert list(map_jobs(in_task, [lambda: ()])) == [(False, [(3, 1)])]


def test_refits_and_power_are_those_without_a_scheduler(rows):
    fit = cb.fit(FORMULA, rows, draws=100)
    settings = {"over": "seed", "sizes": [6], "simulations": 2, "draws": 100}
    alone = without_each(fit), cb.design.power(fit, "race", **settings)
    with dask.config.set(scheduler="threads", num_workers=2):
        found = without_each(fit), cb.design.power(fit, "race", **settings)
    xr.testing.assert_identical(found[0], alone[0])
    pd.testing.assert_frame_equal(found[1], alone[1])


def test_models_that_answer_a_check_are_those_without_a_scheduler(rows):
    fit = cb.fit("distance ~ race", rows, draws=100)
    alone = cb.heal(fit)
    said = []
    with dask.config.set(scheduler="threads", num_workers=2):
        found = cb.heal(fit, progress=said.append)
    same = [name for name in alone.table if name != "seconds"]
    pd.testing.assert_frame_equal(found.table[same], alone.table[same])
    assert len(said) == len(alone.table) > 0
    assert list(found.fits) == list(alone.fits)
    for name, one in found.fits.items():
        assert one["posterior"].to_dataset().equals(alone.fits[name]["posterior"].to_dataset())


def test_an_address_without_a_scheduler_is_refused():
    pytest.importorskip("distributed")
    with pytest.raises(DataError, match="no scheduler of dask answers"), workers_at("nonsense"):
        pass


@pytest.mark.slow
def test_a_fit_is_the_same_on_a_cluster_whose_worker_is_killed(rows, cluster, killing, tmp_path):
    parts = dask.dataframe.from_pandas(rows, 6)
    for at in range(4):
        rows.iloc[at::4].to_parquet(tmp_path / f"{at}.parquet")
    lacking = rows.assign(distance=rows["distance"].where(rows.index > 9))

    def found(data):
        fit = cb.fit(FORMULA, data, draws=100)
        summary = cb.summarise_rows(FORMULA, tmp_path, min_rows=1)
        return fit["posterior"].to_dataset(), summary["cells"].to_dataset()

    alone = found(parts)
    with cluster.get_client():
        of_workers = found(parts.map_partitions(killing, meta=rows.iloc[:0]))
        with pytest.raises(DataError, match=r"partition 0.*missing in 10 of 50 rows"):
            cb.fit(FORMULA, dask.dataframe.from_pandas(lacking, 6))
    for one, other in zip(alone, of_workers, strict=True):
        xr.testing.assert_identical(one, other)


@pytest.mark.slow
def test_counts_of_all_pairs_are_the_same_with_a_worker_killed(
    cluster, killing, monkeypatch, tmp_path
):
    monkeypatch.setattr(tiles, "TILE", 64)
    monkeypatch.setattr(tiles, "OF_GROUP", 1)
    vectors, group, identity = faces(2)
    found = partial(cb.all_pairs, group=group, identity=identity, thresholds=[5.0])
    alone = found(vectors)
    source = dask.array.from_array(vectors, chunks=(50, -1)).map_blocks(killing, meta=vectors[:0])
    with cluster.get_client():
        kept = found(source, file=tmp_path / "counts.nc")
    xr.testing.assert_identical(kept.drop_attrs(), alone.drop_attrs())


@pytest.mark.slow
def test_refits_and_models_are_the_same_with_a_worker_killed(rows, cluster, killing, tmp_path):
    fit = cb.fit(FORMULA, rows, draws=100)
    alone = without_each(fit)
    models = {name: (FORMULA, rows[rows["race"] != name]) for name in ("x", "y")}
    with workers_at(cluster.scheduler_address):
        assert scheduled()
        xr.testing.assert_identical(without_each(fit, killing), alone)
        said = []
        fits = fit_models(models, progress=said.append, keep=tmp_path / "fits", draws=100)
    assert not scheduled()
    assert said == ["x", "y"]
    assert len(list((tmp_path / "fits").iterdir())) == 2
    for one in fits.values():
        xr.testing.assert_identical(one["posterior"].to_dataset(), fit["posterior"].to_dataset())
