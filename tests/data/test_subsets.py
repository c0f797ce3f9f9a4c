"""Parts of a training split: balanced, seeded, nested; index files that are checked."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch

from taut import data
from taut.data import Problem, Split
from taut.errors import UsageError

PROBLEM = Problem(shape=(1,), classes=("a", "b", "c"))
LABELS = torch.tensor([0, 1, 2, 0, 1, 2, 0, 1, 2, 0, 1, 2])
SPLIT = Split(inputs=torch.arange(12.0)[:, None] / 12, labels=LABELS)


def test_so_many_of_each_class_and_fewer_are_among_more() -> None:
    sets = {}
    for count in (1, 2, 4):
        index = data.per_class_indices(LABELS, 3, count=count, seed=5)
        assert LABELS[index].bincount().tolist() == [count] * 3
        assert index.tolist() == sorted(set(index.tolist()))
        sets[count] = set(index.tolist())
    assert sets[1] < sets[2] < sets[4]
    part = data.take(SPLIT, data.per_class_indices(LABELS, 3, count=1, seed=5))
    assert torch.equal((part.inputs[:, 0] * 12).round().long() % 3, part.labels)


def test_the_seed_alone_chooses() -> None:
    labels = torch.zeros(400, dtype=torch.int64)
    torch.manual_seed(0)
    first = data.per_class_indices(labels, 1, count=30, seed=0)
    torch.manual_seed(1)
    assert torch.equal(first, data.per_class_indices(labels, 1, count=30, seed=0))
    other = data.per_class_indices(labels, 1, count=30, seed=1)
    shared = len(set(first.tolist()) & set(other.tolist()))
    assert shared < 12  # 2.25 expected, hypergeometric; 12 is more than six standard deviations away
    with pytest.raises(UsageError, match="per-class is 5, but class 0 has 4 training samples"):
        data.per_class_indices(LABELS, 3, count=5, seed=0)


def written(tmp_path: Path, kind: str, numbers: list[int]) -> Path:
    path = tmp_path / f"index.{kind}"
    if kind == "npy":
        np.save(path, np.asarray(numbers))
    elif kind == "json":
        path.write_text(json.dumps(numbers))
    else:
        path.write_text("# places\n" + "".join(f"{number}  # one\n\n" for number in numbers))
    return path


@pytest.mark.parametrize("kind", ["npy", "json", "txt"])
def test_every_kind_of_file_is_read_in_its_order_and_checked(tmp_path: Path, kind: str) -> None:
    def read(numbers: list[int]) -> list[int]:
        return data.read_indices(written(tmp_path, kind, numbers), SPLIT, PROBLEM, dataset="toy").tolist()

    assert read([7, 0, 11]) == [7, 0, 11]
    with pytest.raises(UsageError, match="names sample 12, but the 12 of toy are 0..11"):
        read([0, 12])
    with pytest.raises(UsageError, match="names sample -1"):
        read([-1])
    with pytest.raises(UsageError, match="names sample 3 twice"):
        read([3, 4, 3])
    with pytest.raises(UsageError, match=r"must (hold|be) one"):
        read([])


def test_what_was_written_is_read_back_and_of_other_data_is_refused(tmp_path: Path) -> None:
    path, index = tmp_path / "index.json", torch.tensor([2, 3, 7])
    data.write_indices(path, index, LABELS[index], dataset="toy", samples=12)
    assert torch.equal(data.read_indices(path, SPLIT, PROBLEM, dataset="toy"), index)
    with pytest.raises(UsageError, match="is an index file of toy, not of other"):
        data.read_indices(path, SPLIT, PROBLEM, dataset="other")
    longer = Split(inputs=torch.zeros(13, 1), labels=torch.zeros(13, dtype=torch.int64))
    with pytest.raises(UsageError, match="made for 12 training samples, but toy has 13 here"):
        data.read_indices(path, longer, PROBLEM, dataset="toy")
    shuffled = Split(inputs=SPLIT.inputs, labels=LABELS.roll(1))
    with pytest.raises(UsageError, match=r"says that sample 2 has label 2, but it is 1 \(b\)"):
        data.read_indices(path, shuffled, PROBLEM, dataset="toy")
    content = json.loads(path.read_text())
    path.write_text(json.dumps({**content, "labels": [2]}))
    with pytest.raises(UsageError, match="one label for each of its 3 indices"):
        data.read_indices(path, SPLIT, PROBLEM, dataset="toy")


@pytest.mark.parametrize(
    ("name", "content", "reason"),
    [
        ("a.json", "{", "is not an index file"),
        ("a.json", '{"places": [1]}', "must hold one or more integers"),
        ("a.json", "[1, 2.5]", "must hold one or more integers"),
        ("a.json", "[true]", "must hold one or more integers"),
        ("a.txt", "1\n# two\n3 4 # five\n", "is not an index file: line 3 is '3 4', not one integer"),
        ("a.txt", b"\x80\x02", "is not an index file: neither .npy nor text"),
        ("a.npy", "not numpy", "is not an index file"),
        ("a.npy", np.zeros(3), "must be one row of integers, not float64"),
        ("a.npy", np.zeros((2, 2), dtype=int), r"of shape \(2, 2\)"),
    ],
)
def test_files_that_are_none(tmp_path: Path, name: str, content, reason: str) -> None:
    path = tmp_path / name
    if isinstance(content, str):
        path.write_text(content)
    elif isinstance(content, bytes):
        path.write_bytes(content)
    else:
        np.save(path, content)
    with pytest.raises(UsageError, match=reason):
        data.read_indices(path, SPLIT, PROBLEM, dataset="toy")
    with pytest.raises(UsageError, match=r"cannot read the index file .*gone.json: No such file"):
        data.read_indices(tmp_path / "gone.json", SPLIT, PROBLEM, dataset="toy")
