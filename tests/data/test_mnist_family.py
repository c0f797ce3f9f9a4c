"""MNIST's relatives: classes, file names, upright pictures and labels from 0."""

import gzip
from pathlib import Path

import numpy as np
import pytest

from taut import data
from taut.errors import UserError

EMNIST = {"emnist-balanced": 47, "emnist-digits": 10, "emnist-letters": 26}
STEMS = {"mnist": "", "fashion-mnist": "", "kmnist": ""} | {name: f"{name}-" for name in EMNIST}


def write_idx(path: Path, array: np.ndarray) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    sizes = b"".join(size.to_bytes(4, "big") for size in array.shape)
    path.write_bytes(gzip.compress(bytes([0, 0, 8, array.ndim]) + sizes + array.astype(np.uint8).tobytes()))


def write_family(folder: Path, name: str, labels: list[int]) -> np.ndarray:
    """The four files of the set `name`, both splits alike; returns the pictures as they are in the files."""
    x = np.random.default_rng(0).integers(0, 256, (len(labels), 28, 28), dtype=np.uint8)
    for split in ("train", "test" if name in EMNIST else "t10k"):
        write_idx(folder / f"{STEMS[name]}{split}-images-idx3-ubyte.gz", x)
        write_idx(folder / f"{STEMS[name]}{split}-labels-idx1-ubyte.gz", np.array(labels))
    return x


@pytest.mark.parametrize("name", STEMS)
def test_pictures_are_upright_and_labels_count_from_0(tmp_path: Path, name: str) -> None:
    first = 1 if name == "emnist-letters" else 0
    x = write_family(tmp_path, name, [first, first + 9])
    found = data.load(name, tmp_path)
    assert found.train.labels.tolist() == found.test.labels.tolist() == [0, 9]
    expected = x.transpose(0, 2, 1) if name in EMNIST else x
    for split in (found.train, found.test):
        assert np.array_equal(split.stored[:, 0].numpy(), expected)
    assert len(set(found.problem.classes)) == EMNIST.get(name, 10)


def test_the_classes_of_emnist_are_those_of_its_mapping(tmp_path: Path) -> None:
    # rows of emnist-balanced-mapping.txt: label, code of the character
    mapping = {0: 48, 9: 57, 10: 65, 35: 90, 36: 97, 37: 98, 38: 100, 40: 102, 41: 103, 42: 104, 43: 110, 44: 113}
    mapping |= {39: 101, 45: 114, 46: 116}
    classes = data.problem("emnist-balanced").classes
    assert {label: ord(classes[label]) for label in mapping} == mapping
    assert data.problem("emnist-letters").classes[:2] == ("a", "b")
    write_family(tmp_path, "emnist-letters", [1, 26])
    assert [data.problem("emnist-letters").classes[i] for i in data.load("emnist-letters", tmp_path).test.labels] == [
        "a",
        "z",
    ]


@pytest.mark.parametrize("folder", ["gzip", "EMNIST/raw", "emnist/gzip"])
def test_where_archives_leave_emnist(tmp_path: Path, folder: str) -> None:
    write_family(tmp_path / folder, "emnist-digits", [3])
    write_family(tmp_path / folder, "emnist-balanced", [5])
    assert data.load("emnist-digits", tmp_path).train.labels.tolist() == [3]
    assert data.load("emnist-balanced", tmp_path).train.labels.tolist() == [5]
    with pytest.raises(UserError, match="emnist-letters is not there: looked for emnist-letters-train-images-idx3-ub"):
        data.load("emnist-letters", tmp_path)


def test_one_relative_is_not_taken_for_another(tmp_path: Path) -> None:
    """The sub-folder of the set's name comes first: all of them but EMNIST have files of the same names."""
    write_family(tmp_path, "mnist", [1])
    write_family(tmp_path / "kmnist", "kmnist", [2])
    assert data.load("kmnist", tmp_path).train.labels.tolist() == [2]
    assert data.load("mnist", tmp_path).train.labels.tolist() == [1]


def test_letters_count_from_1_in_idx_files_and_from_either_in_parquet_files(tmp_path: Path) -> None:
    write_family(tmp_path, "emnist-letters", [0, 25])
    with pytest.raises(UserError, match="must hold labels from 1 on, but it holds 0"):
        data.load("emnist-letters", tmp_path)
    write_family(tmp_path, "emnist-letters", [1, 27])
    with pytest.raises(UserError, match=r"labels 0\.\.26, allowed are 0\.\.25"):
        data.load("emnist-letters", tmp_path)


def test_letters_in_parquet_files(tmp_path: Path) -> None:
    import io

    import pyarrow as pa
    from PIL import Image
    from pyarrow import parquet

    file = io.BytesIO()
    Image.new("L", (28, 28)).save(file, format="PNG")

    def labels_of(written: list[int]) -> list[int]:
        table = pa.table({"image": [{"bytes": file.getvalue()}] * len(written), "label": written})
        for split in ("train", "test"):
            parquet.write_table(table, tmp_path / f"{split}.parquet")
        return data.load("emnist-letters", tmp_path).train.labels.tolist()

    assert labels_of([0, 25]) == [0, 25]
    assert labels_of([1, 26]) == [0, 25]
    with pytest.raises(UserError, match=r"train\.parquet has labels 1\.\.25: it cannot be told whether"):
        labels_of([1, 25])
