"""Read programs that ``torch.export.save`` wrote as data, and run them node by node.

``torch.export.load`` unpickles and evaluates the content of the file. This module reads the graph
from JSON and the weights from raw bytes (archive format of torch 2.9 and later), and calls only
tensor operations of torch's core library.
"""

import json
import operator
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

ARITHMETIC = {
    "add",
    "sub",
    "mul",
    "truediv",
    "floordiv",
    "mod",
    "neg",
    "pow",
    "getitem",
    "eq",
    "ne",
    "lt",
    "le",
    "gt",
    "ge",
}
# The only operation of the core library that opens files.
FORBIDDEN = {"from_file"}
# Numbers of torch's export schema.
DTYPES = {
    1: torch.uint8,
    2: torch.int8,
    3: torch.int16,
    4: torch.int32,
    5: torch.int64,
    6: torch.float16,
    7: torch.float32,
    8: torch.float64,
    12: torch.bool,
    13: torch.bfloat16,
}
FORMATS = {
    1: torch.contiguous_format,
    2: torch.channels_last,
    3: torch.channels_last_3d,
    4: torch.preserve_format,
}
PLAIN = {
    "as_int",
    "as_ints",
    "as_float",
    "as_floats",
    "as_bool",
    "as_bools",
    "as_string",
    "as_strings",
    "as_int_lists",
    "as_float_lists",
}


class Exported(torch.nn.Module):
    """An exported program with one tensor as input; `state_dict` holds its weights by number.

    Raises
    ------
    ValueError
        If the file is not an exported program, or holds pickles or other operations than those on
        tensors.
    """

    def __init__(self, path: Path) -> None:
        super().__init__()
        with zipfile.ZipFile(path) as archive:
            root = archive.namelist()[0].split("/")[0]
            if f"{root}/models/model.json" not in archive.namelist():
                raise ValueError("it holds no program, or was written before torch 2.9")
            model = json.loads(archive.read(f"{root}/models/model.json"))["graph_module"]
            stored = _tensors(archive, root)
        self.inputs: list[str] = []
        self.held: dict[str, str] = {}
        for spec in model["signature"]["input_specs"]:
            self._place(spec, stored)
        if len(self.inputs) != 1:
            raise ValueError(f"{len(self.inputs)} inputs ({', '.join(self.inputs)}), not one")
        every = zip(model["graph"]["outputs"], model["signature"]["output_specs"], strict=True)
        outputs = [one["as_tensor"]["name"] for one, spec in every if "user_output" in spec]
        self.outputs = outputs
        described = model["graph"]["tensor_values"][self.inputs[0]]
        # Sizes of the input, None where any size is accepted.
        self.shape: list[int | None] = [side.get("as_int") for side in described["sizes"]]
        self.numbers = DTYPES[described["dtype"]]
        self.steps = [(_operation(node["target"]), node) for node in model["graph"]["nodes"]]
        self._check_kept(model)

    def _place(self, spec: dict[str, Any], stored: dict[str, torch.Tensor]) -> None:
        kind, what = next(iter(spec.items()))
        if kind == "user_input":
            self.inputs.append(what["arg"]["as_tensor"]["name"])
            return
        if kind not in ("parameter", "buffer", "tensor_constant"):
            raise ValueError(f"an input of kind {kind}")
        key = f"t{len(self.held)}"
        self.register_buffer(key, stored[what[f"{kind}_name"]])
        self.held[what["arg"]["name"]] = key

    def _check_kept(self, model: dict[str, Any]) -> None:
        """Refuse a program that changes its own weights, as batch norms do in training."""
        kinds = {kind for spec in model["signature"]["output_specs"] for kind in spec}
        in_place = any(
            node["target"].split(".")[-2].endswith("_")
            and node["inputs"][0]["arg"].get("as_tensor", {}).get("name") in self.held
            for node in model["graph"]["nodes"]
            if node["inputs"] and "." in node["target"]
        )
        if in_place or "buffer_mutation" in kinds:
            raise ValueError("it changes its own weights: it was exported for training")

    def forward(self, x: torch.Tensor) -> torch.Tensor | tuple[torch.Tensor, ...]:
        """Return the output for a batch of inputs, or a tuple of several."""
        values: dict[str, Any] = {name: self.get_buffer(key) for name, key in self.held.items()}
        values[self.inputs[0]] = x
        for operation, node in self.steps:
            given = [
                (one["name"], one.get("kind"), _value(one["arg"], values, x.device))
                for one in node["inputs"]
            ]
            found = operation(
                *(value for _, kind, value in given if kind != 2),
                **{name: value for name, kind, value in given if kind == 2},
            )
            _keep(node["outputs"], found, values)
        found = tuple(values[name] for name in self.outputs)
        return found[0] if len(found) == 1 else found


def _tensors(archive: zipfile.ZipFile, root: str) -> dict[str, torch.Tensor]:
    """Read the weights and constants by their full names."""
    found = {}
    for kind in ("weights", "constants"):
        config = json.loads(archive.read(f"{root}/data/{kind}/model_{kind}_config.json"))
        for name, one in config["config"].items():
            meta = one["tensor_meta"]
            if one["use_pickle"] or meta is None:
                raise ValueError(f"{name!r} is a pickled object")
            raw = bytearray(archive.read(f"{root}/data/{kind}/{one['path_name']}"))
            dtype = DTYPES[meta["dtype"]]
            flat = torch.frombuffer(raw, dtype=dtype) if raw else torch.empty(0, dtype=dtype)
            sizes, strides = ([int(n["as_int"]) for n in meta[k]] for k in ("sizes", "strides"))
            found[name] = flat.as_strided(sizes, strides, int(meta["storage_offset"]["as_int"]))
    return found


def _operation(target: str) -> Callable[..., Any]:
    parts = target.split(".")
    if parts[0] == "_operator" and len(parts) == 2 and parts[1] in ARITHMETIC:
        return getattr(operator, parts[1])
    if parts[:3] == ["torch", "ops", "aten"] and len(parts) == 5 and parts[3] not in FORBIDDEN:
        packet = getattr(torch.ops.aten, parts[3], None)
        overload = getattr(packet, parts[4], None)
        if isinstance(overload, torch._ops.OpOverload):
            return overload
    raise ValueError(f"the operation {target[:80]!r}")


def _value(arg: dict[str, Any], values: dict[str, Any], device: torch.device) -> Any:
    kind, what = next(iter(arg.items()))
    if kind in PLAIN:
        return what
    if kind == "as_none":
        return None
    if kind == "as_tensor":
        return values[what["name"]]
    if kind == "as_tensors":
        return [values[one["name"]] for one in what]
    if kind in ("as_optional_tensor", "as_sym_int", "as_sym_float", "as_sym_bool"):
        inner, value = next(iter(what.items()))
        if inner in ("as_tensor", "as_name"):
            return values[value["name"] if inner == "as_tensor" else value]
        return None if inner == "as_none" else value
    if kind in ("as_sym_ints", "as_optional_tensors", "as_sym_floats"):
        single = {"as_optional_tensors": "as_optional_tensor"}.get(kind, kind[:-1])
        return [_value({single: one}, values, device) for one in what]
    if kind == "as_scalar_type":
        return DTYPES[what]
    if kind == "as_memory_format":
        return FORMATS[what]
    if kind == "as_layout":
        return torch.strided
    if kind == "as_device":
        return device
    raise ValueError(f"an argument of kind {kind}")


def _keep(outputs: list[dict[str, Any]], found: Any, values: dict[str, Any]) -> None:
    """Store what an operation returned under the names in the graph."""
    if len(outputs) == 1 and "as_tensors" in outputs[0]:
        outputs = [{"as_tensor": one} for one in outputs[0]["as_tensors"]]
    elif len(outputs) == 1:
        found = [found]
    for one, value in zip(outputs, found if outputs else [], strict=True):
        kind, what = next(iter(one.items()))
        if kind != "as_none":
            values[what["name"] if kind == "as_tensor" else what["as_name"]] = value
