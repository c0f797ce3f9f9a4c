"""A part of a training split: so many samples of each class, or those that an index file names."""

import hashlib
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Int64
from torch import Tensor

from taut.data.dataset import Problem, Split
from taut.errors import UsageError
from taut.files import write_json


def per_class_indices(labels: Int64[Tensor, " samples"], classes: int, *, count: int, seed: int) -> Int64[Tensor, " n"]:
    """Places of `count` samples of each of the classes 0, 1, ..., in increasing order, chosen by `seed` alone.

    With the same seed fewer are among more: the 30 of a class are 30 of its 100. Each class is drawn by itself.

    Raises:
        UsageError: A class has fewer samples.

    Example:
        >>> import torch
        >>> labels = torch.tensor([0, 1, 0, 1, 1, 0])
        >>> chosen = per_class_indices(labels, 2, count=2, seed=0)
        >>> labels[chosen].bincount().tolist()
        [2, 2]
    """
    chosen = []
    for label in range(classes):
        there = (labels == label).nonzero().squeeze(1)
        if len(there) < count:
            raise UsageError(f"per-class is {count}, but class {label} has {len(there)} training samples")
        digest = hashlib.sha256(f"per-class/{seed}/{label}".encode()).digest()
        generator = torch.Generator().manual_seed(int.from_bytes(digest[:8], "big") >> 1)
        chosen.append(there[torch.randperm(len(there), generator=generator)[:count]])
    return torch.cat(chosen).sort().values


def take(split: Split, index: Int64[Tensor, " n"]) -> Split:
    """The samples of `split` at the places `index`."""
    return Split(inputs=split.stored[index], labels=split.labels[index])


def write_indices(
    path: Path, index: Int64[Tensor, " n"], labels: Int64[Tensor, " n"], *, dataset: str, samples: int
) -> None:
    """Write an index file: places in a training split of so many `samples`, and with them the data set's name and the
    labels at those places, which are checked when it is read."""
    write_json(path, {"dataset": dataset, "samples": samples, "indices": index.tolist(), "labels": labels.tolist()})


def read_indices(path: Path, split: Split, problem: Problem, *, dataset: str) -> Int64[Tensor, " n"]:
    """The places in `split` that an index file names, in its order.

    Files: .json, a list of integers or an object as `write_indices` makes it, of which only "indices" must be there;
    .npy, a one-dimensional array of integers; any other, text with one integer a line, # before comments.

    Raises:
        UsageError: The file cannot be read or is of another data set; a place is no integer, not in the split or there
        twice; labels that are not those of the split.
    """
    content = _read(path)
    numbers = content.get("indices")
    if not isinstance(numbers, list) or not numbers or not all(type(number) is int for number in numbers):
        raise UsageError(f"{path} must hold one or more integers, the places of training samples")
    _check_origin(content, split, path, dataset)
    wrong = next((number for number in numbers if not 0 <= number < len(split)), None)
    if wrong is not None:
        raise UsageError(f"{path} names sample {wrong}, but the {len(split)} of {dataset} are 0..{len(split) - 1}")
    seen: set[int] = set()
    for number in numbers:
        if number in seen:
            raise UsageError(f"{path} names sample {number} twice")
        seen.add(number)
    index = torch.tensor(numbers, dtype=torch.int64)
    if "labels" in content:
        _check_labels(content["labels"], split.labels[index].tolist(), numbers, problem, path)
    return index


def _read(path: Path) -> dict[str, Any]:
    try:
        if path.suffix == ".npy":
            array = np.load(path, allow_pickle=False)
            if array.ndim != 1 or not np.issubdtype(array.dtype, np.integer):
                raise UsageError(f"{path} must be one row of integers, not {array.dtype} of shape {array.shape}")
            return {"indices": array.tolist()}
        text = path.read_text()
        if path.suffix == ".json":
            content = json.loads(text)
            return content if isinstance(content, dict) else {"indices": content}
        return {"indices": [_integer(line, number) for number, line in enumerate(text.splitlines(), 1) if _said(line)]}
    except OSError as error:
        raise UsageError(f"cannot read the index file {path}: {error.strerror or error}") from error
    except UnicodeDecodeError as error:
        raise UsageError(f"{path} is not an index file: neither .npy nor text") from error
    except ValueError as error:
        reason = "no array of whole numbers" if path.suffix == ".npy" else " ".join(str(error).split())
        raise UsageError(f"{path} is not an index file: {reason}") from error


def _said(line: str) -> str:
    return line.partition("#")[0].strip()


def _integer(line: str, number: int) -> int:
    try:
        return int(_said(line))
    except ValueError:
        raise ValueError(f"line {number} is {_said(line)!r}, not one integer") from None


def _check_origin(content: dict[str, Any], split: Split, path: Path, dataset: str) -> None:
    name, samples = content.get("dataset", dataset), content.get("samples", len(split))
    if name != dataset:
        raise UsageError(f"{path} is an index file of {name}, not of {dataset}")
    if samples != len(split):
        raise UsageError(f"{path} was made for {samples} training samples, but {dataset} has {len(split)} here")


def _check_labels(said: Any, found: Sequence[int], numbers: Sequence[int], problem: Problem, path: Path) -> None:
    if not isinstance(said, list) or len(said) != len(found):
        raise UsageError(f"{path} must hold one label for each of its {len(found)} indices")
    for number, expected, label in zip(numbers, said, found, strict=True):
        if expected != label:
            name = problem.classes[label]
            raise UsageError(f"{path} says that sample {number} has label {expected!r}, but it is {label} ({name})")
