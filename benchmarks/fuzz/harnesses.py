"""What is fuzzed: functions of bytes, which must end well or in a DataError, and sound bytes.

A harness takes an empty folder and the bytes. Add one with its seeds to `HARNESSES`:

    HARNESSES["name"] = (function, [sound bytes, ...])
"""

import io
import json
import shutil
import tempfile
import zipfile
from collections.abc import Callable
from functools import cache, partial
from pathlib import Path

import h5py
import numpy as np
import pandas as pd
import xarray as xr

import causalbias as cb
from causalbias.cli.design import parse_levels
from causalbias.io.storage import DIGEST
from causalbias.models.fit import rows_of
from causalbias.models.priors import parse_prior
from causalbias.recognition.images import decode
from causalbias.study.reading import read_table
from tests.hostile import battery, battery_binary

Harness = Callable[[Path, bytes], object]


# -- layouts: the first byte says which file the rest replaces -----------------------------------
def layout(name: str, root: Path, data: bytes) -> object:
    build, load, files = battery.LAYOUTS[name]
    build(root)
    file = files[data[0] % len(files)] if data else files[0]
    (root / file).write_bytes(data[1:])
    return sound(load(root), root)


def layout_seeds(name: str) -> list[bytes]:
    build, _, files = battery.LAYOUTS[name]
    with in_folder() as root:
        build(root)
        return [bytes([at]) + (root / file).read_bytes() for at, file in enumerate(files)]


def sound(study: cb.Study, root: Path) -> cb.Study:
    """A study that loaded is valid, prints, and comes back from a file as it was."""
    cb.validate(study)
    repr(study)
    again = cb.open(cb.save(study, root / "again.nc"))
    assert again.identical(study), "saved and opened it is another"
    return study


class in_folder:
    """A fresh folder, in memory where the machine has such a place."""

    def __enter__(self) -> Path:
        place = "/dev/shm" if Path("/dev/shm").is_dir() else None
        self.path = Path(tempfile.mkdtemp(dir=place))
        return self.path

    def __exit__(self, *_: object) -> None:
        shutil.rmtree(self.path, ignore_errors=True)


# -- single files --------------------------------------------------------------------------------
def archive(loader: str, file: str, root: Path, data: bytes) -> object:
    (root / file).write_bytes(data)
    return sound(cb.load(loader, root), root)


def npz(root: Path, data: bytes) -> object:
    battery.omi(root)
    (root / "embeddings_net_validation_x.npz").write_bytes(data)
    return sound(cb.load("omi", root), root)


def npz_seed() -> bytes:
    with in_folder() as root:
        battery.omi(root)
        return (root / "embeddings_net_validation_x.npz").read_bytes()


def npz_members(root: Path, data: bytes) -> object:
    """One member replaced, its checksum right: what the checksum of an archive keeps from `npz`."""
    members = npz_parts()
    name = sorted(members)[data[0] % len(members) if data else 0]
    return npz(root, ZIP(members | {name: data[1:]}))


@cache
def npz_parts() -> dict[str, bytes]:
    with zipfile.ZipFile(io.BytesIO(npz_seed())) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def edited(fit: bool, root: Path, data: bytes) -> object:
    """A value or an attribute of a saved file replaced, its checksum right."""
    (root / "s.nc").write_bytes(battery_binary.saved(fit))
    with h5py.File(root / "s.nc", "r+") as file:
        places = places_of(fit)
        path, attribute = places[int.from_bytes(data[:2], "little") % len(places)]
        del file.attrs[DIGEST]
        _replace(file[path], attribute, data[2:])
    return (saved_fit if fit else saved_study)(root, (root / "s.nc").read_bytes())


def _replace(one: h5py.Dataset | h5py.Group, attribute: str | None, new: bytes) -> None:
    old = one.attrs[attribute] if attribute else one[()]
    if isinstance(old, str) or (isinstance(old, np.ndarray) and old.dtype.kind == "O"):
        text = new.decode("utf-8", "ignore").replace("\0", "")
        value = text if isinstance(old, str) else np.full(old.shape, text, object)
    else:
        value = np.resize(
            np.frombuffer(new.ljust(16, b"\1")[:16], np.uint8), np.asarray(old).nbytes
        )
        value = value.view(np.asarray(old).dtype).reshape(np.shape(old))
    if attribute:
        one.attrs[attribute] = value
    elif np.ndim(value):
        one[np.unravel_index(0, value.shape)] = value.flat[0]


@cache
def places_of(fit: bool) -> list[tuple[str, str | None]]:
    """Data sets, and attributes that are neither HDF5's nor NetCDF's own."""
    found: list[tuple[str, str | None]] = []

    def visit(path: str, one: h5py.Dataset | h5py.Group) -> None:
        own = (DIGEST, "CLASS", "NAME", "REFERENCE_LIST", "DIMENSION_LIST", "_Netcdf4", "_NC")
        found.extend((path, key) for key in one.attrs if not key.startswith(own))
        if isinstance(one, h5py.Dataset) and one.size:
            found.append((path, None))

    with h5py.File(io.BytesIO(battery_binary.saved(fit)), "r") as file:
        visit("/", file)
        file.visititems(visit)
    return found


def edited_seeds(fit: bool) -> list[bytes]:
    """As it was, a place at a time (of texts: what a new text is made from)."""
    found = []
    with h5py.File(io.BytesIO(battery_binary.saved(fit)), "r") as file:
        for at, (path, attribute) in enumerate(places_of(fit)):
            old = file[path].attrs[attribute] if attribute else file[path][()]
            first = np.asarray(old, object if isinstance(old, str) else None).flat[0]
            text = first.encode() if isinstance(first, str) else first
            body = text if isinstance(text, bytes) else np.asarray(first).tobytes()
            found.append(at.to_bytes(2, "little") + body)
    return found


def saved_study(root: Path, data: bytes) -> object:
    (root / "s.nc").write_bytes(data)
    found = cb.open(root / "s.nc")
    if isinstance(found, cb.Study):
        cb.validate(found)
        repr(found)
    return found


def saved_fit(root: Path, data: bytes) -> object:
    (root / "s.nc").write_bytes(data)
    found = cb.open(root / "s.nc")
    if isinstance(found, cb.Fit):
        repr(found)
        cb.failures(found)
        cb.summarise(cb.effects(found, "x"))
    return found


def parquet(root: Path, data: bytes) -> object:
    (root / "t.parquet").write_bytes(data)
    return read_table(root / "t.parquet")


def parquet_seed() -> bytes:
    stream = io.BytesIO()
    battery_binary.ROWS.to_parquet(stream)
    return stream.getvalue()


def zarr(root: Path, data: bytes) -> object:
    shutil.copytree(zarr_store(), root / "s.zarr")
    files = sorted(path for path in (root / "s.zarr").rglob("zarr.json"))
    files[data[0] % len(files) if data else 0].write_bytes(data[1:])
    found = cb.open(root / "s.zarr")
    if isinstance(found, cb.Study):
        cb.validate(found)
    return found


@cache
def zarr_store() -> Path:
    """A store without the digest of texts, which would refuse what other texts lead to."""
    path = cb.save(battery_binary.small_study(), Path(tempfile.mkdtemp()) / "s.zarr")
    root = json.loads((path / "zarr.json").read_text())
    del root["attributes"][DIGEST]
    (path / "zarr.json").write_text(json.dumps(root))
    return path


def zarr_seeds() -> list[bytes]:
    files = sorted(zarr_store().rglob("zarr.json"))
    return [bytes([at]) + path.read_bytes() for at, path in enumerate(files[:40])]


def store(root: Path, data: bytes) -> object:
    (root / "embeddings.sqlite").write_bytes(data)
    return battery_binary.embedded(root)


def store_seed() -> bytes:
    with in_folder() as root:
        battery_binary.embedded(root)
        return (root / "embeddings.sqlite").read_bytes()


def onnx_file(root: Path, data: bytes) -> object:
    (root / "net.onnx").write_bytes(data)
    return cb.embedder(root / "net.onnx")(np.zeros((1, 112, 112, 3), np.uint8))


def onnx_seed() -> bytes:
    import onnx
    from onnx import TensorProto, helper

    nodes = [
        helper.make_node("GlobalAveragePool", ["x"], ["mean"]),
        helper.make_node("Flatten", ["mean"], ["y"]),
    ]
    ends = [
        helper.make_tensor_value_info("x", TensorProto.FLOAT, ["n", 3, 112, 112]),
        helper.make_tensor_value_info("y", TensorProto.FLOAT, ["n", 3]),
    ]
    graph = helper.make_graph(nodes, "net", ends[:1], ends[1:])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    onnx.checker.check_model(model)
    return bytes(model.SerializeToString())


def manifest(suffix: str, root: Path, data: bytes) -> object:
    (root / f"m{suffix}").write_bytes(data)
    faces = cb.stimuli.read_manifest(root / f"m{suffix}", images=False)
    cb.stimuli.write_manifest(faces, root / "again.csv")
    again = cb.stimuli.read_manifest(root / "again.csv", images=False)
    pd.testing.assert_frame_equal(faces, again, check_dtype=False)
    return faces


MANIFEST = "image,seed,attribute,level,generator\na.png,1,pose,0,g1\nb.png,1,pose,2,g1\n"


@cache
def assignment() -> pd.DataFrame:
    return cb.design.assign(["p1", "p2", "p3"], 2, each=2, gold=["g1"], repeats=0.4)


def label_studio(root: Path, data: bytes) -> object:
    (root / "r.json").write_bytes(data)
    return cb.design.from_label_studio(root / "r.json", assignment())


def label_studio_seed() -> bytes:
    result = [{"from_name": "score", "to_name": "image", "type": "rating", "value": {"rating": 3}}]
    return json.dumps(
        [
            {
                "id": at,
                "data": {"task": task},
                "annotations": [{"completed_by": {"email": "a@b.c"}, "result": result}],
            }
            for at, task in enumerate(assignment()["task"])
        ]
    ).encode()


def ground_truth(root: Path, data: bytes) -> object:
    (root / "r.json").write_bytes(data)
    return cb.design.from_ground_truth(root / "r.json", assignment())


def ground_truth_seeds() -> list[bytes]:
    """A request for consolidation, and a manifest with every worker's answer."""
    tasks = assignment()["task"]
    answers = [{"workerId": "w1", "annotationData": {"content": json.dumps({"score": 3})}}]
    request = [{"dataObject": {"content": task}, "annotations": answers} for task in tasks]
    lines = [{"task": task, "score": {"annotationsFromAllWorkers": answers}} for task in tasks]
    return [json.dumps(request).encode(), "\n".join(map(json.dumps, lines)).encode()]


def mturk(root: Path, data: bytes) -> object:
    (root / "r.csv").write_bytes(data)
    return cb.design.from_mturk(root / "r.csv", assignment())


def mturk_seed() -> bytes:
    rows = "".join(f"{task},W{at % 2},Approved,3\n" for at, task in enumerate(assignment()["task"]))
    return ("Input.task,WorkerId,AssignmentStatus,Answer.score\n" + rows).encode()


# -- texts ---------------------------------------------------------------------------------------
def text_of(data: bytes) -> str:
    return data[:400].decode("utf-8", "replace")


def formula(_: Path, data: bytes) -> object:
    """Formulas are read, and a model is made of what can be read (not sampled)."""
    from causalbias.models.bambi_models import common_model
    from causalbias.models.group_design import group_designs
    from causalbias.models.sizes import check_fit_size
    from causalbias.models.specification import ModelSpec, model_frame

    spec = ModelSpec(text_of(data))
    used = model_frame(spec, battery_binary.ROWS)
    check_fit_size(spec.formula, used, 1000)
    return common_model(spec, used), group_designs(spec.formula, used)


@cache
def estimate() -> xr.Dataset:
    return cb.effects(cb.fit("y ~ x", battery_binary.ROWS, draws=100), "x")


TEXTS: dict[str, tuple[Callable[[str], object], list[str]]] = {
    "subset": (
        lambda text: rows_of(battery_binary.ROWS, text),
        ["x == 1 and not g == 'a'", "y > 0.5 or g in ['a', 'b']", "-1 < x <= 2"],
    ),
    "prior": (
        lambda text: parse_prior(text, "x"),
        ["Normal(0, 1)", "HalfNormal(sigma=2.5)", "StudentT(3, 0, 2)", "Exponential(1)"],
    ),
    "hypotheses": (
        lambda text: cb.hypotheses(estimate(), {"h": text}),
        ["effect[2] - 2 * effect[1]", "abs(effect[1]) ** 2", "maximum(effect[1], -effect[2]) / 3"],
    ),
    "levels": (parse_levels, ["seed=1..20", "race=asian,black", "pose=-1.5,0,2"]),
    "names": (
        lambda text: cb.datasets.stimuli_from_names(["1_white_0", "2_black_3"], text),
        ["{seed}_{race}_{pose}", "{a}_{b}_{c}"],
    ),
}


def of_text(read: Callable[[str], object], _: Path, data: bytes) -> object:
    return read(text_of(data))


def image(_: Path, data: bytes) -> object:
    return decode(data)


def image_seeds() -> list[bytes]:
    from PIL import Image

    noise = np.random.default_rng(0).integers(0, 256, (20, 20, 3), np.uint8)
    found = []
    for kind in ("PNG", "JPEG", "BMP", "GIF", "TIFF", "WEBP"):
        stream = io.BytesIO()
        Image.fromarray(noise).save(stream, kind)
        found.append(stream.getvalue())
    return found


ZIP = battery_binary.archive_of
HARNESSES: dict[str, tuple[Harness, Callable[[], list[bytes]]]] = (
    {name: (partial(layout, name), partial(layout_seeds, name)) for name in battery.LAYOUTS}
    | {
        "data.zip": (
            partial(archive, "causalface", "data.zip"),
            lambda: [ZIP({battery_binary.GOOD: battery.PICTURE})],
        ),
        "ratings.zip": (
            partial(archive, "omi-ratings", "attribute_ratings.zip"),
            lambda: [ZIP({"a.csv": layout_seeds("omi-ratings")[0][1:]})],
        ),
        "npz": (npz, lambda: [npz_seed()]),
        "npz members": (
            npz_members,
            lambda: [
                bytes([at]) + part for at, (_, part) in enumerate(sorted(npz_parts().items()))
            ],
        ),
        "saved study": (saved_study, lambda: [battery_binary.saved(False)]),
        "saved fit": (saved_fit, lambda: [battery_binary.saved(True)]),
        "study edited": (partial(edited, False), partial(edited_seeds, False)),
        "fit edited": (partial(edited, True), partial(edited_seeds, True)),
        "zarr": (zarr, zarr_seeds),
        "parquet": (parquet, lambda: [parquet_seed()]),
        "store": (store, lambda: [store_seed()]),
        "onnx": (onnx_file, lambda: [onnx_seed()]),
        "image": (image, image_seeds),
        "manifest.csv": (partial(manifest, ".csv"), lambda: [MANIFEST.encode()]),
        "manifest.json": (
            partial(manifest, ".json"),
            lambda: [pd.read_csv(io.StringIO(MANIFEST)).to_json(orient="records").encode()],
        ),
        "label studio": (label_studio, lambda: [label_studio_seed()]),
        "ground truth": (ground_truth, ground_truth_seeds),
        "mturk": (mturk, lambda: [mturk_seed()]),
        "formula": (
            formula,
            lambda: [
                b"y ~ x + (1|g)",
                b"y ~ C(x)*g + (x||g)",
                b"y ~ bs(x, df=4) + (1|mm(g, x))",
                b"y ~ log(x) + (1|g/x)",
                b"y ~ 0 + poly(x, 2):g",
            ],
        ),
    }
    | {
        name: (partial(of_text, read), lambda seeds=seeds: [one.encode() for one in seeds])
        for name, (read, seeds) in TEXTS.items()
    }
)
