"""The network as a list of nodes: what the program's JSON may say, checked field by field."""

import math
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from taut.verifier.arithmetic import Array
from taut.verifier.errors import VerificationError, need

# No size, count or index of a program is larger, and no sample has more entries at any node.
LARGEST_INTEGER = 2**24
LARGEST_SAMPLE = 2**27


@dataclass
class Node:
    """One operation: its settings, its tensors in float64, the shapes of a sample before and after it."""

    index: int
    op: str
    name: str
    inputs: list[int]
    settings: dict[str, Any]
    tensors: dict[str, Array]
    source: tuple[int, ...] = ()
    shape: tuple[int, ...] = ()
    kept: dict[str, Any] = field(default_factory=dict)  # what is computed once from the weights

    def __getitem__(self, key: str) -> Any:
        return self.settings[key]

    def __str__(self) -> str:
        return f"node {self.index} ({self.op} {self.name!r})"


def is_integer(value: object) -> bool:
    """A JSON integer: no boolean, no float; of limited size."""
    return type(value) is int and abs(value) <= LARGEST_INTEGER


def is_number(value: object) -> bool:
    """A finite JSON number that float64 holds."""
    return (type(value) is float and math.isfinite(value)) or (type(value) is int and abs(value) <= 2**53)


def _integers(value: object) -> bool:
    return isinstance(value, list) and all(map(is_integer, value))


CHECKS = {
    "integer": lambda v: is_integer(v) and v >= 0,
    "positive": lambda v: is_integer(v) and v > 0,
    "sizes": lambda v: _integers(v) and all(i > 0 for i in v),
    "counts": lambda v: _integers(v) and all(i >= 0 for i in v),
    "pairs": lambda v: isinstance(v, list) and all(_integers(p) and len(p) == 2 and min(p) >= 0 for p in v),
    "number": is_number,
    "divisor": lambda v: is_number(v) and v > 0,
    "limit": lambda v: is_number(v) or (isinstance(v, str) and v in ("-inf", "inf")),
    "boolean": lambda v: type(v) is bool,
    "text": lambda v: isinstance(v, str),
}


def read_program(
    program: object, tensors: dict[str, Array], formats: dict[str, tuple[dict[str, str], str]]
) -> list[Node]:
    """The nodes of a program whose tensors (float64, by name in the file) are all used; `formats` has, per operation,
    the kind of each setting and the names of its tensors, those in brackets being optional."""
    need(
        isinstance(program, dict) and set(program) == {"nodes"} and isinstance(program["nodes"], list),
        "the program is no object with a list of nodes",
    )
    assert isinstance(program, dict)
    nodes, unused = [], dict(tensors)
    for index, entry in enumerate(program["nodes"]):
        node = _read_node(index, entry, formats)
        names = formats[node.op][1].split()
        for name in names:
            key = name.strip("[]")
            value = unused.pop(f"{index}.{key}", None)
            need(value is not None or name.startswith("["), f"{node} has no tensor {key!r}")
            if value is not None:
                node.tensors[key] = value
        nodes.append(node)
    need(nodes, "the program has no input")
    need(not unused, f"the network file has tensors that no node uses, the first {next(iter(unused), '')!r}")
    for key, value in tensors.items():
        need(np.isfinite(value).all(), f"tensor {key!r} has a value that is no finite number")
    return nodes


def _read_node(index: int, entry: object, formats: dict[str, tuple[dict[str, str], str]]) -> Node:
    need(isinstance(entry, dict), f"node {index} of the program is no object")
    assert isinstance(entry, dict)
    op = entry.get("op")
    need(isinstance(op, str) and op in formats, f"node {index} has an unknown operation, {op!r:.60}")
    assert isinstance(op, str)
    kinds = formats[op][0]
    expected = {"op", "name", "inputs", *(k for k in kinds if not k.startswith("["))}
    optional = {k.strip("[]") for k in kinds if k.startswith("[")}
    for key in sorted(expected - set(entry)):
        raise VerificationError(f"node {index} ({op}) lacks {key!r}")
    for key in sorted(set(entry) - expected - optional):
        raise VerificationError(f"node {index} ({op}) has an unknown setting, {key!r:.60}")
    for key, kind in kinds.items():
        key = key.strip("[]")
        need(key not in entry or CHECKS[kind](entry[key]), f"node {index} ({op}): {key!r} is {entry.get(key)!r:.60}")
    inputs = entry["inputs"]
    need(isinstance(entry["name"], str), f"node {index} ({op}): its name is no text")
    need(_integers(inputs) and all(0 <= i < index for i in inputs), f"node {index} ({op}): inputs are {inputs!r:.60}")
    need((op == "input") == (index == 0), f"node {index} is {op!r}, but the first node, and no other, is the input")
    several = op in SEVERAL
    need(
        len(inputs) == (0 if index == 0 else 1) or (several and len(inputs) == 2) or (op == "concat" and inputs),
        f"node {index} ({op}) has {len(inputs)} inputs",
    )
    need(not (several and op != "concat" and len(inputs) != 2), f"node {index} ({op}) has {len(inputs)} inputs, not 2")
    return Node(index, op, entry["name"], inputs, {k.strip("[]"): entry.get(k.strip("[]")) for k in kinds}, {})


SEVERAL = ("add", "subtract", "maximum", "minimum", "concat")
