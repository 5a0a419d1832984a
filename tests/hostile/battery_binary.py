"""The rest of the battery: archives, arrays, studies, fits, stores, links, and hostile text."""

import sqlite3
import struct
import tempfile
import zipfile
from functools import cache, partial
from pathlib import Path

import h5py
import numpy as np
import pandas as pd
import xarray as xr

import causalbias as cb
from causalbias.io.storage import DIGEST
from causalbias.models.fit import rows_of
from causalbias.models.priors import parse_prior
from causalbias.recognition.store import checksum_of
from tests.hostile.battery import (
    CASES,
    LAYOUTS,
    PICTURE,
    RENDER,
    TIDY,
    Act,
    case,
    load_tidy,
    omi,
    release,
    save_faces,
    tidy,
)

__all__ = ["CASES"]


# -- links, directories, headers ---------------------------------------------------------------
def linked_out(layout: str, file: str, root: Path) -> object:
    """The file is a link to one outside the root."""
    build, load, _ = LAYOUTS[layout]
    inside = root / "study"
    inside.mkdir()
    build(inside)
    (inside / file).rename(root / "outside.csv")
    (inside / file).symlink_to(root / "outside.csv")
    return load(inside)


def a_folder(layout: str, file: str, root: Path) -> object:
    build, load, _ = LAYOUTS[layout]
    build(root)
    (root / file).unlink()
    (root / file).mkdir()
    return load(root)


for _layout, (_, _load, _files) in LAYOUTS.items():
    case(f"{_layout}: no such directory", "no such|0 files", lambda r, f=_load: f(r / "none"))
    case(f"{_layout}: an empty directory", "no such|none of|neither|0 files", _load)
    for _file in _files:
        case(
            f"{_layout}: {_file}: a link out of the root",
            "outside",
            partial(linked_out, _layout, _file),
        )
        case(
            f"{_layout}: {_file}: a folder",
            "no such|readable|files named|neither",
            partial(a_folder, _layout, _file),
        )


def tidy_with(file: str, text: str) -> Act:
    def act(root: Path) -> object:
        tidy(root)
        (root / file).write_text(text)
        return load_tidy(root)

    return act


case(
    "tidy: a header twice",
    "two columns",
    tidy_with("pairs.csv", "pair,stimulus_a,stimulus_b,pair\np1,f1,f2,p9\n"),
)
case(
    "tidy: an open quote",
    "readable|missing|column",
    tidy_with("stimuli.csv", TIDY["stimuli"].replace("f3,", '"f3,')),
)
case(
    "tidy: labels that only look alike",
    "not a known stimulus",
    tidy_with("pairs.csv", TIDY["pairs"].replace("f2", "f\N{FULLWIDTH DIGIT TWO}")),
)
case(
    "tidy: a label with a zero-width space",
    "not a known stimulus",
    tidy_with("pairs.csv", TIDY["pairs"].replace("f2", "f2\u200b")),
)
case(
    "tidy: a NUL in a label", "NUL", tidy_with("stimuli.csv", TIDY["stimuli"].replace("s2", "s\0"))
)
case(
    "tidy: a table outside",
    "outside",
    lambda root: cb.load(
        "tidy", tidy(root), factors=["seed", "pose"], tables={"stimuli": "../x.csv"}
    ),
)
case(
    "tidy: an absolute table",
    "outside",
    lambda root: cb.load(
        "tidy", tidy(root), factors=["seed", "pose"], tables={"stimuli": "/etc/passwd"}
    ),
)
case(
    "tidy: Parquet that is text",
    "readable",
    lambda root: ((root / "stimuli.parquet").write_text("x"), load_tidy(root)),
)
case(
    "tidy: Parquet cut off",
    "readable",
    lambda root: (
        pd.DataFrame({"stimulus": ["a"] * 9}).to_parquet(root / "stimuli.parquet"),
        (root / "stimuli.parquet").write_bytes((root / "stimuli.parquet").read_bytes()[:-9]),
        load_tidy(root),
    ),
)


# -- arrays of embeddings ----------------------------------------------------------------------
def faces(pattern: str, what: str, /, **changes: object) -> None:
    def act(root: Path) -> object:
        omi(root)
        save_faces(root, **changes)
        return cb.load("omi", root)

    case(f"npz: {what}", pattern, act)


NAMES = np.array([f"{seed}_age_{level}.jpg" for seed in (1, 2) for level in range(3)])
faces("npz", "pickled names", name=NAMES.astype(object))
faces("npz", "pickled embeddings", embedding=np.array([{}] * 6))
faces("no array of this name", "no embeddings", embedding=None)
faces("entries", "one face too many", embedding=np.zeros((7, 4)))
faces("not finite", "NaN", embedding=np.full((6, 4), np.nan))
faces("not finite", "infinity", embedding=np.full((6, 4), np.inf))
faces("shape", "complex numbers", embedding=np.zeros((6, 4), complex))
faces("shape", "text", embedding=np.full((6, 4), "a"))
faces("shape", "one dim", embedding=np.zeros(6))
faces("shape", "three dims", embedding=np.zeros((6, 2, 2)))
faces("single number", "a scalar", detected=np.array(True))
faces("shape", "detected as numbers", detected=np.ones(6))
faces("occurs twice", "a name twice", name=np.repeat(NAMES[:3], 2))
faces("have the form SEED", "names that climb", name=np.char.add("../", NAMES))
faces("have the form SEED", "numbers for names", name=np.arange(6))
faces("finite|overflow|distances", "1e308", embedding=np.eye(6, 4) * 1.7e308)


def npz_bytes(name: str, pattern: str, content: bytes) -> None:
    def act(root: Path) -> object:
        omi(root)
        (root / "embeddings_net_validation_x.npz").write_bytes(content)
        return cb.load("omi", root)

    case(f"npz: {name}", pattern, act)


def archive_of(members: dict[str, bytes], **kind: int) -> bytes:
    import io

    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", **kind) as archive:
        for member, content in members.items():
            archive.writestr(member, content)
    return stream.getvalue()


def npy(shape: str, kind: str = "<f8") -> bytes:
    """An .npy file whose header claims a shape, and that ends there."""
    head = f"{{'descr': '{kind}', 'fortran_order': False, 'shape': {shape}, }}".ljust(117) + "\n"
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(head)) + head.encode()


npz_bytes("empty", "npz", b"")
npz_bytes("a text file", "npz", b"hello")
npz_bytes("cut off", "npz", archive_of({"name.npy": b"x" * 999})[:-30])
for _shape in ("(10000000000000,)", "(-1,)", "(4, 4", "(True,)", "('a',)", f"({'9' * 99},)"):
    npz_bytes(
        f"a header that claims {_shape[:20]}",
        "npz",
        archive_of(dict.fromkeys(("name.npy", "detected.npy", "embedding.npy"), npy(_shape))),
    )
npz_bytes("a header of objects", "npz", archive_of({"name.npy": npy("(6,)", "|O")}))
npz_bytes("code in the header", "npz", archive_of({"name.npy": npy("__import__('os')")}))


# -- archives ----------------------------------------------------------------------------------
def data_zip(name: str, pattern: str, members: dict[str, bytes]) -> None:
    def act(root: Path) -> object:
        (root / "data.zip").write_bytes(archive_of(members))
        return cb.load("causalface", root)

    case(f"data.zip: {name}", pattern, act)


GOOD = RENDER.format(1, "3.0")
for _name in (
    f"../{GOOD}",
    f"/{GOOD}",
    f"a/../../{GOOD}",
    f"C:/{GOOD}",
    f"a\\..\\{GOOD}",
    f"{GOOD[:-4]}/../../../../x.png",
):
    data_zip(f"a member {_name[:28]!r}", "leads out", {GOOD: PICTURE, _name: PICTURE})
data_zip("no images", "no PNG", {"a.txt": b"x"})
data_zip("an empty image", "0 bytes", {GOOD: b""})
data_zip("an unknown name", "name|form|not", {"final_picked_pose/seed_1/x.png": PICTURE})
data_zip("an unknown level", "level", {RENDER.format(1, "99"): PICTURE})
data_zip("a huge seed", "name|form|not|seed", {RENDER.format("9" * 30, "3.0"): PICTURE})
case(
    "data.zip: text",
    "archive",
    lambda root: ((root / "data.zip").write_text("x"), cb.load("causalface", root)),
)
case(
    "data.zip: cut off",
    "archive",
    lambda root: (
        (root / "data.zip").write_bytes(archive_of({GOOD: PICTURE})[:-9]),
        cb.load("causalface", root),
    ),
)


def with_a_link(root: Path) -> object:
    info = zipfile.ZipInfo(GOOD)
    info.external_attr = 0o120777 << 16
    with zipfile.ZipFile(root / "data.zip", "w") as archive:
        archive.writestr(info, "/etc/passwd")
    return cb.load("causalface", root)


def claims(size: int, content: bytes = b"a,b\n1,2\n") -> bytes:
    """A ZIP whose directory and header claim another size of its member."""
    found = bytearray(archive_of({"a.csv": content}))
    for mark, offset in ((b"PK\1\2", 24), (b"PK\3\4", 22)):
        at = found.index(mark) + offset
        found[at : at + 4] = struct.pack("<I", size)
    return bytes(found)


def ratings_zip(name: str, pattern: str, content: bytes) -> None:
    def act(root: Path) -> object:
        (root / "attribute_ratings.zip").write_bytes(content)
        return cb.load("omi-ratings", root)

    case(f"ratings.zip: {name}", pattern, act)


case("data.zip: a member that is a link", "link", with_a_link)
ratings_zip("a bomb by its own account", "unpacks to", claims(2**32 - 2))
ratings_zip("larger than it says", "readable|column|rows", claims(3))
ratings_zip("two tables", "2 CSV", archive_of({"a.csv": b"a", "b.csv": b"b"}))
ratings_zip("no table", "0 CSV", archive_of({"a.txt": b"a"}))
ratings_zip("not an archive", "readable", b"hello")
ratings_zip("empty", "empty", b"")
ratings_zip("wrong columns", "column", archive_of({"a.csv": b"a,b\n1,2\n"}))
ratings_zip(
    "an archive in an archive",
    "readable|column|rows",
    archive_of({"a.csv": archive_of({"b.csv": b"x" * 99})}),
)


def renders_linked(root: Path) -> object:
    inside = release(root / "in") if (root / "in").mkdir() is None else root
    (root / "secret.png").write_bytes(PICTURE)
    path = inside / RENDER.format(1, "3.0")
    path.unlink()
    path.symlink_to(root / "secret.png")
    return cb.load("causalface", inside)


case("renders: a link out of the root", "leads out", renders_linked)
for _image in ("../../etc/passwd", "/etc/passwd", "a\0b", "C:/x.png", "none.png"):
    case(
        f"open_image: {_image!r}",
        "leads out|cannot read",
        lambda root, image=_image: cb.datasets.open_image(release(root), image),
    )


# -- saved studies and fits --------------------------------------------------------------------
@cache
def small_study() -> cb.Study:
    return cb.demo_study()


@cache
def saved(fit: bool) -> bytes:
    """A saved study or fit."""
    tree = cb.fit("y ~ x", ROWS, draws=100) if fit else small_study()
    with tempfile.TemporaryDirectory() as folder:
        return cb.save(tree, Path(folder) / "s.nc").read_bytes()


ROWS = pd.DataFrame(
    {"y": [0.1, 1.2, 0.4, 2.2, 1.9, 0.3] * 4, "x": [0, 1, 2] * 8, "g": list("abcdef") * 4}
)


def saved_bytes(name: str, change) -> None:
    def act(root: Path) -> object:
        path = root / "s.nc"
        path.write_bytes(change(saved(False)))
        return cb.open(path)

    case(f"study.nc: {name}", "readable|written by", act)


saved_bytes("empty", lambda _: b"")
saved_bytes("text", lambda _: b"CDF?")
saved_bytes("half", lambda content: content[: len(content) // 2])
saved_bytes("a byte short", lambda content: content[:-1])
saved_bytes("head overwritten", lambda content: bytes(2048) + content[2048:])
saved_bytes("classic NetCDF's mark", lambda content: b"CDF\1" + content[4:])


def edited(name: str, pattern: str, change, *, fit: bool = False, digest: bool = False) -> None:
    """A study or a fit, changed inside its file by h5py, its digest of texts taken away or kept."""

    def act(root: Path) -> object:
        path = root / "s.nc"
        path.write_bytes(saved(fit))
        with h5py.File(path, "a") as file:
            if not digest:
                del file.attrs[DIGEST]
            change(file)
        found = cb.open(path)
        if fit:
            return repr(found), cb.failures(found), cb.effects(found, "x")
        cb.validate(found)
        return found

    case(f"{'fit' if fit else 'study'}.nc: {name}", pattern, act)


def setting(group: str, variable: str, value: object):
    def change(file: h5py.File) -> None:
        file[group][variable][...] = value

    return change


edited("no kind", "written by", lambda f: f.attrs.__delitem__("kind"))
edited("another kind", "written by", lambda f: f.attrs.__setitem__("kind", "pickle"))
edited("no factors", "factors", lambda f: f.attrs.__delitem__("factors"))
edited("no distances", "distance|readable", lambda f: f["machine"].__delitem__("distance"))
edited("no questions", "scale|questions|readable", lambda f: f.__delitem__("questions"))
edited("no pairs", "pairs|readable", lambda f: f.__delitem__("pairs"))
edited("no stimuli", "stimuli|readable", lambda f: f.__delitem__("stimuli"))
edited("negative distances", "distance", setting("machine", "distance", -1.0))
edited("missing distances", "distance", setting("machine", "distance", np.nan))
edited("scores beyond the scale", "scale", setting("human", "score", 1e308))
edited("missing scores", "scale", setting("human", "score", np.nan))
for _key, _value in (
    ("spec", "{"),
    ("spec", "[]"),
    ("spec", '{"formula": 3}'),
    ("spec", '{"formula": "y ~ x", "x": 1}'),
    ("spec", '{"formula": "y ~ __import__(\'os\')"}'),
    ("failures", "no"),
    ("failures", "3"),
    ("groups", "[1]"),
    ("sampling", "{}"),
    ("versions", "nine"),
    ("n_excluded", "many"),
    ("random_seed", "x"),
    ("n_rows", "-"),
):
    edited(
        f"{_key} is {_value[:30]}",
        "fit|calls|cannot read",
        fit=True,
        change=lambda f, k=_key, v=_value: f.attrs.__setitem__(k, v),
    )
for _key in ("spec", "failures", "groups", "engine", "n_rows", "random_seed", "sampling"):
    edited(f"no {_key}", "fit", lambda f, k=_key: f.attrs.__delitem__(k), fit=True)
for _group in ("posterior", "diagnostics", "constant_data", "observed_data", "sample_stats"):
    edited(f"no {_group}", "fit", lambda f, g=_group: f.__delitem__(g), fit=True)
edited(
    "a diagnostic renamed",
    "fit's diagnostics lack r_hat",
    fit=True,
    change=lambda f: f["diagnostics"]["diagnostic"].__setitem__(0, "r_hot"),
)
case("study.nc: another ending", "format", lambda root: cb.open(root / "study.pkl"))
case("study.nc: not there", "no such", lambda root: cb.open(root / "study.nc"))
case(
    "study.zarr: an empty folder",
    "readable|written",
    lambda root: ((root / "s.zarr").mkdir(), cb.open(root / "s.zarr")),
)
case(
    "study.zarr: a file",
    "readable",
    lambda root: ((root / "s.zarr").write_text("x"), cb.open(root / "s.zarr")),
)
case(
    "study.zarr: broken metadata",
    "readable|written",
    lambda root: (
        cb.save(small_study(), root / "s.zarr"),
        (root / "s.zarr" / "zarr.json").write_text("{"),
        cb.open(root / "s.zarr"),
    ),
)
case(
    "study.nc: another's",
    "written by",
    lambda root: (
        xr.Dataset({"a": 1}).to_netcdf(root / "a.nc", engine="h5netcdf"),
        cb.open(root / "a.nc"),
    ),
)


# -- the store of embeddings -------------------------------------------------------------------
def embedded(root: Path) -> object:
    from PIL import Image

    (root / "faces").mkdir(exist_ok=True)
    noise = np.random.default_rng(0).integers(0, 256, (32, 32, 3), np.uint8)
    Image.fromarray(noise).save(root / "faces" / "a.png")
    return cb.embed(root / "faces", "lbp", align="none", store=root)


def store(name: str, pattern: str, change) -> None:
    def act(root: Path) -> object:
        embedded(root)
        change(root / "embeddings.sqlite")
        return embedded(root)

    case(f"store: {name}", pattern, act)


def sql(text: str):
    def change(path: Path) -> None:
        with sqlite3.connect(path) as database:
            database.execute(text)
        database.close()

    return change


def forged(text: str):
    """A change whose maker has set the checksums right."""

    def change(path: Path) -> None:
        sql(text)(path)
        with sqlite3.connect(path) as database:
            for row in database.execute("SELECT * FROM embeddings").fetchall():
                database.execute("UPDATE embeddings SET checksum = ?", (checksum_of(*row[:-1]),))
        database.close()

    return change


store("text", "store", lambda path: path.write_bytes(b"hello " * 999))
store("cut off", "store|delete", lambda path: path.write_bytes(path.read_bytes()[:5000]))
store("another's", "another kind", sql("PRAGMA application_id = 7"))
store("another version", "version", sql("PRAGMA user_version = 9"))
store("no table", "store", sql("DROP TABLE embeddings"))
store("a vector of odd length", "bytes", forged("UPDATE embeddings SET vector = x'00'"))
store("no vector", "features", forged("UPDATE embeddings SET vector = NULL"))
store("a vector of NaN", "finite", forged("UPDATE embeddings SET vector = x'0000C07F'"))
store("text for a number", "faces", forged("UPDATE embeddings SET faces = 'two'"))
store("text for a vector", "store|embedding", forged("UPDATE embeddings SET vector = 'abcd'"))

store(
    "a hash that is no text",
    "decode|match its checksum",
    sql("UPDATE embeddings SET image = CAST(x'AE61' AS TEXT)"),
)
store(
    "a schema that is no text",
    "store",
    lambda path: path.write_bytes(path.read_bytes().replace(b"note TEXT", b"\xae\xb8 (((((")),
)
store("another status", "match its checksum", sql("UPDATE embeddings SET status = 'ok?'"))
store(
    "a vector changed a little",
    "match its checksum",
    sql("UPDATE embeddings SET vector = zeroblob(length(vector))"),
)

# -- formulas, conditions, priors --------------------------------------------------------------
for _text in (
    "y ~ __import__('os').system('x')",
    "y ~ {1}",
    "y ~ np.load('x')",
    "y ~ open(x)",
    "y ~",
    "~ x",
    "",
    "y",
    "y ~ x ~ x",
    "y ~ (1|g",
    "y ~ x\0",
    "y ~ \u202ex",
    "y ~ x; x",
    "y ~ C(x).real",
    "y ~ lambda x: x",
    "y ~ " + "(" * 9999,
    "y ~ " + "x + " * 9999 + "x",
    "y ~ eval('1')",
    "y ~ \N{CYRILLIC SMALL LETTER HA}",
    "y ~ none_such",
    "y ~ 1e999",
    "none ~ x",
    "y ~ (1|none)",
    "y ~ x.__class__",
    "y ~ getattr(x, 'a')",
    "p(y) ~ x",
    "y = x",
    "y ~ `",
    "y ~ 'x",
    "y ~ (x|)",
    "y ~ (|g)",
    "y ~ (1|mm(g))",
    "y ~ mm(g, g)",
):
    case(f"formula: {_text[:40]!r}", "", lambda _, text=_text: cb.fit(text, ROWS, draws=50))
for _text in (
    "__import__('os')",
    "x.real == 1",
    "x = 1",
    "x == ",
    "",
    "@x",
    "x[0] == 1",
    "(lambda: 1)()",
    "x == 'a'",
    "none == 1",
    "x",
    "x > 99",
    "g > 1",
    "x + 1",
    "x == x == ",
    "not",
    "x in g in g",
    "[x for x in y]",
    "x == 1 if x else 2",
    "x == {1}",
    "x ** 9999999 > 1",
    "x\0 == 1",
    "(" * 9999,
    "x == " + "9" * 9999,
    "f'{x}' == 'a'",
    "print(x)",
    "x == 1; x",
):
    case(f"subset: {_text[:40]!r}", "", lambda _, text=_text: rows_of(ROWS, text))
for _text in (
    "",
    "Normal",
    "Normal()",
    "Normal(0)",
    "Normal(0, -1)",
    "Normal(0, 0)",
    "Normal(0, 1e999)",
    "Normal(0, float('nan'))",
    "Normal(x, 1)",
    "Normal(0, 1, 2)",
    "Normal(0, sigma=1, mu=2)",
    "os.system('x')",
    "__import__('os')",
    "Normal(0, 1).random()",
    "normal(0, 1)",
    "Beta(1, 0)",
    "Zeta(1, 1)",
    "Normal(0, [1])",
    "Uniform(2, 1)",
    "Gamma(0, 1)",
    "Normal(0, 'a')",
    "Normal(*[0, 1])",
    "Normal(0, 1); 1",
    "Normal(" + "(" * 9999,
    "Normal(0, True)",
    "Normal(0, 1j)",
    "Normal(0, 2**9)",
):
    case(f"prior: {_text[:40]!r}", "prior", lambda _, text=_text: parse_prior(text, "x"))
