"""Broken files and hostile text for every loader, each with the error that it must end in.

A case is a function of a fresh directory that does what a user would do, and a pattern that the
message must have. Add one with `case(name, pattern, function)`, or one corruption to `CORRUPTIONS`
to have it tried on every table of every layout.
"""

import os
import zlib
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np

import causalbias as cb

Act = Callable[[Path], object]
CASES: dict[str, tuple[str, Act]] = {}


def case(name: str, pattern: str, act: Act) -> None:
    """Add a case; names are unique."""
    assert name not in CASES, name
    CASES[name] = (pattern, act)


# -- tables ------------------------------------------------------------------------------------

RENDER = "final_picked_pose/seed_{}/white_male_pose_{}.png"
PICTURE = b"\x89PNG not looked at"
TIDY = {
    "stimuli": "stimulus,seed,pose\nf1,s1,0\nf2,s1,1\nf3,s2,0\nf4,s2,1\n",
    "pairs": "pair,stimulus_a,stimulus_b\np1,f1,f2\np2,f3,f4\n",
    "distances": "system,pair,distance\nnet,p1,0.5\nnet,p2,0.7\n",
    "judgements": "annotator,question,pair,score\nann,alike,p1,3\nbob,alike,p2,1\n",
}
FLAT_A, FLAT_B = (f"seed_1_race_white_gender_male_pose_{level}.png" for level in ("-3.0", "3.0"))


def tidy(root: Path) -> Path:
    """A sound tidy study's files, not loaded yet."""
    for table, text in TIDY.items():
        (root / f"{table}.csv").write_text(text)
    return root


def load_tidy(root: Path) -> cb.Study:
    return cb.load("tidy", root, factors=["seed", "pose"], scales=(0, 4))


def omi(root: Path) -> Path:
    """A sound OMI directory with one system."""
    text = "stimulus_level,condition,anon_id,response\n"
    (root / "validation_x.csv").write_text(text + "0,age,a,10\n1,age,a,20\n2,age,a,30\n")
    save_faces(root)
    return root


def save_faces(root: Path, **changes: object) -> None:
    names = [f"{seed}_age_{level}.jpg" for seed in (1, 2) for level in range(3)]
    arrays = {
        "name": np.array(names),
        "detected": np.ones(6, bool),
        "embedding": np.arange(24.0).reshape(6, 4),
    }
    arrays = {key: value for key, value in (arrays | changes).items() if value is not None}
    np.savez(root / "embeddings_net_validation_x.npz", **arrays)


def ratings(root: Path) -> Path:
    """A sound table of ratings."""
    text = "rating,attribute,stimulus,rating_type\n50,age,1,normal\n60,age,2,repeat\n"
    (root / "attribute_ratings.csv").write_text(text)
    return root


def release(root: Path) -> Path:
    """A sound release: four renders, pair judgements, face judgements and distances."""
    for seed in (1, 2):
        for level in ("-3.0", "3.0"):
            path = root / RENDER.format(seed, level)
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(PICTURE)
    for folder in ("annotations", "distances"):
        (root / folder).mkdir()
    pair = f"{FLAT_A},{FLAT_B}"
    (root / "annotations" / "identity.csv").write_text(
        f"a,b,who,score\n{pair},bob,1\n{pair},ann,3\n"
    )
    (root / "annotations" / "age.csv").write_text(
        f"image,who,score\n{FLAT_B},bob,1\n{FLAT_A},ann,2\n"
    )
    (root / "distances" / "net.csv").write_text(f"image_a,image_b,distance\n{pair},0.4\n")
    return root


LAYOUTS: dict[str, tuple[Act, Act, tuple[str, ...]]] = {
    "tidy": (tidy, load_tidy, tuple(f"{table}.csv" for table in TIDY)),
    "omi": (omi, partial(cb.load, "omi"), ("validation_x.csv",)),
    "omi-ratings": (ratings, partial(cb.load, "omi-ratings"), ("attribute_ratings.csv",)),
    "causalface": (
        release,
        partial(cb.load, "causalface"),
        ("annotations/identity.csv", "annotations/age.csv", "distances/net.csv"),
    ),
}


def rows_changed(change: Callable[[list[str]], list[str]]) -> Callable[[bytes], bytes]:
    """A corruption of the cells of the last row."""

    def corrupt(content: bytes) -> bytes:
        *lines, last = content.decode().rstrip("\n").split("\n")
        return "\n".join([*lines, ",".join(change(last.split(",")))]).encode() + b"\n"

    return corrupt


def last_cell(value: str) -> Callable[[bytes], bytes]:
    return rows_changed(lambda cells: [*cells[:-1], value])


# name: (pattern, corruption of a file's content)
CORRUPTIONS: dict[str, tuple[str, Callable[[bytes], bytes]]] = {
    "empty file": ("empty|no rows|CSV", lambda _: b""),
    "header only": ("no rows", lambda c: c.split(b"\n")[0] + b"\n"),
    "only blank lines": ("table|CSV|column|no rows|empty", lambda _: b"\n\n\n"),
    "random bytes": ("readable|column|name|rows", lambda _: bytes(range(256)) * 4),
    "UTF-16 without its mark": (
        "readable|column|rows|name|NUL",
        lambda c: c.decode().encode("utf-16-le"),
    ),
    "zeros": ("readable|column|rows|name", lambda _: bytes(4096)),
    "Latin-1 letters": ("readable", lambda c: c.replace(b"\n", b"\xe9\n")),
    "one cell in Latin-1": (
        "UTF-8|readable",
        lambda c: b"\n\xe9".join(c.rstrip().rsplit(b"\n", 1)),
    ),
    "a ragged row": ("readable", rows_changed(lambda cells: [*cells, "1", "2"])),
    "a short row": ("readable|missing", rows_changed(lambda cells: cells[:-1])),
    "gzip under the name of CSV": ("readable|column|rows|name", lambda c: zlib.compress(c)),
    "a page of HTML": (
        "readable|column|name|header",
        lambda _: b"<!DOCTYPE html><html><body>404</body></html>\n<p>gone</p>\n",
    ),
    "an LFS pointer": (
        "readable|column|name|header",
        lambda _: b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 12\n",
    ),
    "bars": ("column", lambda c: c.replace(b",", b"|")),
    "a repeated row": ("again|already|twice", lambda c: c + c.rstrip(b"\n").split(b"\n")[-1]),
}
NUMERIC = {
    "validation_x.csv",
    "distances.csv",
    "judgements.csv",
    "annotations/identity.csv",
    "annotations/age.csv",
    "distances/net.csv",
}
ANSWERS = ("annotations/identity.csv", "annotations/age.csv")
NUMBERS = {
    "1e308": "1e308",
    "minus 1e308": "-1e308",
    "an overflowing integer": "9" * 40,
    "infinity": "inf",
    "minus a half": "-0.5",
    "a formula": "=1+1",
    "a word": "often",
    "a NUL": "1\0",
    "a right-to-left mark": "\u202e1",
    "a thousands separator": '"1,000"',
}
HUGE = ("1e308", "an overflowing integer")
TEXTS = ("a formula", "a word", "a NUL", "a right-to-left mark", "a thousands separator")


def corrupted(
    build: Act, load: Act, file: str, corrupt: Callable[[bytes], bytes], root: Path
) -> object:
    build(root)
    path = root / file
    path.write_bytes(corrupt(path.read_bytes()))
    return load(root)


# What is sound all the same, as the layout is: a rating may be repeated, and so on.
SOUND = {("omi-ratings", "a repeated row"), ("causalface", "a repeated row", "distances/net.csv")}


def _tables() -> None:
    for layout, (build, load, files) in LAYOUTS.items():
        for file in files:
            for name, (pattern, corrupt) in CORRUPTIONS.items():
                if (layout, name) not in SOUND:
                    act = partial(corrupted, build, load, file, corrupt)
                    case(f"{layout}: {file}: {name}", pattern, act)
            for name, value in NUMBERS.items() if file in NUMERIC else ():
                # Answers that are no numbers are counted; a distance may be as large as it likes.
                sound = name in TEXTS if file in ANSWERS else name in HUGE and "dist" in file
                if not sound:
                    act = partial(corrupted, build, load, file, last_cell(value))
                    case(f"{layout}: {file}: {name}", os.path.basename(file), act)


_tables()
