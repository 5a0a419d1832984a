"""Several files of scores: of one system, or of a system each, and in one unit."""

import numpy as np
import pandas as pd
import pytest

import causalbias as cb
from causalbias.errors import DataError

read = cb.datasets.read_scores


def rows(seed=1, ids="person", pairs=30):
    """Pairs of persons of two groups; with ids of images, each pair is of two images of its own."""
    draw = np.random.default_rng(seed)
    one = draw.integers(10, size=2 * pairs)
    other = np.where(np.arange(2 * pairs) < pairs, one, (one + 1) % 10)
    sides = {"a": one, "b": other}
    table = {f"race_{side}": np.where(who < 5, "x", "y") for side, who in sides.items()}
    if ids == "image":
        table |= {f"image_{s}": [f"i{n}{s}" for n in range(2 * pairs)] for s in sides}
    table |= {f"person_{side}": [f"p{n}" for n in who] for side, who in sides.items()}
    return pd.DataFrame(
        table | {"similarity": np.where(one == other, 0.8, 0.2) + draw.uniform(0, 0.1, 2 * pairs)}
    )


def written(folder, **tables):
    for name, table in tables.items():
        table.to_csv(folder / f"{name}.csv", index=False)
    return folder


@pytest.mark.parametrize("ids", ["person", "image"])
def test_files_with_the_same_pairs_are_systems(tmp_path, ids):
    first = rows(ids=ids)
    second = first.sample(frac=1, random_state=1).assign(similarity=lambda one: one.similarity / 2)
    found = read(written(tmp_path, arcface=first, facenet=second))
    assert found.systems == ["arcface", "facenet"]
    assert found.frame.groupby("system").size().tolist() == [60, 60]
    assert any("taken for a system of its own: arcface, facenet" in one for one in found.remarks)
    assert ("system", "the name of the file") in set(
        found.taken[["what", "column"]].itertuples(index=False, name=None)
    )


def test_files_with_the_same_pairs_the_other_way_round_are_systems(tmp_path):
    first = rows(ids="image")
    turned = first.rename(
        columns=lambda one: one[:-2] + {"_a": "_b", "_b": "_a"}.get(one[-2:], one[-2:])
    )
    turned["similarity"] *= 0.9
    assert read(written(tmp_path, one=first, two=turned.iloc[:50])).systems == ["one", "two"]


def test_parts_of_one_table_are_one_system(tmp_path):
    table = rows(ids="image")
    found = read(written(tmp_path, one=table.iloc[:30], two=table.iloc[30:]))
    assert found.systems == ["the system"]
    assert len(found.frame) == 60
    again = read(written(tmp_path, two=table.iloc[20:]))  # ten rows are in both
    assert (again.systems, len(again.frame)) == (["the system"], 60)
    assert again.excluded["count"].tolist() == [10]


def test_files_that_may_be_of_one_system_or_of_two_are_refused(tmp_path):
    table = rows()
    other = rows(seed=2)  # other comparisons, of which some are of the same persons
    written(tmp_path, one=table, two=other)
    with pytest.raises(DataError, match=r"not clear whether the files are of one system.*'system'"):
        read(tmp_path)
    written(tmp_path, one=table.assign(system="s"), two=other.assign(system="s"))
    assert (read(tmp_path).systems, len(read(tmp_path).frame)) == (["s"], 120)
    written(tmp_path, one=table, two=table.iloc[::-1])
    with pytest.raises(DataError, match=r"are with the same scores, also in two.csv"):
        read(tmp_path)
    written(tmp_path, one=table, two=table)
    with pytest.raises(DataError, match=r"two.csv: the same file as one.csv"):
        read(tmp_path)


def test_a_column_of_systems_is_in_all_files_or_in_none(tmp_path):
    written(tmp_path, one=rows().assign(system="s"), two=rows(seed=2))
    with pytest.raises(DataError, match=r"one.csv says which systems.*two.csv does not"):
        read(tmp_path)


def test_files_in_two_units_are_not_joined(tmp_path):
    table = rows(ids="image")
    percent = table.assign(similarity=100 * table["similarity"])
    written(tmp_path, one=table.iloc[::2], two=percent.iloc[1::2])
    with pytest.raises(DataError, match=r"two.csv are 1.*times those in one.csv"):
        read(tmp_path)
    written(tmp_path, two=percent)  # of a system each, which has its own unit
    assert read(written(tmp_path, one=table)).systems == ["one", "two"]
    kinds = table["person_a"] == table["person_b"]  # genuine scores may be far above impostors'
    high = table.assign(similarity=table["similarity"].where(~kinds, 1000 * table["similarity"]))
    written(tmp_path, one=high[kinds], two=high[~kinds])
    assert len(read(tmp_path).frame) == 60


def test_what_is_not_read_of_a_folder_is_named(tmp_path):
    written(tmp_path, one=rows())
    for name in ("more.txt", "z.csv.gz", "README.md", ".hidden"):
        (tmp_path / name).write_text("text")
    (tmp_path / "old").mkdir()
    assert any(one.endswith("are: more.txt, old/, z.csv.gz.") for one in read(tmp_path).remarks)


def test_files_of_one_name_in_two_folders_stay_apart(tmp_path):
    for name, factor in (("a", 1), ("b", 0.5)):
        (tmp_path / name).mkdir()
        one = rows().assign(similarity=factor * rows()["similarity"])
        one.to_csv(tmp_path / name / "scores.csv", index=False)
    found = read([tmp_path / name / "scores.csv" for name in "ab"])
    assert found.systems == ["a/scores", "b/scores"]
