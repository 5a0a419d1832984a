"""The networks that a command line names, with what it says of them."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import causalbias as cb
from causalbias.errors import DataError

if TYPE_CHECKING:
    from causalbias.recognition.embedder import Embedder

OF_ALL = ("align", "detector", "metric", "threshold")  # facts of every system, not of files only


def chosen_embedders(
    images: Path | Mapping[str, Path],
    sources: Sequence[str] | None,
    device: str,
    facts: Mapping[str, Sequence[str] | None],
) -> "list[Embedder]":
    """Make the embedders that are named on the command line; by default dlib's and SFace.

    Parameters
    ----------
    images : folder, or mapping of stimulus to path
        The images, on which eigenfaces are trained.
    sources : sequence of str or None
        Names of ready-made embedders, or files.
    device : str
        Device of files and of "sface".
    facts : mapping of str to sequence of str
        Arguments of `embedder` by name. Each is VALUE, for all systems that it can be said of, or
        SYSTEM=VALUE for one.

    Raises
    ------
    DataError
        If a value cannot be read, or is of a system that is not among the embedders.
    """
    from causalbias.recognition.choose import installed_networks

    sources = sources or installed_networks() or ["dlib"]  # whose error says what to install
    said = _by_system(facts, {_system(source) for source in sources})
    chosen = []
    for source in sources:
        own: dict[str, Any] = {
            option: values.get(_system(source), values.get(""))
            for option, values in said.items()
            if _system(source) in values or ("" in values and _concerns(option, source))
        }
        if source == "eigenfaces":
            made = cb.recognition.eigenfaces(images, align=own.pop("align", "dlib"))
            chosen.append(replace(made, **own))
            continue
        placed = {"device": device} if Path(source).suffix or source == "sface" else {}
        chosen.append(cb.embedder(source, **placed, **own))
    return chosen


def _by_system(
    facts: Mapping[str, Sequence[str] | None], systems: set[str]
) -> dict[str, dict[str, Any]]:
    """Read facts: by option, the value of each system that it is given for; "" is all."""
    found: dict[str, dict[str, Any]] = {}
    for option, values in facts.items():
        for given in values or ():
            system, _, value = given.rpartition("=")
            if system and system not in systems:
                raise DataError(
                    f"--{option} {given}: no system is called {system!r}",
                    hint=f"use one of {', '.join(sorted(systems))}",
                )
            try:
                found.setdefault(option, {})[system] = READERS.get(option, str)(value)
            except ValueError as error:
                raise DataError(
                    f"--{option} {given}: {value!r} cannot be read",
                    hint=f"write it as --{option} {EXAMPLES[option]}",
                ) from error
    return found


def _system(source: str) -> str:
    return Path(source).stem if Path(source).suffix else source


def _concerns(option: str, source: str) -> bool:
    """Whether a fact that is given for all systems is one of this system."""
    suffix = Path(source).suffix.lower()
    if option in ("architecture", "config"):
        return suffix not in ("", ".onnx")
    return option in OF_ALL or bool(suffix)


def _side(text: str) -> tuple[int, int]:
    """Read "112", or "112x96": height and width in pixels."""
    height, _, width = text.partition("x")
    return int(height), int(width or height)


def _levels(text: str) -> tuple[Any, Any] | None:
    """Read "MEAN/SCALE", each one number or three with commas; "none" for pixels as they are."""
    if text == "none":
        return None
    mean, scale = text.split("/")
    return _level(mean), _level(scale)


def _level(text: str) -> float | tuple[float, ...]:
    numbers = tuple(float(part) for part in text.split(","))
    return numbers[0] if len(numbers) == 1 else numbers


def _output(text: str) -> str | int:
    return int(text) if text.isdecimal() else text


READERS: dict[str, Callable[[str], Any]] = {
    "size": _side,
    "normalise": _levels,
    "threshold": float,
    "output": _output,
}
EXAMPLES = {"size": "112 or 112x96", "normalise": "127.5/128", "threshold": "0.6"}
