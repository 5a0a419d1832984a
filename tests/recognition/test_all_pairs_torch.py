"""Counts of all pairs by torch are those of the CPU."""

import numpy as np
import pytest

import causalbias as cb
from causalbias.recognition import torch_blocks
from tests.recognition.test_all_pairs import faces

torch = pytest.importorskip("torch")
DEVICES = ["cpu:0", *(["cuda"] if torch.cuda.is_available() else [])]


@pytest.mark.parametrize("metric", ["euclidean", "cosine"])
@pytest.mark.parametrize("block", [64, 4096])
@pytest.mark.parametrize("device", DEVICES)
def test_matches_are_those_of_the_cpu(metric, block, device, monkeypatch):
    monkeypatch.setattr(torch_blocks, "BLOCK", block)
    vectors, group, identity = faces(3)
    vectors[7] = vectors[8]  # a distance of zero
    first, second = np.triu_indices(len(vectors), 1)
    apart = vectors[first].astype(float), vectors[second].astype(float)
    distance = np.sqrt(np.square(apart[0] - apart[1]).sum(1))
    if metric == "cosine":
        lengths = np.prod([np.linalg.norm(one, axis=1) for one in apart], axis=0)
        distance = 1 - (apart[0] * apart[1]).sum(1) / lengths
    # Distances that there are: float32 does not tell on which side of them these pairs lie.
    limits = [0.0, *np.quantile(distance, [0.001, 0.3]), distance[7], distance[1000]]
    same = {"identity": identity, "thresholds": limits, "metric": metric}
    cpu = cb.all_pairs(vectors, group, **same)
    own = cb.all_pairs(vectors, group, **same, device=device)
    for name in ("matches", "face_matches", "n"):
        np.testing.assert_array_equal(own[name], cpu[name])
    assert int(cpu["matches"].isel(threshold=0).sum()) > 0
    moved = np.cumsum((own["histogram"] - cpu["histogram"]).values, axis=-1)
    assert np.abs(moved).max() <= 2


def test_the_precision_of_products_is_left_as_it_was():
    vectors, group, _ = faces(4)
    before = torch.get_float32_matmul_precision()
    torch.set_float32_matmul_precision("medium")
    try:
        cb.all_pairs(vectors, group, device="cpu:0")
        assert torch.get_float32_matmul_precision() == "medium"
    finally:
        torch.set_float32_matmul_precision(before)


def test_a_device_that_is_not_there_is_one_error():
    vectors, group, _ = faces(4)
    with pytest.raises(cb.DataError, match="device 'nowhere'"):
        cb.all_pairs(vectors, group, device="nowhere")
    with pytest.raises(cb.DataError, match="workers are given for device"):
        cb.all_pairs(vectors, group, device="cpu:0", workers=2)
