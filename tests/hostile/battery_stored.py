"""More of the battery: saved files that lead out or claim too much, archives, sizes."""

import io
import json
import struct
import zipfile
from collections.abc import Callable, Sequence
from functools import cache
from pathlib import Path

import h5py
import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import xarray as xr

import causalbias as cb
from tests.hostile.battery import LAYOUTS, PICTURE, case, load_tidy, release, tidy
from tests.hostile.battery_binary import (
    CASES,
    GOOD,
    ROWS,
    archive_of,
    edited,
    npy,
    npz_bytes,
    ratings_zip,
    small_study,
)

__all__ = ["CASES"]


# -- NetCDF: what leads out of the file, and what claims more than there is ------------------------
def external_link(file: h5py.File) -> None:
    file["machine"]["leak"] = h5py.ExternalLink("/etc/hostname", "x")


def external_storage(file: h5py.File) -> None:
    file.create_dataset("leak", shape=(8,), dtype="u1", external=[("/etc/passwd", 0, 8)])


def virtual(file: h5py.File) -> None:
    layout = h5py.VirtualLayout((4,), "f8")
    layout[:] = h5py.VirtualSource("/etc/other.h5", "v", (4,))
    file.create_virtual_dataset("leak", layout)


def a_circle(file: h5py.File) -> None:
    file["machine"]["again"] = file["machine"]


def claimed(group: str, shape: tuple[int, ...], kind: str | np.dtype = "f8"):
    """An array of which nothing is stored: it would be read as zeros."""

    def change(file: h5py.File) -> None:
        chunks = tuple(min(size, 64) for size in shape)
        file[group].create_dataset("vast", shape=shape, dtype=kind, chunks=chunks)

    return change


for _fit in (False, True):
    _group = "posterior" if _fit else "machine"
    edited("external storage", "'/leak' is kept in other files", external_storage, fit=_fit)
    edited("a virtual array", "'/leak' is kept in other files", virtual, fit=_fit)
    edited(
        "an array of 2^50 numbers", "would take .* GiB", claimed(_group, (2**25, 2**25)), fit=_fit
    )
edited("an external link", "'/machine/leak' is a link", external_link)
edited(
    "a soft link",
    "is a link",
    lambda file: file["machine"].__setitem__("leak", h5py.SoftLink("/pairs")),
)
edited("a group within itself", "a link", a_circle)
CHANGED = "the texts differ from those that were saved"
edited(
    "a formula changed",
    CHANGED,
    lambda file: file.attrs.__setitem__("spec", file.attrs["spec"].replace("x", "g")),
    fit=True,
    digest=True,
)
edited(
    "an attribute changed",
    CHANGED,
    lambda file: file["machine"]["distance"].attrs.__setitem__("metric", "cosine"),
    digest=True,
)
edited(
    "a text changed",
    CHANGED,
    lambda file: file["human"]["annotator"].__setitem__(0, "another"),
    digest=True,
)
edited("2^40 texts", "would take .* GiB", claimed("machine", (2**40,), h5py.string_dtype()))


def truth(name: str, pattern: str, change) -> None:
    def act(root: Path) -> object:
        release(root)
        xr.Dataset({"a": ("x", [1.0])}).to_netcdf(root / "truth.nc", engine="h5netcdf")
        with h5py.File(root / "truth.nc", "a") as file:
            change(file)
        return cb.load("causalface", root)

    case(f"truth.nc: {name}", pattern, act)


truth("external storage", "kept in other files", external_storage)
truth("an array of 2^50 numbers", "would take .* GiB", claimed("/", (2**50,)))


# -- Zarr ------------------------------------------------------------------------------------------
def zarr(name: str, pattern: str, change) -> None:
    """A store, changed by a function of its folder."""

    def act(root: Path) -> object:
        path = cb.save(small_study(), root / "s.zarr")
        change(path)
        return cb.open(path)

    case(f"study.zarr: {name}", pattern, act)


def metadata(change):
    """Change the metadata of /machine/distance, its own and the consolidated ones."""

    def act(path: Path) -> None:
        own, whole = path / "machine" / "distance" / "zarr.json", path / "zarr.json"
        one = json.loads(own.read_text())
        change(one)
        own.write_text(json.dumps(one))
        every = json.loads(whole.read_text())
        change(every["consolidated_metadata"]["metadata"]["machine/distance"])
        whole.write_text(json.dumps(every))

    return act


def link_chunk(path: Path) -> None:
    chunk = next(one for one in (path / "machine" / "distance" / "c").rglob("*") if one.is_file())
    chunk.rename(path.parent / "outside")
    chunk.symlink_to(path.parent / "outside")


def vast_chunk(one: dict) -> None:
    one["chunk_grid"]["configuration"]["chunk_shape"] = [2**25, 2**25]


zarr("a chunk that is a link", "is a link", link_chunk)
zarr(
    "a codec that unpickles",
    "the codec 'numcodecs.pickle'",
    metadata(lambda one: one["codecs"].insert(0, {"name": "numcodecs.pickle"})),
)
zarr(
    "an array of 2^50 numbers",
    "would take .* GiB",
    metadata(lambda one: one.update(shape=[2**25, 2**25])),
)
zarr("a chunk of 2^50 numbers", "would take .* GiB", metadata(vast_chunk))
zarr("a shape that is text", "readable", metadata(lambda one: one.update(shape="ab")))
zarr(
    "an attribute changed",
    CHANGED,
    lambda path: (path / "zarr.json").write_text(
        (path / "zarr.json").read_text().replace("known truth", "known trust")
    ),
)
zarr(
    "format 2",
    "readable",
    lambda path: (
        (path / "zarr.json").unlink(),
        (path / ".zgroup").write_text('{"zarr_format": 2}'),
    ),
)


# -- archives --------------------------------------------------------------------------------------
def zip_bytes(name: str, pattern: str, content: bytes, *, image: str | None = None) -> None:
    def act(root: Path) -> object:
        (root / "data.zip").write_bytes(content)
        return cb.load("causalface", root) if image is None else cb.datasets.open_image(root, image)

    case(f"data.zip: {name}", pattern, act)


def patched(content: bytes, mark: bytes, offset: int, value: bytes) -> bytes:
    """An archive with bytes of its first header of a kind replaced."""
    at = content.index(mark) + offset
    return content[:at] + value + content[at + len(value) :]


def twice(member: str, content: bytes) -> bytes:
    import warnings

    stream = io.BytesIO()
    with warnings.catch_warnings(), zipfile.ZipFile(stream, "w") as archive:
        warnings.simplefilter("ignore", UserWarning)
        archive.writestr(member, content)
        archive.writestr(member, content)
    return stream.getvalue()


DIRECTORY, HEADER = b"PK\1\2", b"PK\3\4"
ONE = archive_of({GOOD: PICTURE})
LOCKED = patched(patched(ONE, DIRECTORY, 8, b"\1\0"), HEADER, 6, b"\1\0")
zip_bytes("of version 22.9", "zip file version 22.9", patched(ONE, DIRECTORY, 6, b"\xe5\0"))
zip_bytes("a member twice", "twice", twice(GOOD, PICTURE))
zip_bytes(
    "larger than an image may be", "MB", patched(ONE, DIRECTORY, 24, struct.pack("<I", 2**32 - 2))
)
zip_bytes("encrypted", "cannot read.*encrypted", LOCKED, image=GOOD)
zip_bytes(
    "an unknown packing",
    "cannot read",
    patched(patched(ONE, DIRECTORY, 10, b"\x63\0"), HEADER, 8, b"\x63\0"),
    image=GOOD,
)
zip_bytes(
    "packed bytes that are none",
    "cannot read",
    patched(
        archive_of({GOOD: b"x" * 999}, compression=zipfile.ZIP_DEFLATED),
        HEADER,
        30 + len(GOOD),
        b"\xff" * 6,
    ),
    image=GOOD,
)
zip_bytes(
    "LZMA that is none",
    "cannot read",
    patched(
        archive_of({GOOD: b"x" * 999}, compression=zipfile.ZIP_LZMA),
        HEADER,
        30 + len(GOOD) + 4,
        b"\xff" * 12,
    ),
    image=GOOD,
)
zip_bytes("another checksum", "cannot read", patched(ONE, DIRECTORY, 16, b"abcd"), image=GOOD)
TABLE = archive_of({"a.csv": b"rating,attribute,stimulus,rating_type\n50,age,1,normal\n"})
ratings_zip(
    "encrypted", "encrypted", patched(patched(TABLE, DIRECTORY, 8, b"\1\0"), HEADER, 6, b"\1\0")
)
ratings_zip("of version 22.9", "zip file version", patched(TABLE, DIRECTORY, 6, b"\xe5\0"))
ratings_zip(
    "found by fuzzing: ends without a word",
    "EOFError",
    patched(patched(TABLE, DIRECTORY, 24, b"\0\0e,"), DIRECTORY, 20, b"\0\0e,"),
)


# -- what memory will not hold: refused before it is read ------------------------------------------
VAST = 2**41  # bytes, none of them on the disk


def vast(name: str, act) -> None:
    """A file of 2 TiB, all of it a hole."""

    def made(root: Path) -> object:
        with (root / name).open("wb") as stream:
            stream.truncate(VAST)
        return act(root / name)

    case(f"{name}: 2 TiB", "2,199,023,255,552 bytes.* GiB", made)


def of_layout(layout: str, file: str) -> None:
    build, load, _ = LAYOUTS[layout]

    def act(root: Path) -> object:
        build(root)
        with (root / file).open("r+b") as stream:
            stream.truncate(VAST)
        return load(root)

    case(f"{layout}: {file}: 2 TiB", "2,199,023,255,552 bytes.* GiB", act)


for _layout, (_, _, _files) in LAYOUTS.items():
    for _file in _files:
        of_layout(_layout, _file)
TRIALS = cb.design.assign(["p1", "p2"], 2, each=2)
vast("results.json", lambda path: cb.design.from_label_studio(path, TRIALS))
vast("results.csv", lambda path: cb.design.from_mturk(path, TRIALS))
vast("output.manifest", lambda path: cb.design.from_ground_truth(path, TRIALS))
vast("faces.csv", cb.stimuli.read_manifest)
vast("faces.json", cb.stimuli.read_manifest)
vast("net.onnx", cb.embedder)


def many_rows(places: Sequence[int]) -> Callable[[Path], object]:
    """A sound Parquet file of one row, some of whose footer's five counts of it say 2^40.

    The counts are of all rows (0), of the values of three columns, of the one group's rows (4).
    """

    def act(root: Path) -> object:
        tidy(root)
        table = pa.table({"stimulus": ["f1"], "seed": ["s1"], "pose": [0]})
        pq.write_table(table, root / "stimuli.parquet", compression="none", write_statistics=False)
        content = (root / "stimuli.parquet").read_bytes()
        length = struct.unpack("<I", content[-8:-4])[0]
        start = len(content) - 8 - length
        footer, *rest = content[start:-8].split(b"\x16\x02")  # counts are zigzag varints
        for at, part in enumerate(rest):
            footer += b"\x16" + (varint(2 * 2**40) if at in places else b"\x02") + part
        (root / "stimuli.parquet").write_bytes(
            content[:start] + footer + struct.pack("<I", len(footer)) + b"PAR1"
        )
        (root / "stimuli.csv").unlink()
        return load_tidy(root)

    return act


def varint(number: int) -> bytes:
    found = b""
    while number > 127:
        found += bytes([number % 128 + 128])
        number //= 128
    return found + bytes([number])


case("tidy: Parquet of 2^40 rows", "1,099,511,627,776 rows.* GiB", many_rows(range(5)))
case("tidy: Parquet of 2^40 rows in all", "1,099,511,627,776 rows in all, but 1 in", many_rows([0]))
case("tidy: Parquet of 2^40 rows in a group", "1 rows in all, but 1,099,", many_rows([4]))
npz_bytes(
    "an array that claims 2^50 numbers",
    "claims 8.39e\\+06 GiB",
    archive_of({"embedding.npy": npy(f"({2**50},)")}),
)
npz_bytes("an array twice", "is there 2 times", twice("name.npy", npy("(0,)")))
npz_bytes(
    "encrypted",
    "encrypted",
    patched(
        patched(archive_of({"name.npy": npy("(0,)")}), DIRECTORY, 8, b"\1\0"), HEADER, 6, b"\1\0"
    ),
)


# -- text that is no text, and labels that look the same -------------------------------------------
def faces_of(pattern: str, name: str, **columns: list[str]) -> None:
    """A study of two faces with these columns."""
    table = pd.DataFrame(
        {"stimulus": ["f1", "f2"], "seed": ["a", "b"], "pose": [0, 1]}
        | {key: pd.Series(values, dtype=object) for key, values in columns.items()}
    )
    case(
        f"labels: {name}", pattern, lambda _: cb.make_study(factors=["seed", "pose"], stimuli=table)
    )


faces_of("holds half of a character", "a lone surrogate", seed=["a\ud800", "b"])
faces_of("look the same", "composed and decomposed", seed=["caf\u00e9", "cafe\u0301"])
faces_of("look the same", "a zero-width space", stimulus=["f1\u200b", "f1"])
faces_of("look the same", "a right-to-left mark", seed=["a", "a\u202e"])
faces_of("NUL", "a NUL", seed=["a\0", "b"])


def written(name: str, content: str, read) -> None:
    def act(root: Path) -> object:
        (root / name).write_text(content)
        return read(root / name)

    case(f"{name}: a lone surrogate", "surrogates not allowed|half of a character", act)


ANSWER = {"from_name": "score", "value": {"rating": 3}}
written(
    "export.json",
    json.dumps(
        [
            {
                "data": {"task": "t"},
                "annotations": [{"completed_by": {"email": "a\ud800"}, "result": [ANSWER]}],
            }
        ]
    ),
    lambda path: cb.design.from_label_studio(path, TRIALS),
)


def told_of(name: str, pattern: str, *, task: object = "t1", who: object = 1, **answer: object):
    """Label Studio's results with something else in place of a text or a number."""
    result = [{"from_name": "score", "value": answer or {"rating": 3}}]
    annotations = [{"completed_by": who, "result": result}]

    def act(root: Path) -> object:
        (root / "r.json").write_text(
            json.dumps([{"data": {"task": task}, "annotations": annotations}])
        )
        return cb.design.from_label_studio(root / "r.json", TRIALS)

    case(f"Label Studio: {name}", pattern, act)


told_of("a task that is a list", r"column 'task', row 1: '\[1\]' is not a task", task=[1])
told_of("a score that is a list", r"column 'score', row 1: '\[3\]' is not a number", rating=[3])
told_of("a score that is true", "column 'score', row 1: 'True' is not a number", rating=True)
told_of("a score of 400 digits", "column 'score', row 1: '1000.* is not a number", rating=10**400)
told_of(
    "an annotator that is a list", "column 'annotator', row 1: the annotator is missing", who=[1]
)
written(
    "all.json",
    json.dumps(
        [
            {
                "dataObject": {"content": "t"},
                "annotations": [
                    {"workerId": "a\ud800", "annotationData": {"content": '{"score": 1}'}}
                ],
            }
        ]
    ),
    lambda path: cb.design.from_ground_truth(path, TRIALS),
)
written(
    "list.json",
    json.dumps(
        [{"image": "a\ud800.png", "seed": "1", "attribute": "x", "level": 0, "generator": "g"}]
    ),
    lambda path: cb.stimuli.read_manifest(path, images=False),
)
case(
    "assign: a lone surrogate",
    "column 'item', row 2: .*half of a character",
    lambda _: cb.design.assign(["p1", "p\ud800"], 2, each=2),
)
case(
    "assign: items that look alike",
    "column 'item', row 2: .*look the same",
    lambda _: cb.design.assign(["caf\u00e9", "cafe\u0301"], 2, each=2),
)
case(
    "fit: a lone surrogate",
    "half of a character",
    lambda _: cb.fit(
        "y ~ g", ROWS.assign(g=pd.Series(["\ud800", "b"] * 12, dtype=object)), draws=50
    ),
)


# -- a study's names in what is written ------------------------------------------------------------
def renamed(group: str, name: str, value: str):
    """A simulated study whose first value of a variable or coordinate is another; as a release."""

    def act(root: Path) -> object:
        study = cb.simulate(seeds=2, levels={"pose": [-3, 0, 3]}, impostors=2)
        part = study[group].to_dataset()
        values = part[name].values.astype(object)
        first = next(one for one in values.ravel() if one)
        values[values == first] = value
        study[group] = xr.DataTree(part.assign({name: (part[name].dims, values.astype(str))}))
        return cb.datasets.to_release(study, root / "release")

    return act


for _value in ("../../x.png", "/tmp/x.png", "a\\..\\x.png", "C:/x.png"):
    case(f"to_release: image {_value!r}", "leads out", renamed("stimuli", "image", _value))
for _value in ("../../x", "/x", "..", "a/b", "a\0b", "=1+1", "C:x"):
    case(
        f"to_release: question {_value!r}", "cannot be called", renamed("human", "question", _value)
    )
    case(f"to_release: system {_value!r}", "cannot be called", renamed("machine", "system", _value))


# -- the joint model -------------------------------------------------------------------------------
@cache
def joint_rows() -> pd.DataFrame:
    rows = cb.joint_model.joint_rows(
        cb.simulate(seeds=4, levels={"pose": [-3, 0, 3]}, impostors=4), "ResNet-34"
    )
    return rows[rows["same_identity"]].reset_index(drop=True)


def joint(name: str, pattern: str, terms: str, **changed: object) -> None:
    def act(_: Path) -> object:
        rows = pd.concat([joint_rows()] * int(changed.get("times", 1)), ignore_index=True)
        rows["each"] = np.arange(len(rows)).astype(str)
        return cb.joint(
            rows,
            terms,
            groups={"seed": changed.get("by", "seed")},
            draws=changed.get("draws", 20),
            tune=20,
        )

    case(f"joint: {name}", pattern, act)


joint("10^10 draws", "draws .* GiB", "race", draws=10**10)
joint("144,000 levels of a factor", "144,000 rows times .* GiB", "each", times=3000)
joint("144,000 groups", "144,000 levels of 'seed'.* GiB", "race", by="each", times=3000)
joint("groups among the terms", "the terms contain group terms", "race + (1|seed)")
joint("the outcome among the terms", "response among", "distance")
joint("a function that is not listed", "calls 'eval'", "eval(race)")
joint("no such level", "no model", "binary(race, 7)")
joint("9**9**9", "not of a column", "I(9**9**9)")
