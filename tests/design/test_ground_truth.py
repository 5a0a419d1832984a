"""Ground Truth's files there and back, in the layouts that its documentation shows."""

import json

import pandas as pd
import pytest

import causalbias as cb


@pytest.fixture
def plan():
    pairs = ["a~b", "c~d", "e~f"]
    images = {pair: [f"{one}.png" for one in pair.split("~")] for pair in pairs}
    return cb.design.assign(pairs, 3, each=2, repeats=0.5), images


@pytest.fixture
def lines(plan, tmp_path):
    plan, images = plan
    path = cb.design.to_ground_truth(plan, images, "s3://bucket/faces/", tmp_path / "in.manifest")
    return [json.loads(line) for line in path.read_text().splitlines()]


def job(lines, root, answer=lambda at: {"score": str(at % 5)}, refs=True, order=None):
    """A finished job's folder: output manifest, and worker responses by number of the object."""
    out = []
    for at, line in enumerate(lines):
        place = f"annotations/worker-response/iteration-1/{at}/2021-03-08_23:06:49.json"
        meta = {"type": "groundtruth/custom", "human-annotated": "yes", "job-name": "j"}
        if refs:
            meta["worker-response-ref"] = f"s3://out/j/{place}"
        out.append({**line, "j": {}, "j-metadata": meta})
        (root / place).parent.mkdir(parents=True, exist_ok=True)
        one = {
            "acceptanceTime": "2021-03-08T23:06:40Z",
            "answerContent": answer(at),
            "submissionTime": f"2021-03-08T23:06:{at:02d}Z",
            "timeSpentInSeconds": 9.0,
            "workerId": f"private.us-east-1.{line['annotator']}",
        }
        (root / place).write_text(json.dumps({"answers": [one]}))
    (root / "manifests/output").mkdir(parents=True)
    out = out if order is None else [out[at] for at in order]
    text = "\n".join(map(json.dumps, out)) + "\n"
    (root / "manifests/output/output.manifest").write_text(text)
    return root


def test_the_input_manifest_is_lines_with_a_source_and_no_key_to_the_design(lines, plan):
    assert [line["source"] for line in lines] == plan[0]["task"].tolist()
    assert lines[0]["image_a"].startswith("s3://bucket/faces/")
    assert not {"role", "trial", "item", "order"} & set(lines[0])


@pytest.mark.parametrize(
    "answer",
    [
        lambda at: {"score": at % 5},
        lambda at: {"score": str(at % 5)},
        lambda at: {"score": {"label": str(at % 5)}},
        lambda at: {"score": {str(k): k == at % 5 for k in range(5)}},
        lambda at: [{"score": at % 5}],
    ],
)
def test_a_jobs_folder_comes_back(plan, lines, tmp_path, answer):
    judgements, excluded = cb.design.from_ground_truth(job(lines, tmp_path / "j", answer), plan[0])
    assert judgements["score"].tolist() == [at % 5 for at in range(len(lines))]
    assert judgements["item"].tolist() == plan[0]["item"].tolist()
    assert judgements["annotator"].str.startswith("private.").all()
    assert excluded.empty


@pytest.mark.parametrize(("refs", "order"), [(False, None), (True, [3, 1, 0, 2])])
def test_objects_are_found_by_reference_or_by_line(plan, lines, tmp_path, refs, order):
    order = None if order is None else [*order, *range(4, len(lines))]
    root = job(lines, tmp_path / "j", refs=refs, order=order)
    judgements, _ = cb.design.from_ground_truth(root, plan[0])
    score = dict(zip(plan[0]["task"], [at % 5 for at in range(len(lines))], strict=True))
    told = judgements.merge(plan[0], left_on=["place", "order"], right_on=["annotator", "order"])
    assert told["score"].tolist() == [score[task] for task in told["task"]]


def test_later_files_may_repeat_answers_and_silent_trials_are_counted(plan, lines, tmp_path):
    root = job(lines, tmp_path / "j")
    first = root / "annotations/worker-response/iteration-1/0/2021-03-08_23:06:49.json"
    (first.parent / "later.json").write_text(first.read_text())
    next((root / "annotations/worker-response/iteration-1/1").iterdir()).unlink()
    judgements, excluded = cb.design.from_ground_truth(root, plan[0])
    assert len(judgements) == len(lines) - 1
    assert excluded[["reason", "count"]].to_numpy().tolist() == [
        ["no answer to an assigned trial", 1]
    ]


def workers(line, at):
    content = json.dumps({"score": {"label": str(at % 5)}})
    return [{"workerId": f"w{line['annotator']}", "annotationData": {"content": content}}]


def test_files_that_hold_every_workers_answer(plan, lines, tmp_path):
    every = [
        {**line, "j": {"annotationsFromAllWorkers": workers(line, at)}, "j-metadata": {}}
        for at, line in enumerate(lines)
    ]
    (tmp_path / "output.manifest").write_text("\n".join(map(json.dumps, every)))
    request = [
        {
            "datasetObjectId": str(at),
            "dataObject": {"content": line["source"]},
            "annotations": workers(line, at),
        }
        for at, line in enumerate(lines)
    ]
    (tmp_path / "request.json").write_text(json.dumps(request))
    first, second = (
        cb.design.from_ground_truth(tmp_path / name, plan[0])[0]
        for name in ("output.manifest", "request.json")
    )
    assert first["score"].tolist() == [at % 5 for at in range(len(lines))]
    pd.testing.assert_frame_equal(first, second)


def test_bad_answers_name_their_rows(plan, lines, tmp_path):
    root = job(lines, tmp_path / "j", lambda at: {"score": "same"} if at == 2 else {"score": 1})
    with pytest.raises(cb.DataError, match=r"'score', row 3: 'same' is not a number"):
        cb.design.from_ground_truth(root, plan[0])
    none = job(lines, tmp_path / "k", lambda _: {"other": 1})
    with pytest.raises(cb.DataError, match=f"{len(lines)} rows"):
        cb.design.from_ground_truth(none, plan[0])


@pytest.mark.parametrize(
    ("content", "told"),
    [
        ('{"source": "t1", "j": 0, "j-metadata": {"class-name": "3"}}', r"^f.json: consol"),
        ('{"source": ', "not Ground Truth's results"),
        ("[3]", "not Ground Truth's results"),
        ("[" * 100_000, "not Ground Truth's results"),
        (
            '[{"dataObject": {"content": "zz"}, "annotations": [{"workerId": "w", '
            '"annotationData": {"content": "{\\"score\\": 1}"}}]}]',
            "'zz' is not a task",
        ),
        ("", "no answers"),
    ],
)
def test_files_that_cannot_be_read(plan, tmp_path, content, told):
    (tmp_path / "f.json").write_text(content)
    with pytest.raises(cb.DataError, match=told):
        cb.design.from_ground_truth(tmp_path / "f.json", plan[0])


def test_a_folder_without_a_job(plan, tmp_path):
    with pytest.raises(cb.DataError, match="no such file"):
        cb.design.from_ground_truth(tmp_path, plan[0])


def test_a_link_out_of_the_job_is_not_read(plan, lines, tmp_path):
    root = job(lines, tmp_path / "j")
    one = next((root / "annotations/worker-response/iteration-1/0").iterdir())
    (tmp_path / "outside.json").write_text(one.read_text())
    one.unlink()
    one.symlink_to(tmp_path / "outside.json")
    with pytest.raises(cb.DataError, match=r"^[^(]*json: the file lies outside"):
        cb.design.from_ground_truth(root, plan[0])


def test_a_reference_that_leads_nowhere(plan, lines, tmp_path):
    root = job(lines, tmp_path / "j")
    file = root / "manifests/output/output.manifest"
    bad = '{"source": "t1", "m": {"worker-response-ref": "x"}}\n'
    file.write_text(bad)
    with pytest.raises(cb.DataError, match="not Ground Truth's results"):
        cb.design.from_ground_truth(root, plan[0])
